/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order flow (RFC 8555 section 7.4), as its table at the end of this file:
 *
 *   key        make the certificate's key: saved before the CA hears of us, so
 *              that no crash loses a key and no full disk costs an order
 *   new        newOrder
 *   authorize  authorizations side by side (order_challenges.c)
 *   ready      until the CA has seen all of them
 *   finalize   the CSR
 *   issue      until the certificate is there
 *   fetch      download and prove it: chain, key, names, dates
 *   store      merge it into the stored certificate, then have it served
 *              (order_store.c)
 *   explain    the order is invalid: find out why
 *   cleanup    every challenge that was presented is taken away
 *   done       the record is gone
 *
 * What an arrow adds to the record is saved before the next step begins. An
 * order that is started with a saved record asks the CA how far it has come,
 * and goes on there. One that cannot
 * go on (the CA has forgotten it, it was for other names, it was at its end) is
 * cleaned up, its record goes, and a new one begins at `key`.
 */
#include "flow/order_inside.h"

#include <stdlib.h>

#include "acme/order_doc.h"
#include "acme/authz_doc.h"
#include "acme/payload.h"
#include "acme/problem.h"
#include "acme/url.h"
#include "base/mem.h"
#include "base/now.h"
#include "crypto/csr.h"
#include "loop/after.h"

enum { NOT_READY_MAX = 3 };

/* ---------------------------------------------------------------- key */

static void key_made(void *arg, int rc, const struct err *e, struct key *key,
                     struct secret *pem)
{
	struct order *o = arg;

	o->keygen = NULL;
	if (rc < 0) {
		flow_fail(&o->flow, e);
		return;
	}
	o->key = key;
	o->record.key = *pem;
	o->dirty = true;
	*pem = SECRET_NONE;
	flow_go_on(&o->flow, ORDER_NEW);
}

/* There is nothing saved to go on with. */
static void begin_key(struct order *o)
{
	if (o->spec.finish_only) {
		flow_go_on(&o->flow, ORDER_DONE);
		return;
	}
	o->keygen = keygen_start(o->flow.loop, o->spec.kind, key_made, o);
}

static bool same_wish(const struct order *o, const struct order_record *r)
{
	return names_same(&r->identifiers, &o->spec.identifiers) &&
	       !strcmp(r->issuer, ca_name(o->flow.ca)) &&
	       r->kind == o->spec.kind;
}

/* Takes over a saved order if it is for what we want now; one for something
 * else, or at its end, is only cleaned up. */
static int take_record(struct order *o, struct order_record *r, struct err *e)
{
	struct str pem = { r->key.ptr, r->key.len };
	int state = flow_state(&ORDER_FLOW, r->state);
	const char *kid = ca_kid(o->flow.ca); /* NULL: registered anew now */
	bool lost = r->account && (!kid || strcmp(r->account, kid) != 0);

	if (key_from_pem(pem, &o->key, e) < 0)
		return e->code;
	o->anew = !same_wish(o, r) || lost || state == ORDER_CLEANUP ||
	          state == ORDER_EXPLAIN;
	order_record_free(&o->record);
	o->record = *r;
	*r = (struct order_record){ 0 };
	if (o->anew)
		return ORDER_CLEANUP;
	/* How far it has come is for the CA to say. */
	return o->record.url ? ORDER_READY : ORDER_NEW;
}

/* What was stored is kept elsewhere; now a new order may take its place. */
static void set_aside(void *arg, int rc, const struct err *e, struct str value,
                      struct str version)
{
	struct order *o = arg;

	(void)value;
	(void)version;
	o->load = NULL;
	if (rc < 0)
		flow_fail(&o->flow, e);
	else
		begin_key(o);
}

static void loaded(void *arg, int rc, const struct err *e, struct str value,
                   struct str version)
{
	struct order *o = arg;
	struct order_record r = { 0 };
	struct err why;

	o->load = NULL;
	if (rc == ERR_ABSENT) {
		begin_key(o);
		return;
	}
	if (rc < 0) {
		flow_fail(&o->flow, e);
		return;
	}
	rc = order_record_read(value, &r, &why);
	if (rc == 0)
		rc = take_record(o, &r, &why);
	if (rc < 0) {
		order_record_free(&r);
		o->load = store_set_aside(o->env->store, o->record_key, value,
		                          version, &why, set_aside, o);
		return;
	}
	log_info(&o->flow.log, "resume", "state=%s", o->record.state);
	flow_go_on(&o->flow, rc);
}

static void fill_record(struct order *o)
{
	o->record.certificate = mem_strdup(o->spec.certificate);
	o->record.issuer = mem_strdup(ca_name(o->flow.ca));
	o->record.kind = o->spec.kind;
	o->record.started = now_wall();
	names_copy(&o->record.identifiers, &o->spec.identifiers);
}

