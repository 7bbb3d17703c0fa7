/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * One line for each event, for people and for grep:
 *
 *   2026-11-21T19:36:09.123Z info order new->authorize cert=example.org took=312ms
 *
 * time, level, where, fixed event words, key=value. Context (issuer, cert, op)
 * is attached once to a `struct log` and inherited; call sites don't repeat it.
 * Lines go to stderr, or to a sink, in one write each. Control characters are
 * escaped; pass values that may hold blanks through log_quote, so that no
 * foreign text can forge a line. Never pass a secret. Threads: any, but log_sink and log_level.
 */
enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_NOTICE, /* an operator should see it: start, issued, stop */
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};

struct log {
	const struct log *parent; /* outlives this one; NULL at the root */
	const char *where;        /* "order"; NULL: the parent's */
	char context[320];        /* " cert=example.org", or "" */
};

/* `context` is "key=value key=value" (no leading blank), or NULL. */
void log_init(struct log *log, const struct log *parent, const char *where,
              const char *context, ...) __attribute__((format(printf, 4, 5)));

/* `values` is "key=value ..." or NULL for none. */
void log_write(const struct log *log, enum log_level level, const char *event,
               const char *values, ...) __attribute__((format(printf, 4, 5)));

#define log_debug(log, ...) log_write(log, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(log, ...) log_write(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_notice(log, ...) log_write(log, LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warn(log, ...) log_write(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(log, ...) log_write(log, LOG_LEVEL_ERROR, __VA_ARGS__)

/* Logs an error with its code, text, problem and retry time. */
void log_err(const struct log *log, enum log_level level, const char *event,
             const struct err *e);

/* The quoted form of a value for "key=%s": in `out`, cut to its size, quoted
 * when it holds anything but graphic ASCII. Returns `out`. */
char *log_quote(const char *bytes, size_t len, char *out, size_t size);

/* Lines below this level are dropped; INFO at first. -1 if unknown. */
void log_set_level(enum log_level level);
int log_level_parse(const char *name, enum log_level *out);
const char *log_level_name(enum log_level level);

/* Gets each line (NUL-terminated, no newline) instead of stderr; NULL undoes.
 * For tests, and for the daemon's tee to `acmectl watch`. */
typedef void log_sink_fn(void *arg, enum log_level level, const char *line);
void log_set_sink(log_sink_fn *fn, void *arg);
/* Like a sink, beside stderr or the sink. */
void log_set_tee(log_sink_fn *fn, void *arg);
