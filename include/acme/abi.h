/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/abi.h: the words that agent and plugins share.
 *
 * C99, clean as C++11, standard headers only. What crosses the border keeps
 * these rules (docs/plugin-abi.md gives each a name to cite):
 *
 *  - every struct begins with its own size; a reader uses no more of it than
 *    both sides know, and takes what is missing as zero;
 *  - fields have fixed widths; enums appear as parameters and results only;
 *  - bytes are borrowed: what you are given is yours until you return;
 *  - times are milliseconds, sizes are bytes, text is UTF-8 with a length and
 *    without a NUL.
 *
 * Version 0 is a draft: it may change with each release until the DNS plugins
 * and a remote storage stand on it. Then it is frozen as version 1.
 */
#ifndef ACME_ABI_H
#define ACME_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACME_ABI_MAJOR 0
#define ACME_ABI_MINOR 1

#if defined(__GNUC__)
#define ACME_VISIBLE          __attribute__((visibility("default")))
#define ACME_PRINTF(FMT, ARG) __attribute__((format(printf, FMT, ARG)))
#else
#define ACME_VISIBLE
#define ACME_PRINTF(FMT, ARG)
#endif

#ifdef __cplusplus
#define ACME_EXPORT extern "C" ACME_VISIBLE
#else
#define ACME_EXPORT extern ACME_VISIBLE
#endif

/* Borrowed bytes. `ptr` may be NULL when `len` is 0; where NULL has a meaning
 * of its own ("not given") the declaration says so. */
typedef struct acme_str {
	const char *ptr;
	size_t len;
} acme_str;

/* An operation in flight: a number (slot and generation), never a pointer, so
 * that one which has ended is recognised and refused. 0 is no operation. */
typedef struct acme_op {
	uint64_t id;
} acme_op;

/* The answer of an operation: what the other side should do, not what went
 * wrong (that is said in the text beside it). Values are never reused; a value
 * that a side does not know counts as ACME_BROKEN. */
typedef enum acme_status {
	ACME_OK = 0,
	ACME_RETRY = 1,    /* may work later: network, 5xx, busy, rate limit */
	ACME_ABSENT = 2,   /* there is no such thing */
	ACME_CONFLICT = 3, /* somebody else was first */
	ACME_DENIED = 4,   /* not allowed; an operator must act */
	ACME_INVALID = 5,  /* the input is wrong; the same again fails again */
	ACME_CANCELED = 6, /* ended because the other side asked for it */
	ACME_BROKEN = 7,   /* the other side breaks its contract */
	ACME_DECLINED = 8, /* not mine; the next one may try */
	ACME_NOSPACE = 9   /* disk or quota is full; an operator must act */
} acme_status;

typedef enum acme_level {
	ACME_LOG_DEBUG = 0,
	ACME_LOG_INFO = 1,
	ACME_LOG_NOTICE = 2, /* an operator should see it */
	ACME_LOG_WARN = 3,
	ACME_LOG_ERROR = 4
} acme_level;

/* Flags of an acme_entry. */
#define ACME_ENTRY_DELETED 1u /* watch: the key is gone */
#define ACME_ENTRY_END     2u /* list: not a key but the end, see storage.h */
#define ACME_ENTRY_RESYNC  4u /* watch: anything may have changed, list again */

/* What `emit` carries. A challenge plugin sets `value` only (its cookie); a
 * storage plugin says in storage.h what each of its operations emits. */
typedef struct acme_entry {
	uint32_t size;
	uint32_t flags;
	acme_str key;
	acme_str value;
	acme_str version;
} acme_entry;

/* Is member M inside the table that the other side built, and set? For members
 * that are newer than the minor version you ask for. */
#define ACME_HAS(P, M)                                                         \
	((size_t)((const char *)(&(P)->M + 1) - (const char *)(P)) <=          \
	         (P)->size &&                                                  \
	 (P)->M)

/* A NUL-terminated text as acme_str; NULL becomes the empty one. */
static inline acme_str acme_text(const char *text)
{
	acme_str s;

	s.ptr = text ? text : "";
	s.len = text ? strlen(text) : 0;
	return s;
}

static inline int acme_eq(acme_str a, acme_str b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.ptr, b.ptr, a.len));
}

#ifdef __cplusplus
}
#endif

#endif
