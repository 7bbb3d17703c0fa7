/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "flow/authorization.h"
#include "flow/keygen.h"
#include "flow/order.h"
#include "crypto/chain.h"

/*
 * An order from within: for order.c (the table and the words with the CA),
 * order_challenges.c (what its authorizations do side by side) and order_store.c
 * (what becomes of the certificate), and for nobody else.
 */
enum { ORDER_COOKIE_MAX = 4096 };

enum order_state {
	ORDER_KEY,
	ORDER_NEW,
	ORDER_AUTHORIZE,
	ORDER_READY,
	ORDER_FINALIZE,
	ORDER_ISSUE,
	ORDER_FETCH,
	ORDER_STORE,
	ORDER_EXPLAIN,
	ORDER_CLEANUP,
	ORDER_DONE,
};

/* Something under way for one authorization: the flow, or its cleanup. */
struct child {
	struct order *order;
	struct authz_record *record;
	struct authorization *authorization;
	bool wants_save, saving;
	acme_op cleanup;
};

struct order {
	struct flow flow;
	const struct order_env *env;
	struct order_spec spec;
	struct order_record record;
	char record_key[STORE_KEY_MAX];
	struct key *key;
	struct chain *chain;

	struct keygen *keygen;
	struct store_op *load, *save;
	struct change *change;
	bool transition; /* the save under way is the driver's */
	bool dirty;      /* the record has what is not saved yet */

	struct child *children; /* one for each record.authz */
	size_t busy;            /* of them */
	struct after *settle;   /* none is busy any more */
	struct err child_error;

	bool failed; /* given up: `failure` says why */
	struct err failure;
	size_t explained;
	bool anew; /* after the cleanup: what we had cannot go on */
	unsigned restarts, not_ready;

	order_fn *fn;
	void *arg;
};

/* The driver's save of a transition. */
void order_save(struct flow *f);

/* Steps that live beside order.c. */
int order_ask_authorize(struct flow *f, struct err *e);
int order_ask_store(struct flow *f, struct err *e);
int order_ask_cleanup(struct flow *f, struct err *e);

/* Where it goes after the cleanup. */
int order_after_cleanup(const struct order *o);

/* Ends what is under way for authorizations; their records stay. */
void order_free_children(struct order *o);
