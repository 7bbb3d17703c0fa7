/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "flow/ca.h"
#include "flow/flow.h"

/*
 * Revocation of one certificate (RFC 8555 section 7.6), signed by our account
 * or by the certificate's own key. Revoked already counts as done.
 */
struct revocation;

typedef void revocation_fn(void *arg, int rc, const struct err *e);

/* `reason` as in RFC 5280 section 5.3.1, -1 for none; `key` NULL: the account.
 * The key outlives it, the DER is copied. */
struct revocation *revocation_start(struct loop *loop, struct ca *ca,
                                    const struct log *log, struct str der,
                                    int reason, const struct key *key,
                                    revocation_fn *fn, void *arg);
void revocation_free(struct revocation *r);

extern const struct flow_table REVOCATION_FLOW;