static void begin_anew(struct order *o)
{
	o->anew = false;
	order_free_children(o);
	order_record_free(&o->record);
	key_free(o->key);
	o->key = NULL;
	fill_record(o);
}

int order_after_cleanup(const struct order *o)
{
	return o->anew && !o->spec.finish_only ? ORDER_KEY : ORDER_DONE;
}

static int ask_key(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	if (o->anew)
		begin_anew(o);
	o->load = store_get(o->env->store, o->record_key, loaded, o);
	return FLOW_WAIT;
}

/* ------------------------------------------- new, ready, issue: the order */

static int ask_new(struct flow *f, struct err *e)
{
	struct order *o = f->self;
	struct buf body = BUF_INIT(FLOW_STEP_MEM / 2);
	struct str *names = names_strs(&o->record.identifiers);
	int rc = payload_order(names, o->record.identifiers.count, NULL, NULL,
	                       &body, e);

	free(names);
	f->ask.target = CA_NEW_ORDER;
	return flow_payload(f, &body, rc);
}

static void replace(char **text, const char *with)
{
	char *copy = with ? mem_strdup(with) : NULL;

	free(*text);
	*text = copy;
}

static void drop_authz(struct order *o)
{
	for (size_t i = 0; i < o->record.authz_count; i++)
		authz_record_free(&o->record.authz[i]);
	free(o->record.authz);
	o->record.authz = NULL;
	o->record.authz_count = 0;
}

static void take_authz(struct order *o, const struct order_doc *doc)
{
	drop_authz(o);
	o->record.authz = mem_array(doc->authorization_count,
	                            sizeof *o->record.authz);
	o->record.authz_count = doc->authorization_count;
	for (size_t i = 0; i < doc->authorization_count; i++)
		o->record.authz[i] = (struct authz_record){
			.url = mem_strdup(doc->authorizations[i]),
			.cookie = BUF_INIT(ORDER_COOKIE_MAX),
		};
}

/* Where an order in this state goes next, seen from `pending`: where to wait
 * while it is pending. */
static int next_of(struct order *o, const struct order_doc *doc, int pending,
                   struct err *e)
{
	switch (doc->status) {
	case ORDER_STATUS_PENDING:
		return pending;
	case ORDER_STATUS_READY:
		return ORDER_FINALIZE;
	case ORDER_STATUS_PROCESSING:
		return ORDER_ISSUE;
	case ORDER_STATUS_VALID:
		if (o->record.download)
			return ORDER_FETCH;
		return err_set(e, ERR_BROKEN,
		               "a valid order without certificate URL");
	case ORDER_STATUS_INVALID:
		break;
	}
	o->failed = true;
	if (doc->error)
		o->failure = *doc->error;
	return ORDER_EXPLAIN;
}

static int read_order(struct order *o, const struct ca_answer *answer,
                      struct order_doc *doc, struct err *e)
{
	int rc = order_doc_read(answer->body, 0, &o->flow.step_mem, doc, e);

	if (rc < 0)
		return rc;
	if (doc->finalize)
		replace(&o->record.finalize, doc->finalize);
	if (doc->certificate)
		replace(&o->record.download, doc->certificate);
	return 0;
}

static int hear_new(struct flow *f, const struct ca_answer *answer,
                    struct err *e)
{
	struct order *o = f->self;
	struct order_doc doc;
	int rc = read_order(o, answer, &doc, e);

	if (rc < 0)
		return rc;
	if (!answer->location)
		return err_set(e, ERR_BROKEN, "newOrder without Location");
	if (url_check(str_of(answer->location), 0, e) < 0)
		return err_in(e, "Location");
	replace(&o->record.url, answer->location);
	replace(&o->record.account, ca_kid(f->ca));
	take_authz(o, &doc);
	o->dirty = true;
	return next_of(o, &doc, ORDER_AUTHORIZE, e);
}

static int ask_order(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	f->ask.url = o->record.url;
	return FLOW_SEND;
}

static int hear_order(struct flow *f, const struct ca_answer *answer,
                      struct err *e)
{
	struct order *o = f->self;
	struct order_doc doc;
	int rc = read_order(o, answer, &doc, e);

	/* Pending, and nobody has been told yet: an order that goes on after
	 * a restart. */
	int pending = o->children ? ORDER_READY : ORDER_AUTHORIZE;
	return rc < 0 ? rc : next_of(o, &doc, pending, e);
}

/* ----------------------------------------------------- finalize, fetch */

