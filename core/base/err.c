/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values: see err.h. Texts are cut, never overrun, and bytes that
 * could forge a log line or move a terminal's cursor are made harmless here,
 * because much of the text comes from the other side of a socket.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_code_name(int code)
{
	switch (code) {
	case 0:
		return "ok";
#define X(name, value, text)                                                   \
	case value:                                                            \
		return text;
		ERR_CODES(X)
#undef X
	default:
		return "unknown";
	}
}

/* The length of the UTF-8 character at `p`, 0 if it is none or a control. */
static int utf8_len(const unsigned char *p)
{
	static const struct {
		unsigned char first, last, low, high, len;
	} FORMS[] = {
		{ 0x20, 0x7e, 0x00, 0xff, 1 }, { 0xc2, 0xc2, 0xa0, 0xbf, 2 },
		{ 0xc3, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
		if (*p < FORMS[i].first || *p > FORMS[i].last)
			continue;
		if (p[1] < FORMS[i].low || p[1] > FORMS[i].high)
			return 0;
		for (int k = 2; k < FORMS[i].len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return FORMS[i].len;
	}
	return 0;
}

/* Texts end in JSON and on terminals: UTF-8 without controls, also where a cut
 * or a stranger broke it. */
static void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p;) {
		int len = utf8_len(p);
		if (len == 0)
			*p = *p < 0x80 ? ' ' : '?';
		p += len ? len : 1;
	}
}

static void set_text(struct err *e, enum err_code code, const char *fmt,
                     va_list ap) __attribute__((format(printf, 3, 0)));

static void set_text(struct err *e, enum err_code code, const char *fmt,
                     va_list ap)
{
	char text[sizeof e->text]; /* an argument may be e->text itself */

	vsnprintf(text, sizeof text, fmt, ap);
	make_printable(text);
	memset(e, 0, sizeof *e);
	e->code = code;
	memcpy(e->text, text, sizeof text);
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(e, code, fmt, ap);
	va_end(ap);
	return code;
}

static enum err_code code_of_errno(int errnum)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case ENOENT:
		return ERR_ABSENT;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_RETRY;
	}
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
	char why[96];
	va_list ap;

	va_start(ap, fmt);
	set_text(e, code_of_errno(errnum), fmt, ap);
	va_end(ap);
	size_t len = strlen(e->text);
	snprintf(e->text + len, sizeof e->text - len, ": %s",
	         strerror_r(errnum, why, sizeof why));
	return e->code;
}

int err_in(struct err *e, const char *fmt, ...)
{
	char text[sizeof e->text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t len = strlen(text);
	snprintf(text + len, sizeof text - len, ": %.*s",
	         (int)(sizeof text - len), e->text);
	make_printable(text);
	memcpy(e->text, text, sizeof text);
	return e->code;
}
