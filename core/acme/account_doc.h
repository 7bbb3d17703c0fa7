/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum account_status {
	ACCOUNT_STATUS_VALID,
	ACCOUNT_STATUS_DEACTIVATED, /* by us */
	ACCOUNT_STATUS_REVOKED,     /* by the CA */
};

/* An account object (RFC 8555 section 7.1.2), strings in the arena. Its URL is
 * in the Location header. */
struct account_doc {
	enum account_status status;
	const char *const *contacts;
	size_t contact_count;
	const char *orders; /* or NULL */
	bool terms_agreed;
};

/* ERR_BROKEN when it is not one. */
int account_doc_read(struct str body, struct arena *arena,
                     struct account_doc *out, struct err *e);

/* "valid", ... */
const char *account_status_name(enum account_status status);
