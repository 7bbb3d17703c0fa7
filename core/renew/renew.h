/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/order.h"
#include "renew/inventory.h"
#include "renew/issuer.h"
#include "store/store.h"

/*
 * The part that keeps what exists equal to what should exist: inventory,
 * issuers, and what an operator asks for in between. Threads: the loop's.
 */
struct renew;

struct renew_setup {
	struct loop *loop;
	struct http_client *http;
	struct store *store;
	const struct log *log;
	struct instance *(*instance)(void *arg, const char *name);
	/* A stored certificate is to be served: found at start (`fresh` false),
	 * or just issued. */
	void (*install)(void *arg, const struct cert_record *r,
	                const struct wish *wish, bool fresh);
	/* It is to be served no more. */
	void (*withdraw)(void *arg, const char *name);
	/* What happened to a certificate: "issued", "failed", "revoked". */
	void (*event)(void *arg, const char *what, const struct leg *leg,
	              const struct err *e);
	void *arg;
};

struct renew *renew_new(const struct renew_setup *setup);
/* Orders under way stay saved. Waiting callers are told ERR_CANCELED. */
void renew_free(struct renew *r);

/* Reads all stored certificates, hands each to `install`, then calls fn. Before
 * that nothing is ordered. */
typedef void renew_fn(void *arg, int rc, const struct err *e);
void renew_load(struct renew *r, renew_fn *fn, void *arg);

/* What nginx instances want, as they said it; checked and bounded already. */
struct declaration {
	char *name, *issuer;
	struct names identifiers;
	enum key_kind kinds[KEY_KINDS]; /* none: the issuer's */
	size_t kind_count;
};

struct declarations {
	uid_t uid;   /* who declared: 0 for root and for us */
	char *owner; /* "prefix|configuration" */
	struct declaration *list;
	size_t count;
};

/* The configuration (kept by reference) and all declarations (borrowed for the
 * call), at start and whenever either has changed. */
void renew_configure(struct renew *r, struct conf *conf,
                     const struct declarations *declared, size_t count);

/* Orders every wanted key type of the certificate now (`force`), or those that
 * are missing or failing; `fn` is told when all of them have ended. ERR_ABSENT
 * (fn does not run) if nobody asks for such a certificate. */
int renew_now(struct renew *r, const char *name, bool force, renew_fn *fn,
              void *arg, struct err *e);

/* Revokes what is stored under the name (RFC 5280 reason or -1), marks it, and
 * orders a new one if it is wanted. */
int renew_revoke(struct renew *r, const char *name, int reason, renew_fn *fn,
                 void *arg, struct err *e);
/* Revokes a certificate (PEM) that may not be ours to serve, at the issuer; one
 * that is stored is marked as above. `issuer` NULL: the one that it is stored
 * under, or the only one. Its serial is written to `serial`. */
enum { RENEW_SERIAL = 128 };
int renew_revoke_pem(struct renew *r, const char *issuer, struct str pem,
                     int reason, char serial[RENEW_SERIAL], renew_fn *fn,
                     void *arg, struct err *e);

/* Certificates that nobody wants and that have expired or were revoked: out of
 * service (`withdraw`), moved into archive/, forgotten. Call it now and then. */
void renew_sweep(struct renew *r);

const struct inventory *renew_inventory(const struct renew *r);
struct issuer *renew_issuer(const struct renew *r, const char *name);
/* In the order of the configuration; NULL beyond the end. */
struct issuer *renew_issuer_at(const struct renew *r, size_t n);
/* How many certificates are wanted and how many of these are served well. */
struct renew_counts {
	size_t wanted, current, failing;
};
void renew_count(const struct renew *r, struct renew_counts *out);
