/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of one issuer. One function, `turn`, looks at the clock and
 * does what can be done now: start the account if something is due, start
 * orders while there is room, set the timer for the next appointment. It runs
 * whenever something may have changed, and at least once a minute, because
 * appointments are in wall time and clocks get set.
 */
#include "renew/issuer.h"

#include <stdlib.h>
#include <string.h>

#include "acme/problem.h"
#include "base/mem.h"
#include "base/now.h"
#include "crypto/random.h"
#include "flow/account.h"
#include "loop/after.h"
#include "renew/backoff.h"

enum {
	LOOK_AGAIN_MS = 60 * 1000,
	ACCOUNT_TRUST_MS = 5 * 1000, /* a new account that is unknown: a fault */
	ACCOUNTS_LOST_MAX = 2, /* without an order that ended well */
	SET_BACK_MS = 10 * 1000, /* less is a clock that is being corrected */
};

enum account_phase { NO_ACCOUNT, STARTING, READY };

struct issuer_wait {
	struct issuer_wait *next, **prev;
	issuer_fn *fn;
	void *arg;
};

struct issuer {
	struct issuer_env *env;
	struct conf_issuer conf; /* owned copies of what is used */
	struct names contacts;
	struct log log;
	struct ca *ca;
	struct account *account;
	enum account_phase phase;
	int64_t ready_at; /* when the account last became ready */
	unsigned epoch;   /* how often it did */
	unsigned attempts;
	unsigned lost; /* accounts, since an order ended well */
	int64_t blocked_until;
	int64_t ahead; /* wall time before monotonic time, at the last look */
	struct err last_error;
	int64_t last_error_at;
	struct issuer_wait *waiting;

	struct agenda agenda;
	size_t running;
	struct running *orders;
	struct after *timer;
};

/* An order under way. */
struct running {
	struct running *next, **prev;
	struct issuer *issuer;
	struct leg *leg;
	unsigned epoch; /* of the account that it began with */
	bool finish_only;
	int64_t issued; /* what was there when it began */
};

static void turn(void *arg);

static uint16_t throw_dice(void)
{
	uint16_t dice;

	crypto_random(&dice, sizeof dice);
	return dice;
}

/* Soon: in the next turn of the loop. */
static void poke_in(struct issuer *i, int64_t ms)
{
	after_cancel(&i->timer);
	i->timer = after_start(i->env->loop, ms, turn, i);
}

void issuer_poke(struct issuer *i)
{
	poke_in(i, 0);
}

/* -------------------------------------------------------------- account */

void issuer_wait_cancel(struct issuer_wait **wait)
{
	struct issuer_wait *w = *wait;

	if (!w)
		return;
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	free(w);
	*wait = NULL;
}

static void tell_waiting(struct issuer *i, int rc, const struct err *e)
{
	while (i->waiting) {
		struct issuer_wait *w = i->waiting;
		issuer_fn *fn = w->fn;
		void *arg = w->arg;
		issuer_wait_cancel(&w);
		fn(arg, rc, e);
	}
}

static void note_error(struct issuer *i, const struct err *e)
{
	i->last_error = *e;
	i->last_error_at = now_wall();
}

/* All legs that are booked; free() it. Booking changes the agenda. */
static struct leg **booked(const struct issuer *i, size_t *count)
{
	struct leg **list = mem_array(i->agenda.count, sizeof *list);

	*count = i->agenda.count;
	for (size_t n = 0; n < *count; n++)
		list[n] = (struct leg *)i->agenda.heap[n + 1];
	return list;
}

/* Without an account, who waits for an order must not wait for ever. */
static void fail_forced(struct issuer *i, const struct err *e)
{
	size_t count;
	struct leg **list = booked(i, &count);

	for (size_t n = 0; n < count; n++) {
		if (!list[n]->forced)
			continue;
		list[n]->forced = false;
		issuer_book(i, list[n]);
		i->env->ended(i->env->arg, list[n], e->code, e);
	}
	free(list);
}

