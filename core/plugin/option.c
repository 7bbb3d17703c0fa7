/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin says in its descriptor which options it has; here the lines of its
 * section are held against that, so that every plugin has the same good
 * messages (file:line, what was expected, the nearest known name) and none has
 * a parser of its own.
 */
#include "plugin/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "plugin/credential.h"

bool option_name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= 63 && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len &&
	       strcmp(name, "plugin") != 0;
}

void option_value_free(struct option_value *v)
{
	free(v->text);
	free(v->list);
	free(v->text_of_list);
	secret_free(&v->secret);
	memset(v, 0, sizeof *v);
}

static int parse_list(const char *text, struct option_value *out)
{
	struct str rest, item;

	out->text_of_list = mem_strdup(text);
	rest = str_of(out->text_of_list);
	while (value_next(&rest, &item)) {
		out->list =
		    mem_grow(out->list, out->list_count + 1, sizeof *out->list);
		out->list[out->list_count++] = (acme_str){ item.ptr, item.len };
	}
	return 0;
}

int option_parse(uint32_t type, const char *text, struct option_value *out,
		 struct err *e)
{
	struct str s = str_of(text);
	bool flag = false;
	int rc;

	switch (type) {
	case ACME_INT:
		rc = value_int(s, INT64_MIN, INT64_MAX, &out->number, e);
		break;
	case ACME_BOOL:
		rc = value_bool(s, &flag, e);
		out->number = flag;
		break;
	case ACME_TIME:
		rc = value_duration(s, &out->number, e);
		break;
	case ACME_SIZE:
		rc = value_size(s, &out->number, e);
		break;
	case ACME_URL:
		rc = value_url(s, "http https", e);
		break;
	case ACME_PATH:
		rc = value_path(s, e);
		break;
	case ACME_LIST:
		rc = parse_list(text, out);
		break;
	case ACME_SECRET:
		rc = credential_read(text, &out->secret, e);
		break;
	default:
		rc = 0;
	}
	if (rc < 0)
		return rc;
	out->given = true;
	if (type != ACME_SECRET)
		out->text = mem_strdup(text);
	return 0;
}

static size_t find(const struct plugin *p, const char *name)
{
	for (size_t i = 0; i < p->option_count; i++)
		if (!strcmp(p->options[i].name, name))
			return i;
	return p->option_count;
}

static void unknown(const struct plugin *p, const struct conf_raw *line,
		    struct conf_errors *errors)
{
	struct schema_near near = { 0 };

	for (size_t i = 0; i < p->option_count; i++)
		schema_near(&near, str_of(line->key), p->options[i].name);
	if (near.name)
		conf_error(errors, line->place,
			   "plugin '%s' has no option '%s'; did you mean "
			   "'%s'?",
			   p->name, line->key, near.name);
	else
		conf_error(errors, line->place,
			   "plugin '%s' has no option '%s'", p->name,
			   line->key);
}

/* A secret written out in a file that others may read is no secret. */
static void warn_literal(const struct conf_raw *line,
			 struct conf_errors *errors)
{
	struct stat st;

	if (!credential_is_literal(line->value) || !line->place.file ||
	    stat(line->place.file, &st) < 0 || !(st.st_mode & S_IROTH))
		return;
	conf_warning(errors, line->place,
		     "%s: a secret stands in a file that everybody may read "
		     "(mode %04o); write file:PATH, or chmod o-r",
		     line->key, (unsigned)st.st_mode & 07777);
}

static void read_line(struct options *o, const struct conf_raw *line,
		      struct conf_errors *errors)
{
	const struct plugin *p = o->plugin;
	size_t at = find(p, line->key);
	struct err e;

	if (at == p->option_count) {
		unknown(p, line, errors);
		return;
	}
	if (o->values[at].given) {
		conf_error(errors, line->place, "%s: given twice", line->key);
		return;
	}
	if (p->options[at].type == ACME_SECRET)
		warn_literal(line, errors);
	if (option_parse(p->options[at].type, line->value, &o->values[at], &e) <
	    0)
		conf_error(errors, line->place, "%s: %s", line->key, e.text);
}

/* Fallbacks were checked when the plugin was loaded. */
static void fill(struct options *o, size_t at, struct conf_place place,
		 const struct conf_raws *lines, struct conf_errors *errors)
{
	const acme_option *option = &o->plugin->options[at];
	struct err e;

	if (o->values[at].given)
		return;
	if (option->fallback) {
		option_parse(option->type, option->fallback, &o->values[at],
			     &e);
		return;
	}
	if (!(option->flags & ACME_REQUIRED))
		return;
	for (size_t i = 0; i < lines->count; i++)
		if (!strcmp(lines->items[i].key, option->name))
			return; /* it was there, and was wrong */
	conf_error(errors, place, "plugin '%s' needs the option '%s': %s",
		   o->plugin->name, option->name, option->help);
}

int options_read(const struct plugin *plugin, struct conf_place place,
		 const struct conf_raws *lines, struct options *out,
		 struct conf_errors *errors)
{
	size_t before = errors->errors;

	out->plugin = plugin;
	out->values = mem_array(plugin->option_count + 1, sizeof *out->values);
	for (size_t i = 0; i < lines->count; i++)
		read_line(out, &lines->items[i], errors);
	for (size_t i = 0; i < plugin->option_count; i++)
		fill(out, i, place, lines, errors);
	if (errors->errors == before)
		return 0;
	options_free(out);
	return ERR_INVALID;
}

void options_free(struct options *o)
{
	for (size_t i = 0; o->values && i < o->plugin->option_count; i++)
		option_value_free(&o->values[i]);
	free(o->values);
	o->values = NULL;
}

const struct option_value *options_get(const struct options *o,
				       const char *name, uint32_t types)
{
	size_t at = name ? find(o->plugin, name) : o->plugin->option_count;

	if (at == o->plugin->option_count ||
	    !(types & 1u << o->plugin->options[at].type))
		return NULL;
	return &o->values[at];
}
