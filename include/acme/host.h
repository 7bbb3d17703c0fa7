/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/host.h: what the agent lends to a plugin.
 *
 * One table, handed to `open`. It lives until `close` returns; keep the pointer
 * in `self`. Each service takes the operation it is for, so that log lines,
 * deadline, memory and cancellation belong to the right thing; the instance
 * itself is an operation too, the root that `open` was given.
 *
 * Ownership
 *  1. Arguments are borrowed until you return; copy what you need later.
 *  2. What a callback receives is borrowed until that callback returns.
 *  3. `emit` copies; the host never frees your memory, nor you the host's.
 *  4. Memory from `alloc` dies after `done`, once no job of that operation is
 *     still running. It is wiped then: it may have held a secret.
 *  5. Options live until `close`; a secret until you return, then it is wiped.
 *  6. `self` is yours from `open` to `close`; two sections are two instances.
 *  7. No statics that change: all state is in `self` or in the operation.
 *
 * Threads. Everything is called on the loop's thread, except an acme_job. From
 * a job, or a thread of your own, only `log` and `post` may be called, and from
 * a job also `alloc` for its own operation.
 *
 * Order. A service never calls back within the call; its callback comes on a
 * later turn of the loop, and only while the operation lives. After `done`, on
 * expiry and on cancellation pending services are dropped, their callbacks
 * never run.
 *
 * Refusal. Services have no result to check: one that the host cannot give (a
 * bad descriptor, a name that is not the operation's to publish) ends the
 * operation with ACME_BROKEN or the host's own reason, whatever `done` says.
 *
 * Long-lived operations (the root, and `watch` of a storage): each callback of
 * a service that was asked for on one of them gets a fresh child operation.
 * Memory and further services of the child end by themselves, when the callback
 * has returned and nothing asked for on the child is pending. `emit` and `done`
 * on a child speak for its parent.
 *
 * To come, appended, each with its first user: digest, hmac, sign (with a named
 * secret), dns, zone, spawn, state_get, state_put. Test with ACME_HAS.
 */
#ifndef ACME_HOST_H
#define ACME_HOST_H

#include <stdarg.h>
#include <stdio.h>

#include <acme/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- HTTP ---- */

/* One request. `headers` are whole lines, "Name: value". Redirects are not
 * followed, certificates are verified, connections are reused. Everything is
 * copied within the call. */
typedef struct acme_http_request {
	uint32_t size;
	uint32_t flags; /* none defined: 0 */
	acme_str method;
	acme_str url; /* https; plain http to loopback only */
	const acme_str *headers;
	size_t header_count;
	acme_str body;
	uint32_t timeout_ms; /* 0: 30 s; the operation's deadline holds too */
	uint32_t body_max;   /* of the answer; 0: 1 MiB; a larger one is an error */
} acme_http_request;

/* The answer, or why there is none. */
typedef struct acme_http_response {
	uint32_t size;
	uint32_t code;     /* 200, 404, ...; 0: no answer, see `error` */
	uint32_t status;   /* an acme_status: what `code` asks you to do */
	uint32_t retry_ms; /* Retry-After in either form; 0: not given */
	acme_str error;    /* "HTTP 403", "connection refused": for `done` */
	acme_str body;
	const acme_str *headers; /* lines, names as sent, without CR and LF */
	size_t header_count;
} acme_http_response;

/* ---- callbacks ---- */

typedef void acme_then(void *self, acme_op op, void *arg);
typedef void acme_http_then(void *self, acme_op op, void *arg,
                            const acme_http_response *res);
typedef void acme_fd_then(void *self, acme_op op, void *arg, int fd,
                          uint32_t events);
/* On a thread of the pool; may block. It always runs to its end: an operation
 * that ended meanwhile only loses the callback. */
typedef void acme_job(acme_op op, void *arg);

/* Events of watch_fd. */
#define ACME_FD_READ  1u
#define ACME_FD_WRITE 2u

/* What can be published. */
#define ACME_PUBLISH_TOKEN 1u /* name: the token; value: key authorization */

typedef struct acme_host {
	uint32_t size;
	uint16_t abi_major;
	uint16_t abi_minor;

	/* ---- any thread ---- */

	/* One line. Secrets of this instance are masked, control characters
	 * escaped, length bounded (1 KiB). */
	void (*log)(acme_op op, acme_level level, acme_str text);
	/* Runs fn on the loop, if the operation still lives then. */
	void (*post)(acme_op op, acme_then *fn, void *arg);

	/* ---- memory: the loop's thread, or a job of this operation ---- */

	/* Zeroed, aligned for any type; NULL when the operation's bound is
	 * reached (1 MiB; storage operations 64 MiB). */
	void *(*alloc)(acme_op op, size_t size);

	/* ---- the loop's thread from here on ---- */

	/* Wall clock, Unix milliseconds. */
	int64_t (*now)(acme_op op);

	/* What the operator wrote, or the fallback; checked against the
	 * plugin's schema before `open`. Names are those of the schema; another
	 * name or the wrong type is logged as a fault and gives "", 0 or none.
	 * Text of an option that has neither value nor fallback is ptr NULL. */
	acme_str (*option_str)(acme_op op, const char *name);
	int64_t (*option_int)(acme_op op, const char *name); /* TIME: ms */
	int (*option_bool)(acme_op op, const char *name);
	const acme_str *(*option_list)(acme_op op, const char *name,
	                               size_t *count);
	/* An option of type SECRET, resolved; NUL-terminated beyond `len`.
	 * Wiped when you return to the host. ptr NULL if there is none. */
	acme_str (*secret)(acme_op op, const char *name);

	/* The answer: any number of emit, then exactly one done. `text` is for
	 * a person, begins lower case, names the provider's own words, and may
	 * be empty with ACME_OK. `retry_ms`: not before that; 0 by policy.
	 * Inside `open` done(root) with a failure says why it fails. */
	void (*emit)(acme_op op, const acme_entry *entry);
	void (*done)(acme_op op, acme_status status, uint32_t retry_ms,
	             acme_str text);

	/* fn after `ms`. */
	void (*after)(acme_op op, uint32_t ms, acme_then *fn, void *arg);
	/* job on the pool, then fn on the loop (fn may be NULL). */
	void (*work)(acme_op op, acme_job *job, acme_then *fn, void *arg);
	/* Calls fn whenever one of `events` holds, until called again for the
	 * same descriptor with `events` 0 or the operation ends. The host does
	 * not close it; close it after that call, or in `cancel`/`close`. */
	void (*watch_fd)(acme_op op, int fd, uint32_t events, acme_fd_then *fn,
	                 void *arg);
	void (*http)(acme_op op, const acme_http_request *req,
	             acme_http_then *fn, void *arg);
	/* Shows (or with value.ptr NULL withdraws) what this operation's own
	 * challenge asks for, and nothing else. */
	void (*publish)(acme_op op, uint32_t kind, acme_str name,
	                acme_str value);
} acme_host;

/* ---- conveniences, not part of the table ---- */

/* host->log with a format; cut at 1 KiB. */
static inline void acme_logf(const acme_host *host, acme_op op,
                             acme_level level, const char *fmt, ...)
	ACME_PRINTF(4, 5);

static inline void acme_logf(const acme_host *host, acme_op op,
                             acme_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	host->log(op, level, acme_text(text));
}

/* host->done with a format. Returns `status`, so that `open` may end with
 * `return acme_donef(host, root, ACME_INVALID, 0, "...")`. */
static inline acme_status acme_donef(const acme_host *host, acme_op op,
                                     acme_status status, uint32_t retry_ms,
                                     const char *fmt, ...) ACME_PRINTF(5, 6);

static inline acme_status acme_donef(const acme_host *host, acme_op op,
                                     acme_status status, uint32_t retry_ms,
                                     const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	host->done(op, status, retry_ms, acme_text(text));
	return status;
}

/* Text in memory of the operation, NUL-terminated; ptr NULL if none is left. */
static inline acme_str acme_printf(const acme_host *host, acme_op op,
                                   const char *fmt, ...) ACME_PRINTF(3, 4);

static inline acme_str acme_printf(const acme_host *host, acme_op op,
                                   const char *fmt, ...)
{
	acme_str out = { NULL, 0 };
	va_list ap;
	char *room;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return out;
	room = (char *)host->alloc(op, (size_t)len + 1);
	if (!room)
		return out;
	va_start(ap, fmt);
	vsnprintf(room, (size_t)len + 1, fmt, ap);
	va_end(ap);
	out.ptr = room;
	out.len = (size_t)len;
	return out;
}

/* For "%.*s" in the functions above. */
#define ACME_ARG(S) (int)(S).len, (S).ptr ? (S).ptr : ""

#ifdef __cplusplus
}
#endif

#endif