static void account_ended(void *arg, int rc, const struct err *e)
{
	struct issuer *i = arg;

	if (rc == 0) {
		i->phase = READY;
		i->attempts = 0;
		i->last_error = (struct err){ 0 };
		i->ready_at = now_mono();
		i->epoch++;
		tell_waiting(i, 0, NULL);
		issuer_poke(i);
		return;
	}
	i->phase = NO_ACCOUNT;
	note_error(i, e);
	i->blocked_until = backoff_retry_at(e, ++i->attempts, 0, now_wall(),
	                                    throw_dice());
	i->last_error.retry_at = i->blocked_until;
	log_err(&i->log, LOG_LEVEL_ERROR, "account failed", &i->last_error);
	tell_waiting(i, rc, e);
	fail_forced(i, &i->last_error);
	issuer_poke(i);
}

static void start_account(struct issuer *i)
{
	i->phase = STARTING;
	account_start(i->account, account_ended, i);
}

struct issuer_wait *issuer_wait(struct issuer *i, issuer_fn *fn, void *arg)
{
	struct issuer_wait *w = mem_alloc(sizeof *w);

	*w = (struct issuer_wait){ i->waiting, &i->waiting, fn, arg };
	if (i->waiting)
		i->waiting->prev = &w->next;
	i->waiting = w;
	issuer_kick(i);
	return w;
}

void issuer_kick(struct issuer *i)
{
	i->blocked_until = 0;
	issuer_poke(i);
}

/* --------------------------------------------------------------- orders */

static void running_free(struct running *r)
{
	struct issuer *i = r->issuer;

	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	order_free(r->leg->order);
	r->leg->order = NULL;
	i->running--;
	i->env->running--;
	free(r);
	i->env->room(i->env->arg);
}

static void leg_succeeded(struct leg *leg)
{
	leg->forced = leg->leftover = false;
	leg->attempts = 0;
	leg_error(leg, NULL, 0);
}

static void leg_failed(struct issuer *i, struct leg *leg, const struct err *e)
{
	struct err copy = *e;
	int64_t life = leg->stored ? leg->not_after - leg->not_before : 0;

	leg->forced = false;
	copy.retry_at = backoff_retry_at(e, ++leg->attempts, life, now_wall(),
	                                 throw_dice());
	/* A forced renewal of what is good for long is not tried again. */
	if (leg_renew_at(leg) > copy.retry_at)
		copy.retry_at = 0;
	leg_error(leg, &copy, now_wall());
	struct log log;
	log_init(&log, &i->log, "renew", "cert=%s key=%s", leg->item->name,
	         key_kind_name(leg->kind));
	log_err(&log, LOG_LEVEL_WARN, "failed", &copy);
}

/* The CA does not know our account, though it did a while ago: no fault of the
 * order, which is tried again with a new account. Orders that ran beside it
 * find that out one after the other. A CA that forgets every account gets a new
 * one each time, but no faster than an order that fails is tried again. */
static bool account_lost(struct issuer *i, unsigned epoch, const struct err *e)
{
	if (!problem_is(e, "accountDoesNotExist"))
		return false;
	if (i->phase != READY || i->epoch != epoch)
		return true;
	if (account_confirmed(i->account) &&
	    now_mono() - i->ready_at < ACCOUNT_TRUST_MS)
		return false;
	log_err(&i->log, LOG_LEVEL_WARN, "account lost", e);
	account_forget(i->account);
	i->phase = NO_ACCOUNT;
	return ++i->lost <= ACCOUNTS_LOST_MAX;
}

static void order_ended(void *arg, int rc, const struct err *why)
{
	struct running *r = arg;
	struct issuer *i = r->issuer;
	struct leg *leg = r->leg;
	unsigned epoch = r->epoch;
	bool tidied = rc == 0 && r->finish_only && leg->issued == r->issued;
	struct err e = { 0 };

	if (rc < 0)
		e = *why;
	running_free(r);
	/* Nothing that anybody waits for has ended yet. */
	if (tidied || (rc < 0 && account_lost(i, epoch, &e))) {
		leg->leftover = leg->leftover && !tidied;
		if (leg->wanted)
			issuer_book(i, leg);
		issuer_poke(i);
		return;
	}
	if (rc == 0 && !leg_is_current(leg) && leg->wanted)
		rc = err_set(&e, ERR_RETRY, "the order brought no certificate");
	if (rc == 0) {
		i->lost = 0;
		leg_succeeded(leg);
	} else {
		leg_failed(i, leg, &e);
	}
	if (rc < 0 && leg->again && leg->wanted) {
		leg->again = false;
		leg->forced = true;
		issuer_book(i, leg);
		issuer_poke(i);
		return;
	}
	leg->again = false;
	if (leg->wanted)
		issuer_book(i, leg);
	i->env->ended(i->env->arg, leg, rc, rc < 0 ? &e : NULL);
	issuer_poke(i);
}

