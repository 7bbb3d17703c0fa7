/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of orders share: what is stored, and crashes. */
#include "fixture.h"

#define CERT_KEY  "certificates/a.test"
#define ORDER_KEY_TEXT "orders/a.test@ecdsa:256"

static inline struct cert_record stored(struct flows *f)
{
	const char *text = memory_get(&f->d->memory, CERT_KEY);
	struct cert_record r;
	struct err e;

	assert_non_null(text);
	assert_int_equal(cert_record_read(str_of(text), &r, &e), 0);
	return r;
}

static inline char *serial(struct flows *f)
{
	struct cert_record r = stored(f);
	char *copy = mem_strdup(r.keys[0].serial);

	cert_record_free(&r);
	return copy;
}

static inline bool is_saved(struct flows *f)
{
	return memory_get(&f->d->memory, ORDER_KEY_TEXT) != NULL;
}

/* Another process over the same storage. */
static inline void restart(struct flows *f)
{
	flows_end_ca(f);
	f->ends = 0;
	flows_make_ca(f);
}

/* ---- crashes ---- */

/* From the moment on when the order is in that state (and saved, if that state
 * is), nothing is stored any more. */
struct crash {
	struct flows *f;
	char record[64], line[64]; /* words of the record, of the log */
	size_t from;               /* where this order's lines begin */
	bool recorded, hit;
};

static inline bool has_crashed(void *arg)
{
	struct crash *c = arg;
	const struct buf *log = &c->f->d->b->log;

	if (!c->recorded && log->len > c->from)
		c->hit = strstr(log->ptr + c->from, c->line) != NULL;
	return c->hit;
}

static inline acme_status crash_at(void *arg, const char *verb, const char *key)
{
	struct crash *c = arg;
	const char *text = memory_get(&c->f->d->memory, key);

	if (c->recorded && !strcmp(verb, "put") &&
	    !strcmp(key, ORDER_KEY_TEXT) && text && strstr(text, c->record))
		c->hit = true;
	return has_crashed(c) ? ACME_BROKEN : ACME_OK;
}

static inline acme_status after_crash(void *arg, const char *verb,
                                      const char *key)
{
	(void)verb;
	(void)key;
	return has_crashed(arg) ? ACME_BROKEN : ACME_OK;
}

/* Runs an order until it is in that state, then drops all of it. */
static inline void crash_in(struct flows *f, const char *state)
{
	struct crash c = { .f = f, .from = f->d->b->log.len };

	c.recorded = strstr("new authorize explain cleanup", state) != NULL;
	snprintf(c.record, sizeof c.record, "\"state\":\"%s\"", state);
	snprintf(c.line, sizeof c.line, "->%s cert=", state);
	if (!ca_kid(f->ca))
		assert_int_equal(flows_register(f), 0);
	f->d->memory.after = crash_at;
	f->d->memory.before = after_crash;
	f->d->memory.arg = &c;
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	if (!loop_run_until(f->d->b->loop, has_crashed, &c, BENCH_PATIENCE))
		fail_msg("never in %s\n%s", state, f->d->b->log.ptr);
	restart(f);
	f->d->memory.after = f->d->memory.before = NULL;
}
