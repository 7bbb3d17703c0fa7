/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "acme/identifier.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum order_status {
	ORDER_STATUS_PENDING,
	ORDER_STATUS_READY,
	ORDER_STATUS_PROCESSING,
	ORDER_STATUS_VALID,
	ORDER_STATUS_INVALID,
};

enum { ORDER_DOC_NAMES_MAX = 1000 };

/* An order object (RFC 8555 section 7.1.3), strings in the arena. Its URL is in
 * the Location header of the answer to newOrder. */
struct order_doc {
	enum order_status status;
	int64_t expires; /* Unix milliseconds, 0 if not said */
	const struct identifier *identifiers;
	size_t identifier_count;
	const char *const *authorizations; /* URLs; at least one if pending */
	size_t authorization_count;
	const char *finalize;    /* URL; NULL only when valid or invalid */
	const char *certificate; /* URL; present if valid, else maybe NULL */
	const char *profile;     /* or NULL */
	const struct err *error; /* why it is invalid, or NULL */
};

/* `flags` as of url_check(). ERR_BROKEN when it is not one. */
int order_doc_read(struct str body, unsigned flags, struct arena *arena,
                   struct order_doc *out, struct err *e);

/* "pending", ... */
const char *order_status_name(enum order_status status);
