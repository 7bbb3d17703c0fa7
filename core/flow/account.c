/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account flow. RFC 8555 section 7.3.1: newAccount with a key that the CA
 * knows answers with the account that exists, so "find" and "create" are one
 * request, and a crash between the answer and the save costs nothing.
 */
#include "flow/account.h"

#include <stdio.h>
#include <stdlib.h>

#include "acme/account_doc.h"
#include "acme/payload.h"
#include "acme/problem.h"
#include "acme/url.h"
#include "base/mem.h"
#include "flow/keygen.h"

enum account_state {
	ACCOUNT_LOAD,
	ACCOUNT_KEY,
	ACCOUNT_REGISTER,
	ACCOUNT_UPDATE,
	ACCOUNT_READY,
};

struct account {
	struct flow flow;
	struct store *store;
	struct account_spec spec;
	struct account_record record;
	char record_key[STORE_KEY_MAX];
	struct key *key;
	struct keygen *keygen;
	struct store_op *op;
	bool loaded;
	bool confirmed; /* by the CA, since we run */
	bool dirty; /* the record is not what is stored */
	account_fn *fn;
	void *arg;
};

/* --------------------------------------------------------------- load */

static int after_load(const struct account *a)
{
	return !a->key          ? ACCOUNT_KEY
	       : !a->record.url ? ACCOUNT_REGISTER
	                        : ACCOUNT_UPDATE;
}

/* What was stored is kept elsewhere; now a new key may take its place. */
static void set_aside(void *arg, int rc, const struct err *e, struct str value,
                      struct str version)
{
	struct account *a = arg;

	(void)value;
	(void)version;
	a->op = NULL;
	a->loaded = rc == 0;
	if (rc < 0)
		flow_fail(&a->flow, e);
	else
		flow_go_on(&a->flow, ACCOUNT_KEY);
}

static void loaded(void *arg, int rc, const struct err *e, struct str value,
                   struct str version)
{
	struct account *a = arg;
	struct err why;

	a->op = NULL;
	if (rc < 0 && rc != ERR_ABSENT) {
		flow_fail(&a->flow, e);
		return;
	}
	if (rc == 0) {
		rc = account_record_read(value, &a->record, &why);
		if (rc == 0)
			rc = key_from_pem((struct str){ a->record.key.ptr,
			                                a->record.key.len },
			                  &a->key, &why);
		if (rc < 0) {
			account_record_free(&a->record);
			a->op = store_set_aside(a->store, a->record_key, value,
			                        version, &why, set_aside, a);
			return;
		}
	}
	a->loaded = true;
	flow_go_on(&a->flow, after_load(a));
}

static int ask_load(struct flow *f, struct err *e)
{
	struct account *a = f->self;

	(void)e;
	if (a->loaded) {
		f->next = after_load(a);
		return FLOW_SKIP;
	}
	a->op = store_get(a->store, a->record_key, loaded, a);
	return FLOW_WAIT;
}

/* ---------------------------------------------------------------- key */

static void key_made(void *arg, int rc, const struct err *e, struct key *key,
                     struct secret *pem)
{
	struct account *a = arg;

	a->keygen = NULL;
	if (rc < 0) {
		flow_fail(&a->flow, e);
		return;
	}
	a->key = key;
	a->record.key = *pem;
	*pem = SECRET_NONE;
	a->dirty = true;
	flow_go_on(&a->flow, ACCOUNT_REGISTER);
}

static int ask_key(struct flow *f, struct err *e)
{
	struct account *a = f->self;

	(void)e;
	a->keygen = keygen_start(f->loop, a->spec.kind, key_made, a);
	return FLOW_WAIT;
}

/* ----------------------------------------------------------- register */

static void take_spec(struct account *a)
{
	names_free(&a->record.contacts);
	names_copy(&a->record.contacts, &a->spec.contacts);
	a->record.terms_agreed = a->spec.terms_agreed;
	a->dirty = true;
}

