/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "flow/ca.h"
#include "flow/flow.h"
#include "store/store.h"

/*
 * Our account at a CA (RFC 8555 section 7.3): found in the store, or created,
 * and brought up to what the configuration says. The key is made once and saved
 * before the CA hears of it, so no crash leaves an account without a key.
 */
struct account;

struct account_spec {
	const char *issuer;       /* section name */
	struct names contacts;    /* URIs */
	bool terms_agreed;
	enum key_kind kind;       /* of a new key */
};

/* The end of account_start: 0 and `ca` signs with it, or the error. */
typedef void account_fn(void *arg, int rc, const struct err *e);

/* Copies the spec. All others outlive the account. */
struct account *account_new(struct loop *loop, struct ca *ca,
                            struct store *store, const struct log *log,
                            const struct account_spec *spec);
void account_free(struct account *a);

/* Begins, or begins again after an end. Not while under way. */
void account_start(struct account *a, account_fn *fn, void *arg);

/* The CA says that there is no such account: forget its URL (the key stays), so
 * that the next start registers anew. */
void account_forget(struct account *a);

/* Has the CA said to this process that it knows the account? One that was only
 * read from the store may be unknown to a CA that was set up anew. */
bool account_confirmed(const struct account *a);

extern const struct flow_table ACCOUNT_FLOW;
