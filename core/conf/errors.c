/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of mistakes in a configuration.
 *
 * Somebody who edits a file wants to see all that is wrong with it, so nothing
 * stops at the first mistake; but a file of junk must not fill the memory, so
 * the list ends after CONF_ERRORS_MAX and only counts from there.
 *
 * Texts quote what stands in files. They go to a terminal and to the log, so
 * control characters become '?' here, at the one place that all pass.
 */
#include "conf/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static __attribute__((format(printf, 4, 0))) void
add(struct conf_errors *errors, struct conf_place place, bool warning,
    const char *fmt, va_list args)
{
	char words[CONF_ERROR_TEXT];

	if (!warning)
		errors->errors++;
	if (errors->count == CONF_ERRORS_MAX) {
		errors->more++;
		return;
	}
	vsnprintf(words, sizeof(words), fmt, args);
	for (char *p = words; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (errors->count % 16 == 0)
		errors->items = mem_grow(errors->items, errors->count + 16,
					 sizeof(*errors->items));
	struct conf_error *item = &errors->items[errors->count++];
	item->warning = warning;
	const char *kind = warning ? "warning: " : "";
	if (!place.file)
		item->text = mem_printf("%s%s", kind, words);
	else if (!place.line)
		item->text = mem_printf("%s: %s%s", place.file, kind, words);
	else
		item->text = mem_printf("%s:%u: %s%s", place.file, place.line,
					kind, words);
}

void conf_error(struct conf_errors *errors, struct conf_place place,
		const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(errors, place, false, fmt, args);
	va_end(args);
}

void conf_warning(struct conf_errors *errors, struct conf_place place,
		  const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add(errors, place, true, fmt, args);
	va_end(args);
}

void conf_errors_free(struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->items[i].text);
	free(errors->items);
	*errors = CONF_ERRORS_INIT;
}