static int ask_account(struct flow *f, struct err *e)
{
	struct account *a = f->self;
	struct payload_account p = {
		.contacts = (const char *const *)a->spec.contacts.list,
		.contact_count = a->spec.contacts.count,
		.terms_agreed = a->spec.terms_agreed,
	};
	struct buf body = BUF_INIT(64 << 10);
	int rc = payload_account(&p, &body, e);

	return flow_payload(f, &body, rc);
}

static int ask_register(struct flow *f, struct err *e)
{
	struct account *a = f->self;

	ca_set_account(f->ca, a->key, NULL);
	f->ask.target = CA_NEW_ACCOUNT;
	f->ask.with_jwk = true;
	return ask_account(f, e);
}

/* Both newAccount and the account itself answer with the account. */
static int read_account(struct flow *f, const struct ca_answer *answer,
                        struct err *e)
{
	struct account_doc doc;
	int rc = account_doc_read(answer->body, &f->step_mem, &doc, e);

	if (rc == 0 && doc.status != ACCOUNT_STATUS_VALID)
		rc = err_set(e, ERR_DENIED, "the account is %s",
		             account_status_name(doc.status));
	return rc;
}

static int hear_register(struct flow *f, const struct ca_answer *answer,
                         struct err *e)
{
	struct account *a = f->self;
	int rc = read_account(f, answer, e);

	if (rc < 0)
		return rc;
	if (!answer->location)
		return err_set(e, ERR_BROKEN, "newAccount without Location");
	rc = url_check(str_of(answer->location), 0, e);
	if (rc < 0)
		return err_in(e, "Location");
	free(a->record.url);
	a->record.url = mem_strdup(answer->location);
	a->confirmed = true;
	take_spec(a);
	return ACCOUNT_UPDATE;
}

/* ------------------------------------------------------------- update */

static bool is_current(const struct account *a)
{
	return names_equal(&a->record.contacts, &a->spec.contacts) &&
	       (a->record.terms_agreed || !a->spec.terms_agreed);
}

static int ask_update(struct flow *f, struct err *e)
{
	struct account *a = f->self;

	ca_set_account(f->ca, a->key, a->record.url);
	if (is_current(a)) {
		f->next = ACCOUNT_READY;
		return FLOW_SKIP;
	}
	f->ask.url = a->record.url;
	return ask_account(f, e);
}

static int hear_update(struct flow *f, const struct ca_answer *answer,
                       struct err *e)
{
	int rc = read_account(f, answer, e);

	if (rc < 0)
		return rc;
	((struct account *)f->self)->confirmed = true;
	take_spec(f->self);
	return ACCOUNT_READY;
}

/* The CA has forgotten us: a test CA, or another behind the same name. */
static int fault_update(struct flow *f, const struct err *e)
{
	if (!problem_is(e, "accountDoesNotExist"))
		return -1;
	account_forget(f->self);
	return ACCOUNT_REGISTER;
}

/* -------------------------------------------------------------- table */

static void saved(void *arg, int rc, const struct err *e, struct str value,
                  struct str version)
{
	struct account *a = arg;

	(void)value;
	(void)version;
	a->op = NULL;
	a->dirty = rc < 0;
	flow_saved(&a->flow, rc, e);
}

static void save(struct flow *f)
{
	struct account *a = f->self;
	struct buf text = BUF_INIT(RECORD_MAX);

	if (!a->dirty) {
		flow_saved(f, 0, NULL);
		return;
	}
	if (!a->record.directory)
		a->record.directory = mem_strdup(ca_directory_url(f->ca));
	struct err e;
	if (account_record_write(&a->record, &text) == 0) {
		a->op = store_put(a->store, a->record_key, buf_str(&text),
		                  EXPECT_ANY, saved, a);
	} else {
		err_set(&e, ERR_NOSPACE, "the account's record is over %d bytes",
		        RECORD_MAX);
		flow_saved(f, e.code, &e);
	}
	buf_free(&text);
}

