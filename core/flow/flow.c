/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of all flows: see flow.h. A flow goes round
 *
 *     enter -> ask -> (send, wait) -> hear -> flow_goto -> save -> enter
 *
 * and everything that is the same for all of them is here once: the retry of
 * what may work later, the pace of polls, Retry-After, limits, the log line and
 * the saving of each transition. flow_goto is the only place where a state
 * changes.
 */
#include "flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/now.h"
#include "crypto/random.h"

enum {
	POLL_FIRST_MS = 15, /* a CA next door has validated by then */
	POLL_MOST_MS = 5000,
	RETRY_FIRST_MS = 250,
	RETRY_MOST_MS = 8000,
	HOPS_MOST = 200, /* transitions: a CA may lead us in circles */
};

/* For one step, from its beginning. */
static int64_t limit_ms(const struct step *s)
{
	switch (s->limit) {
	case FLOW_SHORT:
		return 30 * 1000;
	case FLOW_POLL:
		return 5 * 60 * 1000;
	case FLOW_LONG:
		break;
	}
	return 20 * 60 * 1000;
}

static void run(void *arg);

static const struct step *step_of(const struct flow *f)
{
	return &f->table->steps[f->state];
}

void flow_end(struct flow *f)
{
	f->running = false;
	call_cancel(&f->call);
	after_cancel(&f->after);
	arena_reset(&f->step_mem);
	arena_reset(&f->mem);
}

static void finish(struct flow *f, int rc, const struct err *e)
{
	struct err copy;

	if (rc < 0) {
		copy = *e;
		if (f->state != f->table->done)
			err_in(&copy, "%s", step_of(f)->name);
	}
	f->running = false;
	call_cancel(&f->call);
	after_cancel(&f->after);
	f->table->done_fn(f, rc, rc < 0 ? &copy : NULL);
}

/* --------------------------------------------------------- transitions */

static void enter(struct flow *f)
{
	f->tries = f->polls = 0;
	f->trouble = (struct err){ 0 };
	f->entered = now_mono();
	if (f->state == f->table->done)
		finish(f, 0, NULL);
	else
		run(f);
}

static void flow_goto(struct flow *f, int next)
{
	const struct step *from = step_of(f), *to = &f->table->steps[next];

	if (next < 0 || next >= f->table->count ||
	    !(from->may & FLOW_TO(next))) {
		log_error(&f->log, "impossible transition", "from=%s to=%d",
		          from->name, next);
		abort();
	}
	struct err e;
	if (++f->hops > HOPS_MOST) {
		err_set(&e, ERR_BROKEN, "the CA leads in circles");
		finish(f, e.code, &e);
		return;
	}
	char event[64];
	snprintf(event, sizeof event, "%s->%s", from->name, to->name);
	log_info(&f->log, event, "took=%lldms",
	         (long long)(now_mono() - f->entered));
	f->state = next;
	arena_reset(&f->step_mem);
	if (f->table->save)
		f->table->save(f);
	else
		enter(f);
}

void flow_saved(struct flow *f, int rc, const struct err *e)
{
	if (rc < 0) {
		finish(f, rc, e);
		return;
	}
	enter(f);
}

/* --------------------------------------------- waiting and trying again */

/* Three quarters to five quarters of `ms`. */
static int64_t jitter(int64_t ms)
{
	uint16_t dice;

	crypto_random(&dice, sizeof dice);
	return ms * 3 / 4 + ms / 2 * dice / UINT16_MAX;
}

static int64_t grown(int64_t first, unsigned times, int64_t most)
{
	int64_t ms = first;

	while (times-- && ms < most)
		ms = ms * 8 / 5;
	return ms < most ? ms : most;
}

/* Runs the step again after `ms`, unless its time is over by then. */
static bool again_after(struct flow *f, int64_t ms)
{
	if (now_mono() + ms - f->entered > limit_ms(step_of(f)))
		return false;
	f->after = after_start(f->loop, ms, run, f);
	return true;
}

static void poll_again(struct flow *f, int64_t retry_after_ms)
{
	int64_t ms = jitter(grown(POLL_FIRST_MS, f->polls++, POLL_MOST_MS));
	struct err e;

	if (retry_after_ms > ms)
		ms = retry_after_ms;
	if (again_after(f, ms))
		return;
	err_set(&e, ERR_RETRY, "the CA has not come to an end in %lld s",
	        (long long)(now_mono() - f->entered) / 1000);
	e.retry_at = retry_after_ms > 0 ? now_wall() + retry_after_ms : 0;
	finish(f, e.code, &e);
}

/* What a CA says may hold quotes of its own. */
static void log_failure(struct flow *f, enum log_level level, const char *event,
                        int64_t in_ms, const struct err *e)
{
	char text[2 * sizeof e->text], when[48] = "";

	log_quote(e->text, strlen(e->text), text, sizeof text);
	if (in_ms >= 0)
		snprintf(when, sizeof when, "tries=%u in=%lldms ", f->tries,
		         (long long)in_ms);
	log_write(&f->log, level, event, "state=%s %serror=%s",
	          step_of(f)->name, when, text);
}

