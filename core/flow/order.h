/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "flow/ca.h"
#include "flow/flow.h"
#include "plugin/instance.h"
#include "store/store.h"

/*
 * One certificate of one key type from newOrder to the store (RFC 8555 section
 * 7.4). An order that ends for a reason that may pass (network, rate limit,
 * full disk) stays saved; started again for the same certificate and key type
 * it goes on where it was, as it does after a crash.
 */
struct order;

/* What an order works with; outlives it. */
struct order_env {
	struct loop *loop;
	struct store *store;
	/* The challenge instance of this name, or NULL. */
	struct instance *(*instance)(void *arg, const char *name);
	/* The certificate was stored and must be served now. */
	void (*install)(void *arg, const struct cert_record *record);
	void *arg;
};

struct order_spec {
	const char *certificate; /* its name */
	enum key_kind kind;
	struct names identifiers;
	struct names challenges; /* instances to try, in this order */
	/* All key types of the certificate: when each has an entry, entries of
	 * other types are dropped from it. */
	enum key_kind wanted[KEY_KINDS];
	size_t wanted_count;
	/* Only what a saved order has left to do; no new one begins. */
	bool finish_only;
};

typedef void order_fn(void *arg, int rc, const struct err *e);

/* Copies the spec. `ca` must have an account. `fn` frees nothing: call
 * order_free in it or later. */
struct order *order_start(const struct order_env *env, struct ca *ca,
                          const struct log *log, const struct order_spec *spec,
                          order_fn *fn, void *arg);
/* Also one that is under way: it stays saved and goes on when started anew. */
void order_free(struct order *o);

/* "authorize", ...: for status. */
const char *order_state(const struct order *o);
/* What keeps it from going on just now, while it tries again; or NULL. */
const struct err *order_trouble(const struct order *o);
/* It has failed and is only cleaned up: to go on means a new one. */
bool order_is_lost(const struct order *o);

extern const struct flow_table ORDER_FLOW;
