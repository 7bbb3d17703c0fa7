/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "flow/ca.h"
#include "flow/flow.h"
#include "flow/order.h"
#include "store/record.h"

/*
 * One authorization of an order (RFC 8555 section 7.5): choose a challenge,
 * have its plugin present it, tell the CA. It ends when the CA was told; that
 * the CA is satisfied shows in the order, which one poll asks for all of them.
 */
struct authorization;

/* `rc` 0: valid already, or the CA is looking. */
typedef void authorization_fn(void *arg, int rc, const struct err *e);

/* Makes the order's record durable, with what has changed in ours; answers by
 * authorization_saved on a later turn. */
typedef void authorization_save_fn(void *arg, struct authorization *a);

struct authorization_setup {
	const struct order_env *env;
	struct ca *ca;
	const struct log *log;
	struct authz_record *record;    /* the order's; stays where it is */
	const struct names *challenges; /* instances to try */
	authorization_save_fn *save;
	authorization_fn *fn;
	void *arg;
};

struct authorization *authorization_start(const struct authorization_setup *s);
void authorization_saved(struct authorization *a, int rc,
                         const struct err *e);
/* A plugin's operation that is under way is canceled; what it may have done is
 * in the record, for cleanup. */
void authorization_free(struct authorization *a);

/* What keeps it from going on just now, or NULL. */
const struct err *authorization_trouble(const struct authorization *a);

/* The challenge of a record as a plugin wants it; borrows from both. `out` is
 * filled but for its cookie's life: the record's. False without a challenge. */
struct challenge_words {
	acme_challenge challenge;
	struct buf key_authorization;
};
bool authorization_challenge(const struct authz_record *record,
                             const struct key *account,
                             struct challenge_words *out);

/* What the plugin of a record's challenge has answered, as an error. Its
 * instance may have gone meanwhile: a reload does not wait for us. */
int authorization_answer(const struct order_env *env,
                         const struct authz_record *record,
                         const struct op_result *res, struct err *e);

extern const struct flow_table AUTHORIZATION_FLOW;
