/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * What we send: each appends the JSON payload of one request to `out`, for
 * jws_sign(). ERR_NOSPACE when `out` is full, ERR_INVALID when a string is not
 * UTF-8. POST-as-GET has the empty payload and needs no builder.
 */
struct payload_account {
	const char *const *contacts; /* "mailto:..."; a bare address gets it */
	size_t contact_count;
	bool terms_agreed;
	bool only_existing; /* find the account of this key, create none */
	struct str binding; /* of jws_bind(), or empty */
};

/* newAccount (RFC 8555 section 7.3). */
int payload_account(const struct payload_account *account, struct buf *out,
                    struct err *e);
/* newOrder (7.4); `names` are normalised identifiers. `profile` and
 * `replaces` (RFC 9773: chain_cert_id of the predecessor) may be NULL. */
int payload_order(const struct str *names, size_t count, const char *profile,
                  const char *replaces, struct buf *out, struct err *e);
/* finalize (7.4). */
int payload_finalize(struct str csr_der, struct buf *out, struct err *e);
/* "Go and look": a POST to a challenge's URL (7.5.1). */
int payload_challenge(struct buf *out, struct err *e);
/* revokeCert (7.6); `reason` as in RFC 5280 section 5.3.1, -1 for none. */
int payload_revoke(struct str cert_der, int reason, struct buf *out,
                   struct err *e);
/* To an account's or authorization's URL (7.3.6, 7.5.2). */
int payload_deactivate(struct buf *out, struct err *e);
/* keyChange (7.3.5): the inner JWS is jws_sign(new key, NULL, NULL, url, this);
 * `old_jwk` is key_jwk() of the old one. */
int payload_key_change(const char *account_url, const char *old_jwk,
                       struct buf *out, struct err *e);

/* "unspecified", "keyCompromise", ... or a number; -1 if it is none that an
 * ACME client may send. */
int payload_reason_parse(const char *text);
