/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Where something was written. `file` lives as long as its configuration (or
 * its list of errors); NULL means "by default", nowhere. */
struct conf_place {
	const char *file;
	unsigned line;
};

/*
 * What is wrong with a configuration: all of it, not only the first thing.
 *
 * Each text stands alone and begins with "file:line: ". Warnings are kept in
 * the same list; they refuse nothing. The list is bounded; what did not fit is
 * counted in `more`.
 */
struct conf_error {
	char *text; /* "conf.d/le.ini:3: unknown key ..." */
	bool warning;
};

struct conf_errors {
	struct conf_error *items;
	size_t count;
	size_t errors; /* of these (and of `more`), how many refuse the file */
	size_t more;   /* not kept */
};

#define CONF_ERRORS_INIT ((struct conf_errors){ 0 })

enum { CONF_ERRORS_MAX = 100, CONF_ERROR_TEXT = 512 };

/* Both return nothing: the caller goes on and finds the next mistake. Control
 * characters of foreign text are escaped, long texts are cut. */
void conf_error(struct conf_errors *errors, struct conf_place place,
                const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_errors *errors, struct conf_place place,
                  const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void conf_errors_free(struct conf_errors *errors);
