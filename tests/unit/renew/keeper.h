/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of renew stand on: all that those of flow do, a second CA, a
 * configuration read from a real file, and what renew told the agent.
 */
#include "../flow/fixture.h"

#include "renew/issuer.h"
#include "renew/renew.h"

struct keeper {
	struct flows *f;
	struct fake *other; /* the CA of issuer "other" */
	struct renew *renew;
	struct conf *conf;
	bool loaded;

	unsigned issued, failed, revoked, installs, withdrawn;
	char last_failed[64];
	struct err last_error;

	/* orders under way at once, as the CAs see them */
	unsigned waits, waits_failed;
	struct err wait_error;
};

static inline void keeper_install(void *arg, const struct cert_record *r,
                                  const struct wish *wish, bool fresh)
{
	struct keeper *k = arg;

	(void)wish;
	(void)fresh;
	assert_non_null(r->name);
	k->installs++;
}

static inline void keeper_withdraw(void *arg, const char *name)
{
	struct keeper *k = arg;

	(void)name;
	k->withdrawn++;
}

static inline void keeper_event(void *arg, const char *what,
                                const struct leg *leg, const struct err *e)
{
	struct keeper *k = arg;

	assert_non_null(leg->item->name);
	k->issued += !strcmp(what, "issued");
	k->failed += !strcmp(what, "failed");
	k->revoked += !strcmp(what, "revoked");
	if (!e)
		return;
	k->last_error = *e;
	snprintf(k->last_failed, sizeof k->last_failed, "%s", leg->item->name);
}

static inline struct instance *keeper_instance(void *arg, const char *name)
{
	return flows_instance(((struct keeper *)arg)->f, name);
}

static inline void keeper_new_renew(struct keeper *k)
{
	k->loaded = false;
	k->renew = renew_new(&(struct renew_setup){
		.loop = k->f->d->b->loop,
		.http = k->f->d->b->http,
		.store = k->f->d->store,
		.log = &k->f->d->log,
		.instance = keeper_instance,
		.install = keeper_install,
		.withdraw = keeper_withdraw,
		.event = keeper_event,
		.arg = k });
}

static inline int keeper_setup(void **state)
{
	struct keeper *k = mem_alloc(sizeof *k);

	flows_setup(state);
	k->f = *state;
	k->other = fake_new(k->f->d->b->loop);
	keeper_new_renew(k);
	*state = k;
	return 0;
}

static inline int keeper_teardown(void **state)
{
	struct keeper *k = *state;
	void *flows = k->f;

	renew_free(k->renew);
	conf_unref(k->conf);
	fake_free(k->other);
	free(k);
	return flows_teardown(&flows);
}

/* ---- configuration ---- */

#define KEEPER_LE "max_orders = 10\n"

/* Issuers "le" and "other" with these lines, and what follows. */
static inline void keeper_conf(struct keeper *k, const char *agent,
                               const char *le, const char *rest)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	char path[128];
	struct buf text = BUF_INIT(64 << 10);
	struct err e;

	conf_unref(k->conf);
	buf_addf(&text,
	         "[agent]\n%s\n"
	         "[issuer le]\ndirectory = %s/dir\naccept_terms = yes\n"
	         "challenge = web\ncontact = admin@example.com\n%s\n"
	         "[issuer other]\ndirectory = %s/dir\naccept_terms = yes\n"
	         "challenge = web\n%s\n",
	         agent, k->f->fake->base, le, k->other->base, rest);
	snprintf(path, sizeof path, "%s/agent.ini", k->f->d->b->dir);
	assert_int_equal(file_write(path, text.ptr, text.len, 0600, &e), 0);
	if (conf_load(path, &k->conf, &errors) < 0)
		fail_msg("%s", errors.items[0].text);
	conf_errors_free(&errors);
	buf_free(&text);
}

static inline void keeper_configure(struct keeper *k, const char *rest)
{
	keeper_conf(k, "", "", rest);
	renew_configure(k->renew, k->conf, NULL, 0);
}

static inline void keeper_loaded(void *arg, int rc, const struct err *e)
{
	(void)e;
	assert_int_equal(rc, 0);
	((struct keeper *)arg)->loaded = true;
}

static inline bool keeper_has_loaded(void *arg)
{
	return ((struct keeper *)arg)->loaded;
}

static inline void keeper_load(struct keeper *k)
{
	renew_load(k->renew, keeper_loaded, k);
	assert_true(loop_run_until(k->f->d->b->loop, keeper_has_loaded, k,
	                           BENCH_PATIENCE));
}

/* ---- waiting ---- */

static inline struct leg *keeper_leg(struct keeper *k, const char *name)
{
	struct item *item = inventory_find(renew_inventory(k->renew), name);

	assert_non_null(item);
	return &item->legs[KEY_EC256];
}

/* The cleanup that the plugin holds comes to its end, and no other is held. */
static inline void keeper_let_go(struct keeper *k)
{
	struct scripted *web = &k->f->web;

	web->hold_cleanup = false;
	for (int i = 0; i < 2000 && !web->held.id; i++)
		loop_run_once(k->f->d->b->loop, 1);
	if (web->held.id)
		web->host->done(web->held, ACME_OK, 0, acme_text(""));
	web->held.id = 0;
}

struct keeper_goal {
	struct keeper *k;
	unsigned *counter, value;
};

static inline bool keeper_reached(void *arg)
{
	const struct keeper_goal *g = arg;

	return *g->counter >= g->value;
}

static inline void keeper_until(struct keeper *k, unsigned *counter,
                                unsigned value)
{
	struct keeper_goal g = { k, counter, value };

	if (!loop_run_until(k->f->d->b->loop, keeper_reached, &g, BENCH_PATIENCE))
		fail_msg("%u of %u\n%s", *counter, value, k->f->d->b->log.ptr);
}

static inline void keeper_turns(struct keeper *k, int ms)
{
	flows_turns(k->f, ms);
}

static inline void keeper_waited(void *arg, int rc, const struct err *e)
{
	struct keeper *k = arg;

	k->waits++;
	k->waits_failed += rc < 0;
	assert_int_equal(rc < 0, e != NULL);
	k->wait_error = e ? *e : (struct err){ 0 };
}

static inline void keeper_renew(struct keeper *k, const char *name, bool force)
{
	struct err e;

	assert_int_equal(renew_now(k->renew, name, force, keeper_waited, k,
	                           &e),
	                 0);
}