static void done(struct flow *f, int rc, const struct err *e)
{
	struct account *a = f->self;
	account_fn *fn = a->fn;
	const struct directory_doc *d = ca_directory(f->ca);
	struct err copy = { 0 };

	if (rc < 0) {
		copy = *e;
		/* CAs differ in how they say that the terms were it. */
		if (!a->spec.terms_agreed && d && d->terms &&
		    (rc == ERR_DENIED || rc == ERR_INVALID)) {
			snprintf(copy.text, sizeof copy.text,
			         "%.300s (set accept_terms = yes to agree to "
			         "%.120s)", e->text, d->terms);
			copy.code = ERR_DENIED;
		}
		rc = err_in(&copy, "account");
	}
	a->fn = NULL;
	fn(a->arg, rc, rc < 0 ? &copy : NULL);
}

/* clang-format off */
static const struct step STEPS[] = {
	/* state               name        ask           hear           fault         may go to                                                           limit */
	[ACCOUNT_LOAD]     = { "load",     ask_load,     NULL,          NULL,         FLOW_TO(ACCOUNT_KEY) | FLOW_TO(ACCOUNT_REGISTER) | FLOW_TO(ACCOUNT_UPDATE), FLOW_SHORT },
	[ACCOUNT_KEY]      = { "key",      ask_key,      NULL,          NULL,         FLOW_TO(ACCOUNT_REGISTER),                                          FLOW_LONG  },
	[ACCOUNT_REGISTER] = { "register", ask_register, hear_register, NULL,         FLOW_TO(ACCOUNT_UPDATE),                                            FLOW_SHORT },
	[ACCOUNT_UPDATE]   = { "update",   ask_update,   hear_update,   fault_update, FLOW_TO(ACCOUNT_READY) | FLOW_TO(ACCOUNT_REGISTER),                 FLOW_SHORT },
	[ACCOUNT_READY]    = { "ready",    NULL,         NULL,          NULL,         0,                                                                  FLOW_SHORT },
};
/* clang-format on */

const struct flow_table ACCOUNT_FLOW = {
	.name = "account",
	.steps = STEPS,
	.count = sizeof STEPS / sizeof *STEPS,
	.done = ACCOUNT_READY,
	.save = save,
	.done_fn = done,
};

/* ----------------------------------------------------------- lifetime */

struct account *account_new(struct loop *loop, struct ca *ca,
                            struct store *store, const struct log *log,
                            const struct account_spec *spec)
{
	struct account *a = mem_alloc(sizeof *a);

	a->flow.self = a;
	a->flow.ca = ca;
	a->flow.loop = loop;
	log_init(&a->flow.log, log, "account", NULL);
	a->store = store;
	a->spec = *spec;
	a->spec.issuer = mem_strdup(spec->issuer);
	names_copy(&a->spec.contacts, &spec->contacts);
	store_account_key(spec->issuer, ca_directory_url(ca), a->record_key);
	return a;
}

void account_start(struct account *a, account_fn *fn, void *arg)
{
	a->fn = fn;
	a->arg = arg;
	flow_end(&a->flow);
	flow_start(&a->flow, &ACCOUNT_FLOW, ACCOUNT_LOAD);
}

void account_forget(struct account *a)
{
	free(a->record.url);
	a->record.url = NULL;
	a->confirmed = false;
}

bool account_confirmed(const struct account *a)
{
	return a->confirmed;
}

void account_free(struct account *a)
{
	if (!a)
		return;
	flow_end(&a->flow);
	keygen_cancel(&a->keygen);
	store_cancel(&a->op);
	ca_set_account(a->flow.ca, NULL, NULL);
	key_free(a->key);
	account_record_free(&a->record);
	names_free(&a->spec.contacts);
	free((char *)(uintptr_t)a->spec.issuer);
	free(a);
}
