/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/str.h"

/* No server may keep us waiting for longer than a week. */
#define RETRY_AFTER_MAX_MS (INT64_C(7) * 24 * 3600 * 1000)

/* The value of a Retry-After header (RFC 9110 section 10.2.3) in milliseconds
 * from `now_ms` (Unix milliseconds): a number of seconds or an HTTP-date in any
 * of its three forms. A date that is past gives 0, anything longer than the
 * maximum the maximum, and what is neither -1. */
int64_t retry_after_parse(struct str value, int64_t now_ms);

/* An HTTP-date (RFC 9110 section 5.6.7) as Unix milliseconds; -1 if it is
 * none, or before 1970. */
int64_t retry_after_date(struct str value);
