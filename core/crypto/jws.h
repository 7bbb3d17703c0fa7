/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "crypto/key.h"

/*
 * Appends the flattened JSON JWS (RFC 8555 section 6.2) that is the body of a
 * POST: ES256, ES384, ES512 or RS256 by the kind of key.
 *
 * kid      the account's URL; NULL puts the key's JWK into the header instead
 *          (newAccount, revocation by the certificate's key)
 * nonce    NULL leaves it out (the inner JWS of a key change)
 * payload  empty for POST-as-GET
 *
 * ERR_INVALID if kid, nonce or url hold what has no place in a header (quotes,
 * backslashes, control or non-ASCII bytes), ERR_NOSPACE when `out` is full.
 */
int jws_sign(const struct key *key, const char *kid, const char *nonce,
             const char *url, struct str payload, struct buf *out,
             struct err *e);

/* External account binding (RFC 8555 section 7.3.4): HS256 over the account
 * key's JWK. `mac` holds the raw bytes (the CA hands them out in base64url);
 * `url` is newAccount. The result is the payload's externalAccountBinding. */
int jws_bind(const char *kid, const struct secret *mac, const char *url,
             const struct key *account, struct buf *out, struct err *e);
