/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines for stderr: journald, a container's runtime or a terminal keeps
 * them, so there is no file, no rotation and no syslog here. A line is built in
 * one buffer and leaves in one write(2), so lines of several threads do not
 * mix.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/now.h"

enum { LINE_MAX_LEN = 2048 };

static enum log_level lowest = LOG_LEVEL_INFO;
static log_sink_fn *sink_fn, *tee_fn;
static void *sink_arg, *tee_arg;

static const char *const LEVELS[] = {
	[LOG_LEVEL_DEBUG] = "debug",   [LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

const char *log_level_name(enum log_level level)
{
	return LEVELS[level];
}

int log_level_parse(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++)
		if (!strcmp(LEVELS[i], name)) {
			*out = (enum log_level)i;
			return 0;
		}
	return -1;
}

void log_set_level(enum log_level level)
{
	lowest = level;
}

void log_set_sink(log_sink_fn *fn, void *arg)
{
	sink_fn = fn;
	sink_arg = arg;
}

void log_set_tee(log_sink_fn *fn, void *arg)
{
	tee_fn = fn;
	tee_arg = arg;
}

void log_init(struct log *log, const struct log *parent, const char *where,
              const char *context, ...)
{
	memset(log, 0, sizeof *log);
	log->parent = parent;
	log->where = where;
	if (!context)
		return;
	va_list ap;
	va_start(ap, context);
	log->context[0] = ' ';
	vsnprintf(log->context + 1, sizeof log->context - 1, context, ap);
	va_end(ap);
}

static const char *where_of(const struct log *log)
{
	for (; log; log = log->parent)
		if (log->where)
			return log->where;
	return "agent";
}

struct line {
	char text[LINE_MAX_LEN];
	size_t len;
};

/* Appends what fits, with control characters made visible. */
static void line_add(struct line *line, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text && line->len < sizeof line->text - 6; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= 0x20 && c != 0x7f) {
			line->text[line->len++] = (char)c;
			continue;
		}
		memcpy(line->text + line->len, "\\x", 2);
		line->text[line->len + 2] = hex[c >> 4];
		line->text[line->len + 3] = hex[c & 15];
		line->len += 4;
	}
	line->text[line->len] = '\0';
}

static void add_context(struct line *line, const struct log *log)
{
	if (!log)
		return;
	add_context(line, log->parent);
	line_add(line, log->context);
}

static void emit(struct line *line, enum log_level level)
{
	if (tee_fn)
		tee_fn(tee_arg, level, line->text);
	if (sink_fn) {
		sink_fn(sink_arg, level, line->text);
		return;
	}
	line->text[line->len++] = '\n';
	const char *p = line->text;
	while (line->len > 0) {
		ssize_t n = write(STDERR_FILENO, p, line->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody to tell */
		p += n;
		line->len -= (size_t)n;
	}
}

void log_write(const struct log *log, enum log_level level, const char *event,
               const char *values, ...)
{
	struct line line = { .len = 0 };
	char stamp[NOW_TEXT], text[LINE_MAX_LEN];

	if (level < lowest)
		return;
	line_add(&line, now_text(now_wall(), 1, stamp));
	line_add(&line, " ");
	line_add(&line, LEVELS[level]);
	line_add(&line, " ");
	line_add(&line, where_of(log));
	line_add(&line, " ");
	line_add(&line, event);
	add_context(&line, log);
	if (values) {
		va_list ap;
		va_start(ap, values);
		vsnprintf(text, sizeof text, values, ap);
		va_end(ap);
		line_add(&line, " ");
		line_add(&line, text);
	}
	emit(&line, level);
}

void log_err(const struct log *log, enum log_level level, const char *event,
             const struct err *e)
{
	char stamp[NOW_TEXT], text[2 * sizeof e->text];

	log_quote(e->text, strlen(e->text), text, sizeof text);
	log_write(log, level, event, "error=%s class=%s%s%s%s%s", text,
	          err_code_name(e->code), e->problem[0] ? " problem=" : "",
	          e->problem, e->retry_at ? " retry_at=" : "",
	          e->retry_at ? now_text(e->retry_at, 0, stamp) : "");
}

static int is_plain(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] <= 0x20 || bytes[i] >= 0x7f || bytes[i] == '"' ||
		    bytes[i] == '\\')
			return 0;
	return len > 0;
}

char *log_quote(const char *bytes, size_t len, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t used = 0;

	if (is_plain(bytes, len)) {
		snprintf(out, size, "%.*s", (int)len, bytes);
		return out;
	}
	if (size < 8) {
		out[0] = '\0';
		return out;
	}
	out[used++] = '"';
	for (size_t i = 0; i < len && used < size - 6; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c == '"' || c == '\\') {
			out[used++] = '\\';
			out[used++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			out[used++] = '\\';
			out[used++] = 'x';
			out[used++] = hex[c >> 4];
			out[used++] = hex[c & 15];
		} else {
			out[used++] = (char)c;
		}
	}
	out[used++] = '"';
	out[used] = '\0';
	return out;
}
