/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <acme/plugin.h>

#include "base/secret.h"
#include "conf/conf.h"
#include "plugin/plugin.h"

/*
 * The options of one instance: what the operator wrote, checked against the
 * plugin's schema, or the fallback.
 */
struct option_value {
	bool given;     /* by the operator or by a fallback */
	char *text;     /* NULL if not given; never that of a secret */
	int64_t number; /* INT, BOOL, TIME, SIZE */
	acme_str *list; /* LIST; into `text_of_list` */
	size_t list_count;
	char *text_of_list;
	struct secret secret; /* SECRET */
};

struct options {
	const struct plugin *plugin;
	struct option_value *values; /* plugin->option_count of them */
};

/* "[a-z][a-z0-9_]*", 1 to 63 bytes, and not "plugin". */
bool option_name_ok(const char *name);

/* One text as a value of that type. ERR_INVALID says what was expected. */
int option_parse(uint32_t type, const char *text, struct option_value *out,
		 struct err *e);
void option_value_free(struct option_value *v);

/* All lines of a section. Everything that is wrong goes to `errors`; then
 * ERR_INVALID, and *out is empty. */
int options_read(const struct plugin *plugin, struct conf_place place,
		 const struct conf_raws *lines, struct options *out,
		 struct conf_errors *errors);
void options_free(struct options *o);

/* NULL if the schema has no such option, or another type; `types` is a set of
 * 1u << ACME_STR and so on. */
const struct option_value *options_get(const struct options *o,
				       const char *name, uint32_t types);
