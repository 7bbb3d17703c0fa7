/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations, and the border of the plugin: kit_enter and kit_leave stand around
 * each call into it. What was lent for the call ends there, the time that it
 * took is looked at, and memory of operations that have ended is taken back.
 *
 * Nothing of an operation is freed before the kit, so that a handle that is
 * used too late is known for what it was.
 */
#include "inside.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { HELD_MS = 20, LONG_MS = 1000, DEADLINE_MS = 60000 };

void kit_found(kit *k, const char *rule, const char *fmt, ...)
{
	char text[KIT_WORDS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	kit_report_add(k->report, rule, "%s", text);
}

const char *kit_secret_in(kit *k, acme_str text)
{
	for (size_t i = 0; i < k->option_count; i++) {
		const struct option *o = &k->options[i];
		if (o->is->type == ACME_SECRET && o->text && *o->text &&
		    text.len && memmem(text.ptr, text.len, o->text,
				       strlen(o->text)))
			return o->is->name;
	}
	return NULL;
}

bool kit_fails(kit *k, uint32_t what)
{
	if (k->fail != what || ++k->fail_count != k->fail_at)
		return false;
	k->failed = true;
	return true;
}

/* ---- making and finding ---- */

struct kit_call *call_new(kit *k, enum call_kind kind,
			  struct kit_call *parent, const char *verb)
{
	struct kit_call *c = kit_mem(sizeof *c);

	c->k = k;
	c->kind = kind;
	c->parent = parent;
	c->live = true;
	c->op.id = k->next_id++;
	c->deadline = k->mono + DEADLINE_MS;
	snprintf(c->verb, sizeof c->verb, "%s", verb);
	pthread_mutex_lock(&k->lock);
	c->next = k->calls;
	k->calls = c;
	pthread_mutex_unlock(&k->lock);
	return c;
}

struct kit_call *call_find(kit *k, acme_op op)
{
	struct kit_call *c = k->calls;

	while (c && c->op.id != op.id)
		c = c->next;
	return c;
}

void call_free(struct kit_call *c)
{
	for (size_t i = 0; i < c->result.count; i++) {
		free((void *)(uintptr_t)c->entries[i].key.ptr);
		free((void *)(uintptr_t)c->entries[i].value.ptr);
		free((void *)(uintptr_t)c->entries[i].version.ptr);
	}
	lents_free(&c->mem);
	free(c->entries);
	free(c->text);
	free(c->cursor);
	free(c);
}

/* ---- the border ---- */

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long switches(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nvcsw;
}

void kit_enter(kit *k, struct kit_call *c, const char *what)
{
	if (k->depth++)
		return;
	if (!strcmp(c->verb, what))
		snprintf(k->doing, sizeof k->doing, "%s", what);
	else
		snprintf(k->doing, sizeof k->doing, "%s (%s)", c->verb, what);
	report_doing(k->report, k->doing);
	k->entered_switches = switches();
	k->entered_cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	k->entered = clock_ms(CLOCK_MONOTONIC);
}

/* A machine that is busy with something else is not the plugin's fault: it
 * must have slept, or computed, and mostly do so. */
static void look_at_time(kit *k)
{
	int64_t took = clock_ms(CLOCK_MONOTONIC) - k->entered;
	int64_t cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - k->entered_cpu;
	bool slept = took - cpu > HELD_MS && switches() > k->entered_switches;

	report_time(k->report, k->doing, slept || cpu > HELD_MS,
		    took > LONG_MS && (slept || cpu > LONG_MS));
}

static bool is_over(const struct kit_call *c)
{
	return !c->live && !c->jobs;
}

static void settle(kit *k)
{
	for (struct kit_call *c = k->calls; c; c = c->next) {
		if (c->kind == CALL_CHILD && c->live && !c->services &&
		    !c->jobs)
			c->live = false;
		if (!is_over(c) || c->over)
			continue;
		c->over = true;
		pthread_mutex_lock(&k->lock);
		lents_end(&c->mem, &k->ended);
		pthread_mutex_unlock(&k->lock);
	}
}

void kit_leave(kit *k)
{
	if (--k->depth)
		return;
	look_at_time(k);
	lents_end(&k->secrets, &k->ended);
	lents_end(&k->borrowed, &k->ended);
	settle(k);
	lent_look(k->report, k->doing);
}

/* ---- the ways out ---- */

void call_drop(struct kit_call *c)
{
	kit *k = c->k;

	for (struct service *s = k->services; s; s = s->next)
		if (!s->dropped &&
		    (s->call == c || s->call->parent == c))
			service_drop(s);
	for (struct kit_call *child = k->calls; child; child = child->next)
		if (child->parent == c)
			child->live = false;
}

void call_answer(struct kit_call *c, uint32_t status, uint32_t retry_ms,
		 acme_str text)
{
	if (!c->live)
		return;
	c->live = false;
	c->answered = true;
	c->result.size = sizeof c->result;
	c->result.done = 1;
	c->result.status = status;
	c->result.retry_ms = retry_ms;
	c->text = kit_strdup((acme_str){ text.ptr, text.ptr ? text.len : 0 });
	call_drop(c);
}

void call_end(struct kit_call *c)
{
	kit *k = c->k;

	if (!c->live)
		return;
	call_answer(c, ACME_CANCELED, 0, acme_text("canceled"));
	c->answered = false;
	c->canceled = true;
	if (k->plugin.cancel && c->kind != CALL_ROOT) {
		kit_enter(k, c, "cancel");
		k->plugin.cancel(k->self, c->op);
		kit_leave(k);
	}
	settle(k);
	lent_look(k->report, "cancel");
}

void call_refuse(struct kit_call *c, const char *why)
{
	if (c->kind == CALL_CHILD)
		c = c->parent;
	if (c->kind == CALL_ROOT || !c->live)
		return;
	call_answer(c, ACME_BROKEN, 0, acme_text(why));
	c->canceled = c->tell_cancel = true;
}

void call_emit(struct kit_call *c, const acme_entry *e)
{
	acme_entry *out;

	if (e->flags & ACME_ENTRY_END) {
		free(c->cursor);
		c->cursor = kit_strdup(e->key);
		return;
	}
	c->entries = realloc(c->entries,
			     (c->result.count + 1) * sizeof *c->entries);
	if (!c->entries)
		abort();
	out = &c->entries[c->result.count++];
	memset(out, 0, sizeof *out);
	out->size = sizeof *out;
	out->flags = e->flags;
	out->key = (acme_str){ kit_strdup(e->key), e->key.len };
	out->value = (acme_str){ kit_strdup(e->value), e->value.len };
	out->version = (acme_str){ kit_strdup(e->version), e->version.len };
}

const kit_result *kit_result_of(kit_call *c)
{
	kit_result *r = &c->result;

	r->size = sizeof *r;
	r->text = c->text ? c->text : "";
	r->entries = c->entries;
	r->cookie = r->count ? c->entries[r->count - 1].value.ptr : "";
	r->cursor = c->cursor ? c->cursor : "";
	return r;
}
