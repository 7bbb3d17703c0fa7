/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/*
 * A text of an INI file as a value. All return 0, or ERR_INVALID with a text
 * that says what was expected ("expected yes or no, not 'maybe'") and fits
 * behind "file:line: key: ".
 */
int value_bool(struct str text, bool *out,
	       struct err *e); /* yes no on off true false */
int value_int(struct str text, int64_t min, int64_t max, int64_t *out,
	      struct err *e);
int value_duration(struct str text, int64_t *out_ms,
		   struct err *e); /* 250ms 30s 5m 12h 90d 2w */
int value_size(struct str text, int64_t *out,
	       struct err *e); /* 512 64k 16m 1g */

/* Absolute, without "..", without control characters. */
int value_path(struct str text, struct err *e);
/* http:// or https:// with a host. `schemes` e.g. "http https socks5h". */
int value_url(struct str text, const char *schemes, struct err *e);

/* The next item of a comma-separated list, trimmed; false at the end. Empty
 * items are skipped. Start with *rest = the whole value. */
bool value_next(struct str *rest, struct str *item);
