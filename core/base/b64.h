/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"

/* base64url without padding (RFC 4648 section 5, as JOSE uses it). */
int b64url_add(struct buf *out, const void *bytes, size_t len);

/* Strict: no padding, no white space, no unused bits set. -1 if it is not
 * base64url or does not fit; then `out` may hold a part. */
int b64url_decode(struct buf *out, struct str text);
