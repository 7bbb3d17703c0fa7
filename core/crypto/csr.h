/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/key.h"

enum { CSR_NAMES_MAX = 1000 };

/* Appends a DER certificate request for the names, signed by the key. Names
 * are normalised DNS names (a leftmost "*." passes) or IP addresses, which
 * become SANs of type IP (RFC 8738). The subject is empty. */
int csr_new(const struct key *key, const struct str *names, size_t count,
            struct buf *der, struct err *e);
