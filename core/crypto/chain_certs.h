/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/x509.h>

#include "crypto/chain.h"

/* What chain.c and chain_check.c share. */
struct chain {
	struct {
		X509 *x509;
		unsigned char *der;
		size_t len;
	} certs[CHAIN_CERTS_MAX];
	size_t count;
	struct chain_facts facts; /* points into what follows */
	char *serial, *subject, *issuer, *issuer_cn, *root_cn;
	char **sans;
};

/* Unix milliseconds; -1 if a date cannot be read. */
int chain_dates(const X509 *x509, int64_t *not_before, int64_t *not_after);
