/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "flow/ca.h"
#include "flow/order.h"
#include "renew/inventory.h"

/*
 * An issuer at work: its CA, our account there, and the agenda of everything
 * that it is to issue. Each has its own, so a CA that is slow or down holds up
 * nobody else's certificates. Threads: the loop's.
 */
struct issuer;

/* What issuers share; outlives them. */
struct issuer_env {
	struct loop *loop;
	struct http_client *http;
	struct store *store;
	const struct log *log;
	const struct order_env *orders;
	/* An order has ended; the leg is booked anew afterwards. */
	void (*ended)(void *arg, struct leg *leg, int rc, const struct err *e);
	/* An order has given its place up: somebody's next one may begin. */
	void (*room)(void *arg);
	void *arg;
	unsigned running, max_orders; /* over all issuers */
};

struct issuer *issuer_new(struct issuer_env *env, const struct conf_issuer *c);
/* Orders under way are left saved; booked legs become unbooked. */
void issuer_free(struct issuer *i);

/* Could it go on with this configuration, or is it another issuer now? */
bool issuer_same(const struct issuer *i, const struct conf_issuer *c);
const char *issuer_name(const struct issuer *i);
struct ca *issuer_ca(const struct issuer *i);

/* Puts the leg where it belongs in the agenda, by its facts, wishes and
 * failures. Not one with an order under way. */
void issuer_book(struct issuer *i, struct leg *leg);
void issuer_unbook(struct issuer *i, struct leg *leg);
/* Ends the order of a leg that is not wished for any more; it stays saved. */
void issuer_stop(struct issuer *i, struct leg *leg);

/* Runs fn once, on a later turn, when there is an account to sign with, or with
 * the reason why there is none. */
struct issuer_wait;
typedef void issuer_fn(void *arg, int rc, const struct err *e);
struct issuer_wait *issuer_wait(struct issuer *i, issuer_fn *fn, void *arg);
/* Safe with NULL; sets it NULL. */
void issuer_wait_cancel(struct issuer_wait **wait);

/* An operator wants something now: whatever failed is tried at once. */
void issuer_kick(struct issuer *i);

/* There may be room for an order now. */
void issuer_poke(struct issuer *i);

struct issuer_status {
	const char *state;   /* "ready", "starting", "failed", "idle" */
	const char *account; /* URL or NULL */
	const struct err *last_error; /* or NULL */
	int64_t last_error_at;
	size_t running, booked;
	struct ca_stats calls;
};
void issuer_status(const struct issuer *i, struct issuer_status *out);
