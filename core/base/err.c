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

static void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = ' ';
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
	snprintf(text + len, sizeof text - len, ": %s", e->text);
	make_printable(text);
	memcpy(e->text, text, sizeof text);
	return e->code;
}