/* A step has failed: elsewhere, again, or the end. */
static void failed(struct flow *f, const struct err *e)
{
	const struct step *s = step_of(f);
	int next = s->fault ? s->fault(f, e) : -1;

	if (next >= 0) {
		log_failure(f, LOG_LEVEL_WARN, "fault", -1, e);
		flow_goto(f, next);
		return;
	}
	int64_t ms = jitter(grown(RETRY_FIRST_MS, 2 * f->tries,
	                          RETRY_MOST_MS));
	if (e->retry_at > now_wall() + ms)
		ms = e->retry_at - now_wall();
	if (e->code == ERR_RETRY && again_after(f, ms)) {
		f->tries++;
		f->trouble = *e;
		f->trouble.retry_at = now_wall() + ms;
		log_failure(f, LOG_LEVEL_INFO, "retry", ms, e);
		return;
	}
	finish(f, e->code, e);
}

/* ---------------------------------------------------- one round of a step */

static void answered(void *arg, int rc, const struct err *why,
                     const struct ca_answer *answer)
{
	struct flow *f = arg;
	struct err e;

	f->call = NULL;
	if (rc < 0) {
		e = *why;
		failed(f, &e);
		return;
	}
	int next = step_of(f)->hear(f, answer, &e);
	if (next < 0)
		failed(f, &e);
	else if (next == f->state)
		poll_again(f, answer->retry_after_ms);
	else
		flow_goto(f, next);
}

static void run(void *arg)
{
	struct flow *f = arg;
	struct err e;

	f->after = NULL;
	arena_reset(&f->step_mem);
	f->ask = (struct ca_request){ 0 };
	int rc = step_of(f)->ask(f, &e);
	switch (rc) {
	case FLOW_SEND:
		f->call = ca_post(f->ca, &f->ask, answered, f);
		break;
	case FLOW_WAIT:
		break;
	case FLOW_SKIP:
		flow_goto(f, f->next);
		break;
	default:
		failed(f, &e);
	}
}

void flow_start(struct flow *f, const struct flow_table *table, int state)
{
	f->table = table;
	f->state = state;
	f->mem = ARENA_INIT(FLOW_MEM);
	f->step_mem = ARENA_INIT(FLOW_STEP_MEM);
	f->tries = f->polls = f->hops = 0;
	f->trouble.code = ERR_OK;
	f->entered = f->started = now_mono();
	f->running = true;
	f->after = after_start(f->loop, 0, run, f);
}

int flow_payload(struct flow *f, struct buf *body, int rc)
{
	if (rc == 0)
		f->ask.payload = (struct str){
			arena_strndup(&f->step_mem, buf_str(body)), body->len
		};
	buf_free(body);
	return rc < 0 ? rc : FLOW_SEND;
}

void flow_go_on(struct flow *f, int next)
{
	flow_goto(f, next);
}

void flow_fail(struct flow *f, const struct err *e)
{
	failed(f, e);
}

/* ------------------------------------------------------ tables as data */

int flow_state(const struct flow_table *table, const char *name)
{
	for (int i = 0; i < table->count; i++)
		if (!strcmp(table->steps[i].name, name))
			return i;
	return -1;
}

void flow_draw(const struct flow_table *table, struct buf *out)
{
	buf_addf(out, "```mermaid\nstateDiagram-v2\n");
	for (int i = 0; i < table->count; i++)
		for (int j = 0; j < table->count; j++)
			if (table->steps[i].may & FLOW_TO(j))
				buf_addf(out, "    %s --> %s\n",
				         table->steps[i].name,
				         table->steps[j].name);
	buf_addf(out, "    %s --> [*]\n```\n",
	         table->steps[table->done].name);
}

static int check_step(const struct flow_table *t, int i, struct err *e)
{
	const struct step *s = &t->steps[i];
	uint32_t in = 0;

	for (int j = 0; j < t->count; j++)
		if (j != i && t->steps[j].may & FLOW_TO(i))
			in |= FLOW_TO(j);
	if (!s->name)
		return err_set(e, ERR_BROKEN, "%s: state %d: no name", t->name,
		               i);
	if (i > 0 && !in)
		return err_set(e, ERR_BROKEN, "%s: %s: no way in", t->name,
		               s->name);
	if ((i == t->done) != !(s->may & ~FLOW_TO(i)))
		return err_set(e, ERR_BROKEN, "%s: %s: no way out, or one out "
		               "of the end", t->name, s->name);
	if (i != t->done && !s->ask)
		return err_set(e, ERR_BROKEN, "%s: %s: nothing to ask",
		               t->name, s->name);
	return 0;
}

int flow_check(const struct flow_table *t, struct err *e)
{
	for (int i = 0; i < t->count; i++)
		if (check_step(t, i, e) < 0)
			return -1;
	return 0;
}