static int ask_finalize(struct flow *f, struct err *e)
{
	struct order *o = f->self;
	struct str *names = names_strs(&o->record.identifiers);
	struct buf csr = BUF_INIT(FLOW_STEP_MEM / 4);
	struct buf body = BUF_INIT(FLOW_STEP_MEM / 2);
	int rc = csr_new(o->key, names, o->record.identifiers.count, &csr, e);

	free(names);
	if (rc == 0)
		rc = payload_finalize(buf_str(&csr), &body, e);
	buf_free(&csr);
	f->ask.url = o->record.finalize;
	return flow_payload(f, &body, rc);
}

static int ask_cert(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	f->ask.url = o->record.download;
	return FLOW_SEND;
}

/* Nothing good is overwritten by something unproven: here it is proven. */
static int hear_cert(struct flow *f, const struct ca_answer *answer,
                     struct err *e)
{
	struct order *o = f->self;
	struct str *names = names_strs(&o->record.identifiers);

	chain_free(o->chain);
	o->chain = NULL;
	int rc = chain_read(answer->body, &o->chain, e);
	if (rc == 0)
		rc = chain_check(o->chain, o->key, names,
		                 o->record.identifiers.count, now_wall(), e);
	free(names);
	return rc < 0 ? err_in(e, "certificate refused") : ORDER_STORE;
}

/* -------------------------------------------------------------- explain */

/* Asks one authorization after another for the error that made the order
 * invalid, unless the order told it. */
static int ask_explain(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	if (o->failure.code || o->explained >= o->record.authz_count) {
		f->next = ORDER_CLEANUP;
		return FLOW_SKIP;
	}
	f->ask.url = o->record.authz[o->explained].url;
	return FLOW_SEND;
}

static int hear_explain(struct flow *f, const struct ca_answer *answer,
                        struct err *e)
{
	struct order *o = f->self;
	struct authz_doc doc;
	int rc = authz_doc_read(answer->body, 0, &f->step_mem, &doc, e);

	if (rc < 0)
		return rc;
	const struct err *why = authz_doc_error(&doc);
	o->explained++;
	if (!why) {
		f->polls = 0; /* not the same question again */
		return ORDER_EXPLAIN;
	}
	o->failure = *why;
	err_in(&o->failure, "%s", doc.identifier.value);
	return ORDER_CLEANUP;
}

/* -------------------------------------------------------------- faults */

/* What may pass is left saved, for later; all else ends the order. */
static int fault(struct flow *f, const struct err *e)
{
	struct order *o = f->self;

	if (e->code == ERR_RETRY || e->code == ERR_LIMITED ||
	    e->code == ERR_NOSPACE || e->code == ERR_CANCELED ||
	    e->code == ERR_CONFLICT || e->code == ERR_BROKEN)
		return -1;
	if (!o->failed) {
		o->failed = true;
		o->failure = *e;
		err_in(&o->failure, "%s", f->table->steps[f->state].name);
	}
	return ORDER_CLEANUP;
}

/* The CA does not know the order any more: a new one, once. */
static int fault_gone(struct flow *f, const struct err *e)
{
	struct order *o = f->self;

	if (e->code != ERR_ABSENT || problem_is(e, "accountDoesNotExist") ||
	    o->restarts++)
		return fault(f, e);
	o->anew = true;
	return ORDER_CLEANUP;
}

/* orderNotReady (RFC 8555 section 7.4): the state is what the order says. A CA
 * that contradicts itself is not asked faster and faster. */
static int fault_finalize(struct flow *f, const struct err *e)
{
	struct order *o = f->self;

	if (problem_is(e, "orderNotReady") && o->not_ready++ < NOT_READY_MAX)
		return ORDER_ISSUE;
	return fault_gone(f, e);
}

/* -------------------------------------------------------------- table */

static void done(struct flow *f, int rc, const struct err *e)
{
	struct order *o = f->self;
	order_fn *fn = o->fn;
	struct err copy = { 0 };

	if (rc == 0 && o->failed) {
		copy = o->failure;
		if (!copy.code)
			err_set(&copy, ERR_INVALID,
			        "the order is invalid, the CA does not say why");
		rc = copy.code;
	} else if (rc < 0) {
		copy = *e;
	}
	fn(o->arg, rc, rc < 0 ? &copy : NULL);
}

#define TO(state) FLOW_TO(ORDER_##state)

