/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Borrowed bytes with a length: not owned, not NUL-terminated. */
struct str {
	const char *ptr;
	size_t len;
};

/* A literal as a str, usable in initialisers of automatic variables. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })

/* For "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

/* NULL becomes the empty string. */
static inline struct str str_of(const char *text)
{
	return (struct str){ text ? text : "", text ? strlen(text) : 0 };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.ptr, b.ptr, a.len));
}

/* ASCII case-insensitive. */
static inline bool str_ieq(struct str a, struct str b)
{
	return a.len == b.len &&
	       (a.len == 0 || !strncasecmp(a.ptr, b.ptr, a.len));
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || !memcmp(s.ptr, prefix.ptr, prefix.len));
}

/* Without ASCII white space at both ends. */
static inline struct str str_trim(struct str s)
{
	while (s.len && strchr(" \t\r\n", s.ptr[0]) && s.ptr[0])
		s.ptr++, s.len--;
	while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]) &&
	       s.ptr[s.len - 1])
		s.len--;
	return s;
}