static void start_order(struct issuer *i, struct leg *leg)
{
	const struct wish *w = &leg->item->wish;
	struct order_spec spec = { .certificate = leg->item->name,
		                   .kind = leg->kind,
		                   .identifiers = w->identifiers,
		                   .challenges = w->challenges,
		                   .wanted_count = w->kind_count };
	struct running *r = mem_alloc(sizeof *r);

	memcpy(spec.wanted, w->kinds, sizeof spec.wanted);
	spec.finish_only = leg_is_content(leg, now_wall());
	*r = (struct running){ i->orders, &i->orders, i, leg, i->epoch,
		               spec.finish_only, leg->issued };
	if (i->orders)
		i->orders->prev = &r->next;
	i->orders = r;
	i->running++;
	i->env->running++;
	leg->order = order_start(i->env->orders, i->ca, &i->log, &spec,
	                         order_ended, r);
}

void issuer_stop(struct issuer *i, struct leg *leg)
{
	for (struct running *r = i->orders; r; r = r->next)
		if (r->leg == leg) {
			running_free(r);
			return;
		}
}

/* --------------------------------------------------------------- agenda */

void issuer_book(struct issuer *i, struct leg *leg)
{
	int64_t at = leg_renew_at(leg);

	if (leg->order)
		return;
	if (leg->leftover) /* a cleanup need not wait for the renewal */
		at = 0;
	if (leg->last_error && !leg->forced && leg->last_error->retry_at > at)
		at = leg->last_error->retry_at;
	agenda_set(&i->agenda, &leg->due, at);
	if (!agenda_next(&i->agenda) || agenda_next(&i->agenda) == &leg->due)
		issuer_poke(i);
}

void issuer_unbook(struct issuer *i, struct leg *leg)
{
	agenda_drop(&i->agenda, &leg->due);
}

static bool has_room(const struct issuer *i)
{
	return i->running < i->conf.max_orders &&
	       i->env->running < i->env->max_orders;
}

/* A clock that was wrong and is set back must not leave the next try where the
 * wrong time had it: years ahead, perhaps. */
static void look_at_clock(struct issuer *i)
{
	int64_t ahead = now_wall() - now_mono(), moved = ahead - i->ahead;
	size_t count;

	i->ahead = ahead;
	if (moved > -SET_BACK_MS)
		return;
	log_notice(&i->log, "clock set back", "seconds=%lld",
	           (long long)-moved / 1000);
	i->blocked_until += i->blocked_until ? moved : 0;
	struct leg **list = booked(i, &count);
	for (size_t n = 0; n < count; n++) {
		struct err *e = list[n]->last_error;
		if (e && e->retry_at)
			e->retry_at += moved;
		issuer_book(i, list[n]);
	}
	free(list);
}

static void turn(void *arg)
{
	struct issuer *i = arg;

	struct appointment *next;
	int64_t now = now_wall(), wait = LOOK_AGAIN_MS;

	i->timer = NULL;
	look_at_clock(i);
	if (i->waiting && i->phase == READY)
		tell_waiting(i, 0, NULL);
	while ((next = agenda_next(&i->agenda)) && next->at <= now &&
	       has_room(i) && i->phase == READY) {
		agenda_drop(&i->agenda, next);
		start_order(i, (struct leg *)next);
	}
	bool wanted = i->waiting || (next && next->at <= now);
	if (wanted && i->phase == NO_ACCOUNT) {
		if (i->blocked_until <= now)
			start_account(i);
		else if (i->blocked_until - now < wait)
			wait = i->blocked_until - now;
	}
	if (next && next->at > now && next->at - now < wait)
		wait = next->at - now;
	poke_in(i, wait);
}

/* ------------------------------------------------------------- lifetime */