/* clang-format off */
static const struct step STEPS[] = {
	/* state               name         ask                  hear          fault           may go to                                                                   limit */
	[ORDER_KEY]       = { "key",       ask_key,             NULL,         fault,          TO(NEW) | TO(READY) | TO(CLEANUP) | TO(DONE),                               FLOW_LONG  },
	[ORDER_NEW]       = { "new",       ask_new,             hear_new,     fault,          TO(AUTHORIZE) | TO(FINALIZE) | TO(ISSUE) | TO(FETCH) | TO(EXPLAIN) | TO(CLEANUP), FLOW_SHORT },
	[ORDER_AUTHORIZE] = { "authorize", order_ask_authorize, NULL,         fault_gone,     TO(READY) | TO(CLEANUP),                                                    FLOW_LONG  },
	[ORDER_READY]     = { "ready",     ask_order,           hear_order,   fault_gone,     TO(AUTHORIZE) | TO(FINALIZE) | TO(ISSUE) | TO(FETCH) | TO(EXPLAIN) | TO(CLEANUP),           FLOW_POLL  },
	[ORDER_FINALIZE]  = { "finalize",  ask_finalize,        hear_order,   fault_finalize, TO(AUTHORIZE) | TO(READY) | TO(ISSUE) | TO(FETCH) | TO(EXPLAIN) | TO(CLEANUP),              FLOW_SHORT },
	[ORDER_ISSUE]     = { "issue",     ask_order,           hear_order,   fault_gone,     TO(AUTHORIZE) | TO(READY) | TO(FINALIZE) | TO(FETCH) | TO(EXPLAIN) | TO(CLEANUP),           FLOW_POLL  },
	[ORDER_FETCH]     = { "fetch",     ask_cert,            hear_cert,    fault_gone,     TO(STORE) | TO(CLEANUP),                                                    FLOW_SHORT },
	[ORDER_STORE]     = { "store",     order_ask_store,     NULL,         fault,          TO(CLEANUP),                                                                FLOW_SHORT },
	[ORDER_EXPLAIN]   = { "explain",   ask_explain,         hear_explain, fault,          TO(CLEANUP),                                                                FLOW_POLL  },
	[ORDER_CLEANUP]   = { "cleanup",   order_ask_cleanup,   NULL,         NULL,           TO(DONE) | TO(KEY),                                                         FLOW_LONG  },
	[ORDER_DONE]      = { "done",      NULL,                NULL,         NULL,           0,                                                                          FLOW_SHORT },
};
/* clang-format on */

const struct flow_table ORDER_FLOW = {
	.name = "order",
	.steps = STEPS,
	.count = sizeof STEPS / sizeof *STEPS,
	.done = ORDER_DONE,
	.save = order_save,
	.done_fn = done,
};

/* ----------------------------------------------------------- lifetime */

static void copy_spec(struct order *o, const struct order_spec *spec)
{
	o->spec = *spec;
	o->spec.certificate = mem_strdup(spec->certificate);
	names_copy(&o->spec.identifiers, &spec->identifiers);
	names_copy(&o->spec.challenges, &spec->challenges);
	fill_record(o);
}

struct order *order_start(const struct order_env *env, struct ca *ca,
                          const struct log *log, const struct order_spec *spec,
                          order_fn *fn, void *arg)
{
	struct order *o = mem_alloc(sizeof *o);

	o->env = env;
	o->flow.self = o;
	o->flow.ca = ca;
	o->flow.loop = env->loop;
	o->fn = fn;
	o->arg = arg;
	log_init(&o->flow.log, log, "order", "cert=%s key=%s", spec->certificate,
	         key_kind_name(spec->kind));
	copy_spec(o, spec);
	store_order_key(spec->certificate, spec->kind, o->record_key);
	flow_start(&o->flow, &ORDER_FLOW, ORDER_KEY);
	return o;
}

void order_free(struct order *o)
{
	if (!o)
		return;
	flow_end(&o->flow);
	keygen_cancel(&o->keygen);
	store_cancel(&o->load);
	store_cancel(&o->save);
	change_cancel(&o->change);
	after_cancel(&o->settle);
	order_free_children(o);
	order_record_free(&o->record);
	chain_free(o->chain);
	key_free(o->key);
	free((char *)(uintptr_t)o->spec.certificate);
	names_free(&o->spec.identifiers);
	names_free(&o->spec.challenges);
	free(o);
}

const char *order_state(const struct order *o)
{
	return ORDER_FLOW.steps[o->flow.state].name;
}

const struct err *order_trouble(const struct order *o)
{
	if (o->flow.trouble.code)
		return &o->flow.trouble;
	for (size_t i = 0; i < o->record.authz_count && o->children; i++) {
		const struct child *c = &o->children[i];
		const struct err *e =
			c->authorization ? authorization_trouble(c->authorization)
					 : NULL;
		if (e)
			return e;
	}
	return NULL;
}

bool order_is_lost(const struct order *o)
{
	return o->failed;
}
