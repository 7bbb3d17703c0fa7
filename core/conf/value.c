/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts as values. Each message says what would have been right, because it is
 * all that the operator sees behind "file:line: key: ".
 */
#include "conf/value.h"

#include <ctype.h>

/* A piece of foreign text in a message. */
#define CUT(s) (int)((s).len < 60 ? (s).len : 60), (s).ptr

struct unit {
	const char *name;
	int64_t factor;
};

int value_bool(struct str text, bool *out, struct err *e)
{
	static const char *const YES[] = { "yes", "on", "true" };
	static const char *const NO[] = { "no", "off", "false" };

	for (size_t i = 0; i < 3; i++) {
		if (str_ieq(text, str_of(YES[i])))
			return *out = true, 0;
		if (str_ieq(text, str_of(NO[i])))
			return *out = false, 0;
	}
	return err_set(e, ERR_INVALID, "expected yes or no, not '%.*s'",
		       CUT(text));
}

/* Leading digits; returns how many, 0 also when the number is too large. */
static size_t digits(struct str text, int64_t *out)
{
	size_t i = 0;
	int64_t n = 0;

	for (; i < text.len && isdigit((unsigned char)text.ptr[i]); i++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, text.ptr[i] - '0', &n))
			return 0;
	*out = n;
	return i;
}

int value_int(struct str text, int64_t min, int64_t max, int64_t *out,
	      struct err *e)
{
	bool minus = text.len > 1 && *text.ptr == '-';
	struct str number = { text.ptr + minus, text.len - minus };
	int64_t n = 0;
	size_t len = digits(number, &n);

	if (minus)
		n = -n;
	if (len == 0 || len != number.len || n < min || n > max)
		return err_set(e, ERR_INVALID,
			       "expected a number from %lld to %lld, not "
			       "'%.*s'",
			       (long long)min, (long long)max, CUT(text));
	*out = n;
	return 0;
}

/* A number and a unit from a table that ends with factor 0. */
static int scaled(struct str text, const struct unit *units, int64_t *out)
{
	int64_t n = 0;
	size_t len = digits(text, &n);
	struct str unit = { text.ptr + len, text.len - len };

	if (len == 0)
		return -1;
	for (; units->factor; units++)
		if (str_ieq(unit, str_of(units->name)))
			return __builtin_mul_overflow(n, units->factor, out)
				   ? -1
				   : 0;
	return -1;
}

int value_duration(struct str text, int64_t *out_ms, struct err *e)
{
	static const struct unit UNITS[] = {
		{ "ms", 1 },      { "s", 1000 },     { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
		{ NULL, 0 },
	};

	if (scaled(text, UNITS, out_ms))
		return err_set(e, ERR_INVALID,
			       "expected a duration such as 30s, 5m, 12h or "
			       "90d, not '%.*s'",
			       CUT(text));
	return 0;
}

int value_size(struct str text, int64_t *out, struct err *e)
{
	static const struct unit UNITS[] = {
		{ "", 1 },        { "k", 1 << 10 }, { "m", 1 << 20 },
		{ "g", 1 << 30 }, { NULL, 0 },
	};

	if (scaled(text, UNITS, out))
		return err_set(e, ERR_INVALID,
			       "expected a size such as 512, 64k or 16m, not "
			       "'%.*s'",
			       CUT(text));
	return 0;
}

int value_path(struct str text, struct err *e)
{
	if (text.len == 0 || *text.ptr != '/')
		return err_set(e, ERR_INVALID,
			       "expected an absolute path, not '%.*s'",
			       CUT(text));
	if (text.len > 1000)
		return err_set(e, ERR_INVALID,
			       "path of %zu bytes; at most 1000", text.len);
	for (size_t i = 0; i < text.len; i++) {
		struct str part = { text.ptr + i, text.len - i };
		if (iscntrl((unsigned char)*part.ptr))
			return err_set(e, ERR_INVALID,
				       "control character in a path");
		if (str_starts(part, STR("/../")) || str_eq(part, STR("/..")))
			return err_set(e, ERR_INVALID,
				       "'..' in the path '%.*s'", CUT(text));
	}
	return 0;
}

static bool has_scheme(struct str text, const char *schemes, size_t *len)
{
	for (const char *p = schemes; *p;) {
		size_t n = strcspn(p, " ");
		if (text.len > n + 3 && !strncasecmp(text.ptr, p, n) &&
		    !memcmp(text.ptr + n, "://", 3))
			return *len = n + 3, true;
		p += n;
		p += strspn(p, " ");
	}
	return false;
}

int value_url(struct str text, const char *schemes, struct err *e)
{
	size_t start = 0;

	if (!has_scheme(text, schemes, &start))
		return err_set(e, ERR_INVALID,
			       "expected a URL (%s)://..., not '%.*s'", schemes,
			       CUT(text));
	if (text.len > 2000)
		return err_set(e, ERR_INVALID, "URL of %zu bytes; at most 2000",
			       text.len);
	for (size_t i = 0; i < text.len; i++)
		if (!isgraph((unsigned char)text.ptr[i]) ||
		    strchr("\"<>\\^`{|}", text.ptr[i]))
			return err_set(e, ERR_INVALID,
				       "a URL cannot contain the byte 0x%02x",
				       (unsigned char)text.ptr[i]);
	if (strchr("/?#:", text.ptr[start]))
		return err_set(e, ERR_INVALID, "URL without a host: '%.*s'",
			       CUT(text));
	return 0;
}

bool value_next(struct str *rest, struct str *item)
{
	while (rest->len) {
		const char *comma = memchr(rest->ptr, ',', rest->len);
		size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
		*item = str_trim((struct str){ rest->ptr, len });
		rest->ptr += len + (comma ? 1 : 0);
		rest->len -= len + (comma ? 1 : 0);
		if (item->len)
			return true;
	}
	return false;
}