static const char *copy_of(const char *text)
{
	return mem_strdup(text ? text : "");
}

static void copy_conf(struct issuer *i, const struct conf_issuer *c)
{
	i->conf = *c;
	i->conf.name = copy_of(c->name);
	i->conf.directory = copy_of(c->directory);
	i->conf.account_key = copy_of(c->account_key);
	i->conf.ca_file = copy_of(c->ca_file);
	i->conf.proxy = copy_of(c->proxy);
	for (size_t n = 0; n < c->contact.count; n++)
		names_add(&i->contacts, c->contact.items[n]);
}

struct issuer *issuer_new(struct issuer_env *env, const struct conf_issuer *c)
{
	struct issuer *i = mem_alloc(sizeof *i);
	struct account_spec spec = { .issuer = c->name,
		                     .terms_agreed = c->accept_terms };
	struct ca_options options = {
		.name = c->name,
		.directory = c->directory,
		.ca_file = c->ca_file,
		.proxy = c->proxy,
		.ip = c->ip == CONF_IP_V4   ? HTTP_IP_4
		      : c->ip == CONF_IP_V6 ? HTTP_IP_6
		                            : HTTP_IP_ANY,
		.timeout_ms = c->timeout_ms,
	};
	struct err e;

	i->env = env;
	i->ahead = now_wall() - now_mono();
	copy_conf(i, c);
	log_init(&i->log, env->log, "issuer", "issuer=%s", c->name);
	i->ca = ca_new(env->loop, env->http, &i->log, &options);
	if (key_kind_parse(str_of(c->account_key), &spec.kind, &e) < 0)
		spec.kind = KEY_EC256; /* conf has checked it */
	spec.contacts = i->contacts;
	i->account =
		account_new(env->loop, i->ca, env->store, &i->log, &spec);
	return i;
}

void issuer_free(struct issuer *i)
{
	if (!i)
		return;
	struct err e;
	err_set(&e, ERR_CANCELED, "issuer %s was removed or changed",
	        i->conf.name);
	tell_waiting(i, e.code, &e);
	after_cancel(&i->timer);
	while (i->orders)
		running_free(i->orders);
	agenda_clear(&i->agenda);
	account_free(i->account);
	ca_free(i->ca);
	names_free(&i->contacts);
	free((char *)(uintptr_t)i->conf.name);
	free((char *)(uintptr_t)i->conf.directory);
	free((char *)(uintptr_t)i->conf.account_key);
	free((char *)(uintptr_t)i->conf.ca_file);
	free((char *)(uintptr_t)i->conf.proxy);
	free(i);
}

static bool same_contacts(const struct issuer *i, const struct conf_issuer *c)
{
	if (i->contacts.count != c->contact.count)
		return false;
	for (size_t n = 0; n < i->contacts.count; n++)
		if (strcmp(i->contacts.list[n], c->contact.items[n]))
			return false;
	return true;
}

bool issuer_same(const struct issuer *i, const struct conf_issuer *c)
{
	return !strcmp(i->conf.name, c->name) &&
	       !strcmp(i->conf.directory, c->directory) &&
	       !strcmp(i->conf.account_key, c->account_key) &&
	       !strcmp(i->conf.ca_file, c->ca_file) &&
	       !strcmp(i->conf.proxy, c->proxy) && i->conf.ip == c->ip &&
	       i->conf.accept_terms == c->accept_terms &&
	       i->conf.max_orders == c->max_orders &&
	       i->conf.timeout_ms == c->timeout_ms && same_contacts(i, c);
}

const char *issuer_name(const struct issuer *i)
{
	return i->conf.name;
}

struct ca *issuer_ca(const struct issuer *i)
{
	return i->ca;
}

void issuer_status(const struct issuer *i, struct issuer_status *out)
{
	*out = (struct issuer_status){
		.state = i->phase == READY          ? "ready"
		         : i->phase == STARTING     ? "starting"
		         : i->last_error.code != 0 ? "failed"
		                                    : "idle",
		.account = ca_kid(i->ca),
		.last_error = i->last_error.code ? &i->last_error : NULL,
		.last_error_at = i->last_error_at,
		.running = i->running,
		.booked = i->agenda.count,
		.calls = *ca_stats(i->ca),
	};
}
