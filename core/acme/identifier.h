/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* What a certificate is for: a DNS name (maybe a wildcard) or an IP address
 * (RFC 8738). */
enum identifier_type {
	IDENTIFIER_DNS,
	IDENTIFIER_IP,
	IDENTIFIER_OTHER, /* only in what a CA sends */
};

struct identifier {
	enum identifier_type type;
	const char *value;
};

enum { IDENTIFIER_MAX = 253, IDENTIFIER_SIZE = IDENTIFIER_MAX + 1 };

/*
 * Checks and normalises what a person wrote: names in lower case, letters,
 * digits and inner hyphens in labels of 1 to 63, "*." only in front, no dot at
 * the end, 253 in all; addresses in their canonical text, without brackets or
 * zone. Punycode passes; single labels too, since private CAs know them.
 * ERR_INVALID says what is wrong. `type` may be NULL.
 */
int identifier_read(struct str text, char out[IDENTIFIER_SIZE],
                    enum identifier_type *type, struct err *e);

/* Of a normalised value. */
enum identifier_type identifier_type(const char *value);
/* "dns", "ip", or "other". */
const char *identifier_type_name(enum identifier_type type);
bool identifier_is_wildcard(const char *value);
/* Without "*.": the name whose control is to be proven. Borrowed. */
const char *identifier_base(const char *value);
