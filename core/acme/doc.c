/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common ground of directory_doc, order_doc and the others: from hostile
 * bytes to checked strings in an arena. Unknown members are ignored, as RFC
 * 8555 section 7.1 demands; known ones must be right.
 */
#include "acme/doc.h"

#include <string.h>

#include "acme/excerpt.h"
#include "acme/identifier.h"
#include "acme/problem.h"
#include "acme/url.h"
#include "base/now.h"

enum { DATE_MAX = 64, WORD_MAX = 64, IDENTIFIER_VALUE_MAX = 1024 };

int doc_open(struct doc *d, struct str body)
{
	struct str text = str_trim(body);
	char bytes[EXCERPT_SIZE];
	int rc = 0;

	d->root = NULL;
	if (text.len == 0 || text.ptr[0] != '{')
		err_set(d->e, rc = ERR_INVALID, "expected JSON, got %s",
		        excerpt(text, bytes));
	else
		rc = json_read(text, &d->root, d->e);
	return rc < 0 ? doc_close(d, rc) : 0;
}

int doc_close(struct doc *d, int rc)
{
	json_decref(d->root);
	d->root = NULL;
	if (rc == 0)
		return 0;
	err_in(d->e, "not %s", d->noun);
	if (rc == ERR_INVALID)
		rc = d->e->code = ERR_BROKEN;
	return rc;
}

int doc_room(const struct doc *d, size_t count, size_t size, void **out)
{
	*out = arena_alloc(d->arena, count * size);
	if (*out)
		return 0;
	return err_set(d->e, ERR_NOSPACE, "too large");
}

static int copy(const struct doc *d, const char *text, const char **out)
{
	*out = NULL;
	if (!text)
		return 0;
	*out = arena_strdup(d->arena, text);
	return *out ? 0 : err_set(d->e, ERR_NOSPACE, "too large");
}

int doc_str(const struct doc *d, const json_t *obj, const char *key, size_t max,
            enum doc_presence presence, const char **out)
{
	const char *text;
	int rc = presence == DOC_OPTIONAL
	                 ? json_opt_str(obj, key, max, &text, d->e)
	                 : json_get_str(obj, key, max, &text, d->e);

	*out = NULL;
	return rc ? rc : copy(d, text, out);
}

int doc_url(const struct doc *d, const json_t *obj, const char *key,
            enum doc_presence presence, const char **out)
{
	int rc = doc_str(d, obj, key, URL_MAX, presence, out);

	if (rc == 0 && *out && url_check(str_of(*out), d->flags, d->e) < 0)
		rc = err_in(d->e, "\"%s\"", key);
	return rc;
}

static int get_items(const struct doc *d, const char *key, size_t max,
                     const char *const **out, size_t *count, bool urls)
{
	const json_t *array;
	const char **items = NULL, *text;
	void *room = NULL;
	int rc = json_opt_array(d->root, key, max, &array, d->e);

	*out = NULL;
	*count = 0;
	if (rc < 0 || !array)
		return rc;
	size_t n = json_array_size(array);
	rc = doc_room(d, n, sizeof *items, &room);
	items = room;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = json_item_str(array, i, URL_MAX, &text, d->e);
		if (rc == 0 && urls)
			rc = url_check(str_of(text), d->flags, d->e);
		rc = rc ? rc : copy(d, text, &items[i]);
	}
	if (rc < 0)
		return err_in(d->e, "\"%s\"", key);
	*out = items;
	*count = n;
	return 0;
}

int doc_strs(const struct doc *d, const char *key, size_t max,
             const char *const **out, size_t *count)
{
	return get_items(d, key, max, out, count, false);
}

int doc_urls(const struct doc *d, const char *key, size_t max,
             const char *const **out, size_t *count)
{
	return get_items(d, key, max, out, count, true);
}

int doc_date(const struct doc *d, const json_t *obj, const char *key,
             int64_t *out)
{
	const char *text;
	int rc = json_opt_str(obj, key, DATE_MAX, &text, d->e);

	*out = 0;
	if (rc == 0 && text && now_parse(text, out) < 0)
		rc = err_set(d->e, ERR_INVALID, "\"%s\" is no date: %s", key,
		             text);
	return rc;
}

int doc_word(const struct doc *d, const json_t *obj, const char *key,
             const char *const *words, size_t count, int *out)
{
	const char *text;
	int rc = json_get_str(obj, key, WORD_MAX, &text, d->e);

	*out = 0;
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(text, words[i])) {
			*out = (int)i;
			return 0;
		}
	}
	return err_set(d->e, ERR_INVALID, "unknown %s \"%s\"", key, text);
}

int doc_error(const struct doc *d, const json_t *obj, const struct err **out)
{
	const json_t *problem;
	void *room;
	int rc = json_opt_object(obj, "error", &problem, d->e);

	*out = NULL;
	if (rc < 0 || !problem)
		return rc;
	rc = doc_room(d, 1, sizeof **out, &room);
	if (rc < 0)
		return rc;
	problem_from(0, problem, room);
	*out = room;
	return 0;
}

int doc_identifier(const struct doc *d, const json_t *obj,
                   struct identifier *out)
{
	const char *type;
	int rc = json_get_str(obj, "type", WORD_MAX, &type, d->e);

	rc = rc ? rc
	        : doc_str(d, obj, "value", IDENTIFIER_VALUE_MAX, DOC_REQUIRED,
	                  &out->value);
	if (rc < 0)
		return err_in(d->e, "identifier");
	out->type = !strcmp(type, "dns")  ? IDENTIFIER_DNS
	            : !strcmp(type, "ip") ? IDENTIFIER_IP
	                                  : IDENTIFIER_OTHER;
	return 0;
}
