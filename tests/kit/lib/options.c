/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of an instance, from "name=value" lines: found in the schema, parsed
 * by type, made up where one is required and was not given, and put where the
 * plugin may read them until `close` and no longer.
 */
#include "inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct option *option_find(kit *k, const char *name)
{
	for (size_t i = 0; name && i < k->option_count; i++)
		if (!strcmp(k->options[i].is->name, name))
			return &k->options[i];
	return NULL;
}

const char *option_text(kit *k, const char *name)
{
	struct option *o = option_find(k, name);

	return o && o->text ? o->text : "";
}

/* A number and its unit; false if it is neither. */
static bool read_unit(const char *text, const char *const *units,
		      const int64_t *factors, int64_t *out)
{
	char *end;
	long long number = strtoll(text, &end, 10);

	if (end == text)
		return false;
	for (size_t i = 0; units[i]; i++)
		if (!strcmp(end, units[i])) {
			*out = number * factors[i];
			return true;
		}
	return false;
}

static bool read_number(uint32_t type, const char *text, int64_t *out)
{
	static const char *const none[] = { "", NULL };
	static const char *const time[] = { "ms", "s", "m", "h",
					    "d",  "w", "",  NULL };
	static const char *const size[] = { "", "k", "m", "g", NULL };
	static const char *const yes[] = { "yes", "on", "true", NULL };
	static const char *const no[] = { "no", "off", "false", NULL };
	static const int64_t one[] = { 1 };
	static const int64_t ms[] = { 1,	1000,	   60000,  3600000,
				      86400000, 604800000, 1000 };
	static const int64_t bytes[] = { 1, 1024, 1048576, 1073741824 };

	if (type == ACME_INT)
		return read_unit(text, none, one, out);
	if (type == ACME_TIME)
		return read_unit(text, time, ms, out);
	if (type == ACME_SIZE)
		return read_unit(text, size, bytes, out);
	for (int i = 0; yes[i]; i++)
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*out = !strcmp(text, yes[i]);
			return true;
		}
	return false;
}

static void read_list(kit *k, struct option *o, const char *text)
{
	const char *p = text;

	o->list = lents_add(&k->option_text,
			    (strlen(text) + 1) * sizeof *o->list, "own-options",
			    "the list of an option");
	while (*p) {
		p += strspn(p, ", \t");
		size_t len = strcspn(p, ",");
		while (len && isspace((unsigned char)p[len - 1]))
			len--;
		if (len)
			o->list[o->list_count++] = (acme_str){ p, len };
		p += len + strspn(p + len, " \t");
	}
}

/* Only paths are promised to be NUL-terminated. */
static int set(kit *k, struct option *o, const char *text)
{
	char what[120];
	uint32_t type = o->is->type;

	snprintf(what, sizeof what, "option '%s'", o->is->name);
	if ((type == ACME_INT || type == ACME_TIME || type == ACME_SIZE ||
	     type == ACME_BOOL) &&
	    !read_number(type, text, &o->number)) {
		kit_report_add(k->report, "kit-setup", "%s: '%s' has no such type",
			       what, text);
		return -1;
	}
	free(o->text);
	o->text = kit_strdup(acme_text(text));
	if (type == ACME_LIST)
		read_list(k, o, o->text);
	return 0;
}

static int set_line(kit *k, const char *line, size_t len)
{
	char *copy = kit_strdup((acme_str){ line, len });
	char *value = strchr(copy, '=');
	struct option *o = NULL;
	int rc = -1;

	if (value)
		*value++ = '\0';
	o = option_find(k, copy);
	if (!value)
		kit_report_add(k->report, "kit-setup", "'%s' is not NAME=VALUE",
			       copy);
	else if (!o)
		kit_report_add(k->report, "kit-setup",
			       "plugin '%s' has no option '%s'", k->plugin.name,
			       copy);
	else
		rc = set(k, o, value);
	free(copy);
	return rc;
}

/* Something that its type allows. */
static int make_up(kit *k, struct option *o, const char *scratch)
{
	char text[1024];

	if (o->text)
		return 0;
	if (o->is->fallback)
		return set(k, o, o->is->fallback);
	if (!(o->is->flags & ACME_REQUIRED))
		return 0;
	switch (o->is->type) {
	case ACME_INT:
	case ACME_SIZE:
		return set(k, o, "1");
	case ACME_BOOL:
		return set(k, o, "no");
	case ACME_TIME:
		return set(k, o, "1s");
	case ACME_URL:
		return set(k, o, "https://provider.invalid/v1");
	case ACME_LIST:
		return set(k, o, "kit-a, kit-b");
	case ACME_PATH:
		snprintf(text, sizeof text, "%s/%s", scratch ? scratch : "/tmp",
			 o->is->name);
		return set(k, o, text);
	case ACME_SECRET:
		snprintf(text, sizeof text, "kit-secret-of-%s", o->is->name);
		return set(k, o, text);
	default:
		return set(k, o, "kit");
	}
}

int options_read(kit *k, const kit_setup *setup)
{
	const acme_option *const *list = k->plugin.options;
	const char *p = setup->options ? setup->options : "";

	while (list && list[k->option_count])
		k->option_count++;
	k->options = kit_mem((k->option_count + 1) * sizeof *k->options);
	for (size_t i = 0; i < k->option_count; i++)
		k->options[i].is = list[i];
	while (*p) {
		size_t len = strcspn(p, "\n");
		if (len && set_line(k, p, len) < 0)
			return -1;
		p += len + (p[len] == '\n');
	}
	for (size_t i = 0; i < k->option_count; i++)
		if (make_up(k, &k->options[i], setup->scratch) < 0)
			return -1;
	return 0;
}

void options_free(kit *k)
{
	for (size_t i = 0; i < k->option_count; i++)
		free(k->options[i].text);
	free(k->options);
	k->options = NULL;
	k->option_count = 0;
}
