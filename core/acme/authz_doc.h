/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme/identifier.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum authz_status {
	AUTHZ_STATUS_PENDING,
	AUTHZ_STATUS_VALID,
	AUTHZ_STATUS_INVALID,
	AUTHZ_STATUS_DEACTIVATED,
	AUTHZ_STATUS_EXPIRED,
	AUTHZ_STATUS_REVOKED,
};

enum challenge_status {
	CHALLENGE_STATUS_PENDING,
	CHALLENGE_STATUS_PROCESSING,
	CHALLENGE_STATUS_VALID,
	CHALLENGE_STATUS_INVALID,
};

enum {
	AUTHZ_DOC_CHALLENGES_MAX = 32,
	CHALLENGE_TOKEN_MIN = 22, /* 128 bits in base64url */
	CHALLENGE_TOKEN_MAX = 512,
};

/* One way to prove control. A token that is there is safe in a path: it has
 * only letters, digits, "-" and "_". */
struct challenge_doc {
	const char *type; /* "http-01" */
	const char *url;
	const char *token; /* NULL only in types that we do not know */
	enum challenge_status status;
	const struct err *error; /* or NULL */
};

/* An authorization object (RFC 8555 section 7.1.4), strings in the arena. */
struct authz_doc {
	enum authz_status status;
	int64_t expires;              /* Unix milliseconds, 0 if not said */
	struct identifier identifier; /* without "*." */
	const struct challenge_doc *challenges;
	size_t challenge_count;
	bool wildcard;
};

/* `flags` as of url_check(). ERR_BROKEN when it is not one. */
int authz_doc_read(struct str body, unsigned flags, struct arena *arena,
                   struct authz_doc *out, struct err *e);

/* The answer to a POST to a challenge's URL. */
int challenge_doc_read(struct str body, unsigned flags, struct arena *arena,
                       struct challenge_doc *out, struct err *e);

/* The challenge of this type, or NULL. */
const struct challenge_doc *authz_doc_challenge(const struct authz_doc *doc,
                                                const char *type);
/* The error of the challenge that failed, or NULL. */
const struct err *authz_doc_error(const struct authz_doc *doc);

/* "pending", ... */
const char *authz_status_name(enum authz_status status);
const char *challenge_status_name(enum challenge_status status);
