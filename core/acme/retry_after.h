/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/str.h"

/* The value of a Retry-After header (RFC 9110 section 10.2.3), seconds or a
 * date, as Unix milliseconds. In the past means now; absurdly far (over a year)
 * is cut to a year. Returns 0, or -1 if it is neither form. */
int retry_after_parse(struct str value, int64_t now_ms, int64_t *out);
