/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revocation as an operator means it: see revoke.h. One list of certificates to
 * go through, whether they came from the store or from outside; the mark in the
 * store comes after the CA has agreed, so what is marked is revoked.
 */
#include "renew/revoke.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/chain.h"
#include "flow/revocation.h"

/* One certificate to be revoked. */
struct victim {
	char *issuer, *serial;
	struct chain *chain;
};

struct revoke {
	struct revoke_setup set;
	char *name; /* NULL: brought from outside */
	struct victim victims[CERT_KEYS_MAX];
	size_t count, at;
	struct store_op *get;
	struct revocation *flow;
	const struct issuer *issuer; /* of the flow */
	struct issuer_wait *wait;
	struct change *change;
	struct err e;
};

static void next(struct revoke *v);

static void finish(struct revoke *v, int rc, const struct err *e)
{
	v->set.done(v->set.arg, v, rc, e);
}

static int add(struct revoke *v, const char *issuer, const char *serial,
               struct str pem, struct err *e)
{
	struct victim *one = &v->victims[v->count];
	int rc = chain_read(pem, &one->chain, e);

	if (rc < 0)
		return rc;
	one->issuer = mem_strdup(issuer);
	one->serial = mem_strdup(serial);
	v->count++;
	return 0;
}

/* ----------------------------------------------------------- the marks */

static int mark(void *arg, struct cert_record *record, struct err *e)
{
	struct revoke *v = arg;

	(void)e;
	for (size_t n = 0; n < v->count; n++)
		for (size_t k = 0; k < record->key_count; k++)
			if (!strcmp(record->keys[k].serial,
			            v->victims[n].serial))
				record->keys[k].revoked = true;
	return 0;
}

static void marked(void *arg, int rc, const struct err *e,
                   const struct cert_record *record)
{
	struct revoke *v = arg;

	v->change = NULL;
	if (rc == 0)
		v->set.marked(v->set.arg, record);
	finish(v, rc, e);
}

/* -------------------------------------------------------- one by one */

static void revoked(void *arg, int rc, const struct err *e)
{
	struct revoke *v = arg;
	struct err copy = { 0 };

	if (rc < 0)
		copy = *e;
	revocation_free(v->flow);
	v->flow = NULL;
	if (rc < 0) {
		finish(v, rc, &copy);
		return;
	}
	log_notice(v->set.log, "revoked", "serial=%s",
	           v->victims[v->at].serial);
	v->at++;
	next(v);
}

static void not_configured(struct revoke *v)
{
	err_set(&v->e, ERR_ABSENT, "issuer \"%s\" is not configured",
	        v->victims[v->at].issuer);
	finish(v, v->e.code, &v->e);
}

static void ready(void *arg, int rc, const struct err *e)
{
	struct revoke *v = arg;
	struct victim *one = &v->victims[v->at];
	struct issuer *issuer = v->set.issuer(v->set.arg, one->issuer);

	v->wait = NULL;
	if (rc < 0) {
		finish(v, rc, e);
		return;
	}
	if (!issuer) {
		not_configured(v);
		return;
	}
	v->issuer = issuer;
	v->flow = revocation_start(v->set.loop, issuer_ca(issuer), v->set.log,
	                           chain_der(one->chain, 0), v->set.reason,
	                           NULL, revoked, v);
}

static void next(struct revoke *v)
{
	if (v->at < v->count) {
		struct victim *one = &v->victims[v->at];
		struct issuer *issuer =
			v->set.issuer(v->set.arg, one->issuer);
		if (issuer) {
			v->wait = issuer_wait(issuer, ready, v);
			return;
		}
		not_configured(v);
	} else if (v->name) {
		v->change = store_change(v->set.store, v->name, mark, marked,
		                         v);
	} else {
		finish(v, 0, NULL);
	}
}

/* ------------------------------------------------------------ what to */

static int take(struct revoke *v, struct str value, struct err *e)
{
	struct cert_record record;
	int rc = cert_record_read(value, &record, e);

	for (size_t k = 0; rc == 0 && k < record.key_count; k++)
		if (!record.keys[k].revoked)
			rc = add(v, record.keys[k].issuer,
			         record.keys[k].serial,
			         str_of(record.keys[k].chain), e);
	if (rc == 0 && v->count == 0)
		rc = err_set(e, ERR_CONFLICT, "%s is revoked already", v->name);
	cert_record_free(&record);
	return rc;
}

static void got(void *arg, int rc, const struct err *e, struct str value,
                struct str version)
{
	struct revoke *v = arg;

	(void)version;
	v->get = NULL;
	if (rc < 0)
		v->e = *e;
	else
		rc = take(v, value, &v->e);
	if (rc < 0)
		finish(v, rc, &v->e);
	else
		next(v);
}

struct revoke *revoke_stored(const struct revoke_setup *setup, const char *name)
{
	struct revoke *v = mem_alloc(sizeof *v);
	char key[STORE_KEY_MAX];

	v->set = *setup;
	v->name = mem_strdup(name);
	v->get = store_get(setup->store, store_certificate_key(name, key), got,
	                   v);
	return v;
}

struct revoke *revoke_pem(const struct revoke_setup *setup, const char *issuer,
                          const char *name, struct str pem, struct err *e)
{
	struct revoke *v = mem_alloc(sizeof *v);

	v->set = *setup;
	v->name = name ? mem_strdup(name) : NULL;
	if (add(v, issuer, "", pem, e) < 0) {
		revoke_free(v);
		return NULL;
	}
	free(v->victims[0].serial);
	v->victims[0].serial =
		mem_strdup(chain_facts(v->victims[0].chain)->serial);
	next(v);
	return v;
}

void revoke_lose(struct revoke *v, const struct issuer *issuer)
{
	if (!v->flow || v->issuer != issuer)
		return;
	revocation_free(v->flow);
	v->flow = NULL;
	err_set(&v->e, ERR_CANCELED, "issuer %s was removed or changed",
	        v->victims[v->at].issuer);
	finish(v, v->e.code, &v->e);
}

void revoke_free(struct revoke *v)
{
	store_cancel(&v->get);
	change_cancel(&v->change);
	issuer_wait_cancel(&v->wait);
	revocation_free(v->flow);
	for (size_t n = 0; n < v->count; n++) {
		free(v->victims[n].issuer);
		free(v->victims[n].serial);
		chain_free(v->victims[n].chain);
	}
	free(v->name);
	free(v);
}
