/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The directory of a CA (RFC 8555 section 7.1.1), strings in the arena. */
struct directory_doc {
	const char *new_nonce, *new_account, *new_order;
	const char *revoke_cert;  /* NULL if not offered */
	const char *key_change;   /* NULL if not offered */
	const char *renewal_info; /* RFC 9773; NULL if not offered */
	const char *terms;        /* URL of the terms of service, or NULL */
	const char *website;      /* or NULL */
	const char *const *caa;   /* caaIdentities */
	size_t caa_count;
	const char *const *profiles; /* names of certificate profiles */
	size_t profile_count;
	bool external_account_required;
};

/* `flags` as of url_check(). ERR_BROKEN when it is no directory; the text shows
 * the first bytes of what came instead. */
int directory_doc_read(struct str body, unsigned flags, struct arena *arena,
                       struct directory_doc *out, struct err *e);

/* The first URL in it that has another scheme, host or port than the
 * directory's own, or NULL. Some CAs do spread over hosts: whether that is an
 * error is the caller's choice. */
const char *directory_doc_foreign(const struct directory_doc *doc,
                                  const char *directory_url);
