/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

/*
 * What a CA says when it refuses: an RFC 7807 document (RFC 8555 section 6.7),
 * HTML of something in between, or nothing. All become one struct err:
 *
 *   text     "rateLimited: too many certificates (HTTP 429)
 *             [a.test: caa: CAA forbids]"
 *   problem  "urn:ietf:params:acme:error:rateLimited", or ""
 *   code     by a table of types; unknown types by status: 429 is ERR_LIMITED,
 *            5xx and 408 ERR_RETRY, 401 and 403 ERR_DENIED, 404 ERR_ABSENT,
 *            409 ERR_CONFLICT, the rest ERR_INVALID
 *
 * retry_at stays 0: Retry-After is a header and needs a clock.
 */
int problem_read(int status, struct str body, struct err *e);

/* The same from a problem object within another document; status 0 if none
 * was said. Never fails: a strange object gives a strange text. Returns
 * the code, as problem_read does. */
int problem_from(int status, const json_t *object, struct err *e);

/* Is this the CA's problem of that type? problem_is(e, "badNonce"). */
bool problem_is(const struct err *e, const char *type);
