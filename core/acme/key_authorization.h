/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "crypto/sha.h"

/* What proves that the owner of the account key controls a name (RFC 8555
 * section 8.1): token "." thumbprint. Both are checked texts; -1 if `out` is
 * full. http-01 serves it as it is. */
int key_authorization(const char *token, const char *thumbprint,
                      struct buf *out);

/* dns-01: base64url(SHA-256(key authorization)), 43 characters. */
enum { KEY_AUTHORIZATION_DNS = 44 };
char *key_authorization_dns(const char *token, const char *thumbprint,
                            char out[KEY_AUTHORIZATION_DNS]);

/* tls-alpn-01 (RFC 8737): SHA-256(key authorization). */
void key_authorization_alpn(const char *token, const char *thumbprint,
                            uint8_t out[SHA256_LEN]);
