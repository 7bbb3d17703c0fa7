/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of flows stand on: a desk (loop, store in memory), a CA in the
 * test, two challenge plugins, and clocks that can be made to run.
 */
#include "fake_ca.h"
#include "scripted.h"

#include "flow/account.h"
#include "flow/authorization.h"
#include "flow/ca.h"
#include "flow/order.h"
#include "flow/revocation.h"

struct flows {
	struct desk *d;
	struct fake *fake;
	struct scripted web, zone;
	struct instance *instances[2]; /* "web", "zone"; NULL: gone */
	struct ca *ca;
	struct account *account;
	struct account_spec account_spec;
	struct order_env env;
	struct order_spec spec;
	struct order *order;

	/* the last end */
	int ends, rc;
	struct err e;
	int installs;
	size_t installed_keys;
};

/* Monotonic time that can be pushed; real time goes on below it. */
static int64_t flows_pushed;

static inline int64_t flows_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000 + flows_pushed;
}

static inline int64_t flows_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline struct instance *flows_instance(void *arg, const char *name)
{
	struct flows *f = arg;

	return !strcmp(name, "web")    ? f->instances[0]
	       : !strcmp(name, "zone") ? f->instances[1]
	                               : NULL;
}

static inline void flows_install(void *arg, const struct cert_record *r)
{
	struct flows *f = arg;

	f->installs++;
	f->installed_keys = r->key_count;
}

static inline struct instance *flows_open(struct flows *f, const char *plugin)
{
	struct instance_spec spec = { .plugin = plugin,
		                      .name = plugin,
		                      .place = { "test.ini", 1 },
		                      .must_challenge = true };
	struct instance *i;
	struct err e;

	assert_int_equal(instance_open(f->d->b->plugins, &spec, &i, &e), 0);
	return i;
}

static inline void flows_make_ca(struct flows *f)
{
	char url[128];
	struct ca_options options = { .name = "fake",
		                      .directory = fake_url(f->fake,
		                                            FAKE_DIRECTORY, -1,
		                                            url) };

	f->ca = ca_new(f->d->b->loop, f->d->b->http, &f->d->log, &options);
	f->account = account_new(f->d->b->loop, f->ca, f->d->store, &f->d->log,
	                         &f->account_spec);
}

static inline int flows_setup(void **state)
{
	struct flows *f = mem_alloc(sizeof *f);

	desk_setup(state);
	f->d = *state;
	flows_pushed = 0;
	now_replace(flows_wall, flows_mono);
	f->fake = fake_new(f->d->b->loop);
	scripted_web = &f->web;
	scripted_zone = &f->zone;
	plugin_add(f->d->b->plugins, &SCRIPTED_WEB);
	plugin_add(f->d->b->plugins, &SCRIPTED_ZONE);
	f->instances[0] = flows_open(f, "web");
	f->instances[1] = flows_open(f, "zone");
	f->account_spec = (struct account_spec){ .issuer = "fake",
		                                 .terms_agreed = true,
		                                 .kind = KEY_EC256 };
	names_add(&f->account_spec.contacts, "mailto:admin@example.com");
	flows_make_ca(f);
	f->env = (struct order_env){ .loop = f->d->b->loop,
		                     .store = f->d->store,
		                     .instance = flows_instance,
		                     .install = flows_install,
		                     .arg = f };
	f->spec = (struct order_spec){ .certificate = "a.test",
		                       .kind = KEY_EC256,
		                       .wanted = { KEY_EC256 },
		                       .wanted_count = 1 };
	names_add(&f->spec.identifiers, "a.test");
	names_add(&f->spec.identifiers, "www.a.test");
	names_add(&f->spec.challenges, "web");
	*state = f;
	return 0;
}

static inline void flows_end_ca(struct flows *f)
{
	order_free(f->order);
	f->order = NULL;
	account_free(f->account);
	ca_free(f->ca);
}

static inline int flows_teardown(void **state)
{
	struct flows *f = *state;
	void *desk = f->d;

	flows_end_ca(f);
	fake_free(f->fake);
	for (int i = 0; i < 2; i++)
		if (f->instances[i])
			bench_close(f->d->b, f->instances[i], 0);
	names_free(&f->account_spec.contacts);
	names_free(&f->spec.identifiers);
	names_free(&f->spec.challenges);
	free(f);
	int rc = desk_teardown(&desk); /* the loop must be empty by now */
	now_replace(NULL, NULL);
	return rc;
}

/* ---- running ---- */

static inline void flows_ended(void *arg, int rc, const struct err *e)
{
	struct flows *f = arg;

	f->ends++;
	f->rc = rc;
	assert_int_equal(rc < 0, e != NULL);
	f->e = e ? *e : (struct err){ 0 };
	if (e)
		assert_int_equal(e->code, rc);
}

static inline bool flows_has_ended(void *arg)
{
	return ((struct flows *)arg)->ends > 0;
}

static inline int flows_wait(struct flows *f)
{
	if (!loop_run_until(f->d->b->loop, flows_has_ended, f, BENCH_PATIENCE))
		fail_msg("no end:\n%s", f->d->b->log.ptr);
	assert_int_equal(f->ends, 1);
	f->ends = 0;
	return f->rc;
}

/* Everything that hangs on callbacks of its own gets a moment. */
static inline void flows_turns(struct flows *f, int ms)
{
	int64_t end = flows_mono() + ms;

	do
		loop_run_once(f->d->b->loop, 2);
	while (flows_mono() < end);
}

static inline int flows_register(struct flows *f)
{
	account_start(f->account, flows_ended, f);
	return flows_wait(f);
}

/* The account if needed, then one order to its end. */
static inline int flows_order(struct flows *f)
{
	if (!ca_kid(f->ca))
		assert_int_equal(flows_register(f), 0);
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	flows_wait(f);
	order_free(f->order);
	f->order = NULL;
	return f->rc;
}

static inline void flows_failed_with(struct flows *f, enum err_code code,
                                     const char *words)
{
	if (f->rc != (int)code || (words && !strstr(f->e.text, words)))
		fail_msg("%s: %s\n%s", err_code_name(f->rc), f->e.text,
		         f->d->b->log.ptr);
}

static inline void flows_logged(struct flows *f, const char *words)
{
	if (!bench_logged(f->d->b, words))
		fail_msg("not logged: %s\n%s", words, f->d->b->log.ptr);
}

static inline size_t flows_lines(struct flows *f, const char *words)
{
	size_t count = 0;

	for (const char *p = f->d->b->log.ptr; p && (p = strstr(p, words)); p++)
		count++;
	return count;
}

/* Nothing is left of an order but what it brought. */
static inline void flows_clean(struct flows *f)
{
	assert_int_equal(scripted_count(&f->web), 0);
	assert_int_equal(scripted_count(&f->zone), 0);
	assert_int_equal(memory_count(&f->d->memory, "orders/", NULL), 0);
}
