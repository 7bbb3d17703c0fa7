/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "renew/renew.h"
#include "renew/revoke.h"

/*
 * Renewal from within: for renew.c (wishes, facts, issuers) and revoking.c (what
 * an operator revokes), and for nobody else.
 */
/* Somebody waits for all legs of a certificate to have ended an order. */
struct waiter {
	struct waiter *next;
	const struct item *item;
	size_t pending; /* legs, as a set of kinds: 1 << kind */
	struct err first_error;
	renew_fn *fn;
	void *arg;
};

/* A revocation under way. */
struct revoking {
	struct revoking *next, **prev;
	struct renew *renew;
	struct revoke *revoke;
	renew_fn *fn;
	void *arg;
};

struct renew {
	struct renew_setup set;
	struct order_env orders;
	struct issuer_env env;
	struct log log;
	struct conf *conf;
	struct inventory *inventory;
	struct issuer **issuers;
	size_t issuer_count;
	struct waiter *waiters;
	struct revoking *revoking;
	bool revoke_ended; /* one of them; for end_revocations */
	struct store_op *load;
	renew_fn *loaded_fn;
	void *loaded_arg;
	bool loaded;
	unsigned loads; /* begun */
};

/* Books every wanted leg of the item by its facts and wishes. */
void renew_book(struct renew *r, struct item *item);

/* What has just been stored under a name: newer than what a load that is under
 * way may have read. */
struct item *renew_take(struct renew *r, const struct cert_record *record);

/* Ends a revocation without its fn. */
void revoking_free(struct revoking *v);
