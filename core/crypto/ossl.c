/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL collects errors in a queue for each thread, the root cause first. We
 * take that one's reason and empty the queue, so that nothing old explains the
 * next failure.
 */
#include "crypto/ossl.h"

#include <openssl/err.h>

int ossl_fail(struct err *e, enum err_code code, const char *what)
{
	unsigned long first = ERR_get_error();
	const char *reason = first ? ERR_reason_error_string(first) : NULL;

	ERR_clear_error();
	return err_set(e, code, "%s: %s", what,
	               reason ? reason : "no reason given");
}

const EVP_MD *ossl_digest(enum key_kind kind)
{
	switch (kind) {
	case KEY_EC384:
		return EVP_sha384();
	case KEY_EC521:
		return EVP_sha512();
	case KEY_OTHER:
	case KEY_EC256:
	case KEY_RSA2048:
	case KEY_RSA3072:
	case KEY_RSA4096:
	default:
		return EVP_sha256();
	}
}
