/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/evp.h>

#include "base/err.h"
#include "base/secret.h"
#include "crypto/key.h"

/* What the files of this folder share; nobody else includes it. */

/* "what: OpenSSL's first reason", and empties the thread's error queue. Only
 * the reason is used, never the data that OpenSSL attaches. */
int ossl_fail(struct err *e, enum err_code code, const char *what);

/* The kind of any key; KEY_OTHER for NULL. */
enum key_kind ossl_key_kind(const EVP_PKEY *pkey);
/* Borrowed. OpenSSL takes it non-const, and only reads. */
EVP_PKEY *ossl_pkey(const struct key *k);
/* The digest to sign with: as strong as the key. */
const EVP_MD *ossl_digest(enum key_kind kind);
