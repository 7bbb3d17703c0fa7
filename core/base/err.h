/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * One error, from where it happened up to where it is handled.
 *
 * A function that may fail returns 0 or a negative `enum err_code` and takes a
 * `struct err *` as its last argument (never NULL). The root says what happened
 * (`err_set`), each caller may put in front what it was doing (`err_in`), and
 * the top logs it once. The last error of each certificate is kept and shown to
 * the operator: the text is the interface, so write it for a person.
 */

/* Codes name what the caller should do, not what went wrong. */
#define ERR_CODES(X)                                                           \
	X(RETRY, -1, "retry")       /* may work later: network, 5xx, busy */   \
	X(ABSENT, -2, "absent")     /* there is no such thing */               \
	X(CONFLICT, -3, "conflict") /* somebody else was first */              \
	X(DENIED, -4, "denied")     /* not allowed; an operator must act */    \
	X(INVALID, -5, "invalid")   /* input is wrong; the same again fails */ \
	X(CANCELED, -6, "canceled") /* we asked for the end of it */           \
	X(BROKEN, -7, "broken")     /* the other side breaks its contract */   \
	X(LIMITED, -8, "limited")   /* rate limit; see retry_at */             \
	X(NOSPACE, -9, "nospace")   /* disk or bounded memory is full */       \
	X(DECLINED, -10, "declined") /* not mine; the next one may try */

enum err_code {
	ERR_OK = 0,
#define X(name, value, text) ERR_##name = (value),
	ERR_CODES(X)
#undef X
};

struct err {
	enum err_code code;
	char text[480];    /* "dns-01 hetzner: HTTP 403: token not valid" */
	char problem[96];  /* urn:ietf:params:acme:error:... if the CA said so */
	int64_t retry_at;  /* Unix milliseconds; 0: by policy */
};

/* "retry", "denied", ...; "ok" for 0, "unknown" for a stranger. */
const char *err_code_name(int code);

/* Forgets what `e` held, sets code and text; returns `code`. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* err_set with ": " and the text of `errnum` appended. ENOSPC and EDQUOT become
 * ERR_NOSPACE, ENOENT ERR_ABSENT, EACCES and EPERM ERR_DENIED, all else
 * ERR_RETRY. */
int err_errno(struct err *e, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "words: " in front of the text, keeps the rest; returns the code. */
int err_in(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
