/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* When the CA wants a certificate renewed (RFC 9773 section 4.2). */
struct renewal_info_doc {
	int64_t start, end;      /* Unix milliseconds, start < end */
	const char *explanation; /* URL for a person, or NULL */
};

/* ERR_BROKEN when it is not one. */
int renewal_info_doc_read(struct str body, struct arena *arena,
                          struct renewal_info_doc *out, struct err *e);
