/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson reads and writes; this file bounds it. Three things are ours:
 *
 * Depth. jansson recurses up to 2048 levels, so the text is scanned for nesting
 * before it is parsed. The scan only counts brackets outside strings: what it
 * does not understand, the parser refuses.
 *
 * Texts. jansson's errors quote what stands near the fault. A document on the
 * control socket may hold a secret there, so only the reason and the position
 * are kept.
 *
 * Memory. Private keys of records pass through documents, so what jansson frees
 * is wiped first. jansson never uses realloc, so there is no other way out.
 *
 * Accessors. Each checks presence, type and bound, and names the field, so that
 * a reader of documents is a list of calls and its errors need no thought.
 */
#include "json/json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void wiping_free(void *ptr)
{
	if (ptr)
		explicit_bzero(ptr, malloc_usable_size(ptr));
	free(ptr);
}

/* Before main: nobody can forget it, and no document is older. */
__attribute__((constructor)) static void wipe_what_is_freed(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
}

static int check_depth(struct str text, struct err *e)
{
	int depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return err_set(e, ERR_INVALID,
				               "nested over %d levels",
				               JSON_DEPTH_MAX);
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return 0;
}

/* jansson says "string or '}' expected near 'x'". Only what stands before the
 * quotation is passed on, and not the name of a flag of its interface. */
static int parse_error(const json_error_t *error, struct err *e)
{
	const char *end = strstr(error->text, " without JSON_");

	if (!end)
		end = strstr(error->text, " near '");
	int len =
		(int)(end ? (size_t)(end - error->text) : strlen(error->text));
	return err_set(e, ERR_INVALID, "line %d column %d: %.*s", error->line,
	               error->column, len, error->text);
}

int json_read_within(struct str text, size_t max, json_t **out, struct err *e)
{
	json_error_t error;

	*out = NULL;
	if (text.len == 0)
		return err_set(e, ERR_INVALID, "empty, expected JSON");
	if (text.len > max)
		return err_set(e, ERR_INVALID, "over %zu bytes", max);
	int rc = check_depth(text, e);
	if (rc < 0)
		return rc;
	*out = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
	return *out ? 0 : parse_error(&error, e);
}

int json_read(struct str text, json_t **out, struct err *e)
{
	return json_read_within(text, JSON_SIZE_MAX, out, e);
}

static int add_to_buf(const char *bytes, size_t len, void *out)
{
	return buf_add(out, bytes, len);
}

int json_text(const json_t *value, struct buf *out, struct err *e)
{
	if (!value)
		return err_set(e, ERR_INVALID, "not UTF-8");
	if (json_dump_callback(value, add_to_buf, out,
	                       JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		return err_set(e, ERR_NOSPACE, "JSON over %zu bytes", out->max);
	return 0;
}

/* The length of the character that begins here; 0: none does. */
static size_t character(const char *at)
{
	for (size_t n = 1; n <= 4 && at[n - 1]; n++) {
		json_t *one = json_stringn(at, n);
		if (one) {
			json_decref(one);
			return n;
		}
	}
	return 0;
}

json_t *json_lossy(const char *text)
{
	json_t *string = json_string(text);

	if (string)
		return string;
	char *copy = mem_strdup(text);
	for (char *at = copy; *at;) {
		size_t n = character(at);
		if (!n)
			*at = '?';
		at += n ? n : 1;
	}
	string = json_string(copy);
	free(copy);
	return string;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
	default:
		return "null";
	}
}

/* Where a value was looked for: the member `key`, or item `index`. */
struct place {
	const char *key;
	size_t index;
};

static int fail(struct place at, struct err *e, const char *what)
{
	if (at.key)
		return err_set(e, ERR_INVALID, "\"%s\" %s", at.key, what);
	return err_set(e, ERR_INVALID, "item %zu %s", at.index, what);
}

static int wrong_type(struct place at, const json_t *value, const char *wanted,
                      struct err *e)
{
	char what[80];

	snprintf(what, sizeof what, "is %s, expected %s", type_name(value),
	         wanted);
	return fail(at, e, what);
}

/* The member, or NULL with an error. */
static const json_t *member(const json_t *obj, const char *key, struct err *e)
{
	const json_t *value;

	if (!json_is_object(obj)) {
		err_set(e, ERR_INVALID, "expected an object with \"%s\"", key);
		return NULL;
	}
	value = json_object_get(obj, key);
	if (!value)
		err_set(e, ERR_INVALID, "\"%s\" is missing", key);
	return value;
}

static bool absent(const json_t *obj, const char *key)
{
	const json_t *value = json_object_get(obj, key);

	return json_is_object(obj) && (!value || json_is_null(value));
}

static int as_str(struct place at, const json_t *value, size_t max,
                  const char **out, struct err *e)
{
	char what[48];

	if (!json_is_string(value))
		return wrong_type(at, value, "a string", e);
	if (json_string_length(value) > max) {
		snprintf(what, sizeof what, "is over %zu bytes", max);
		return fail(at, e, what);
	}
	*out = json_string_value(value);
	return 0;
}

int json_get_str(const json_t *obj, const char *key, size_t max,
                 const char **out, struct err *e)
{
	const json_t *value = member(obj, key, e);

	*out = NULL;
	if (!value)
		return e->code;
	return as_str((struct place){ .key = key }, value, max, out, e);
}

int json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *e)
{
	const json_t *value = member(obj, key, e);

	*out = 0;
	if (!value)
		return e->code;
	if (!json_is_integer(value))
		return wrong_type((struct place){ .key = key }, value,
		                  "an integer", e);
	int64_t number = json_integer_value(value);
	if (number < min || number > max)
		return err_set(e, ERR_INVALID,
		               "\"%s\" is not between %lld and %lld", key,
		               (long long)min, (long long)max);
	*out = number;
	return 0;
}

int json_get_bool(const json_t *obj, const char *key, bool *out, struct err *e)
{
	const json_t *value = member(obj, key, e);

	*out = false;
	if (!value)
		return e->code;
	if (!json_is_boolean(value))
		return wrong_type((struct place){ .key = key }, value,
		                  "true or false", e);
	*out = json_is_true(value);
	return 0;
}

int json_get_object(const json_t *obj, const char *key, const json_t **out,
                    struct err *e)
{
	const json_t *value = member(obj, key, e);

	*out = NULL;
	if (!value)
		return e->code;
	if (!json_is_object(value))
		return wrong_type((struct place){ .key = key }, value,
		                  "an object", e);
	*out = value;
	return 0;
}

int json_get_array(const json_t *obj, const char *key, size_t max,
                   const json_t **out, struct err *e)
{
	const json_t *value = member(obj, key, e);

	*out = NULL;
	if (!value)
		return e->code;
	if (!json_is_array(value))
		return wrong_type((struct place){ .key = key }, value,
		                  "an array", e);
	if (json_array_size(value) > max)
		return err_set(e, ERR_INVALID, "\"%s\" has over %zu items", key,
		               max);
	*out = value;
	return 0;
}

int json_opt_str(const json_t *obj, const char *key, size_t max,
                 const char **out, struct err *e)
{
	*out = NULL;
	return absent(obj, key) ? 0 : json_get_str(obj, key, max, out, e);
}

int json_opt_int(const json_t *obj, const char *key, int64_t none, int64_t min,
                 int64_t max, int64_t *out, struct err *e)
{
	*out = none;
	return absent(obj, key) ? 0 : json_get_int(obj, key, min, max, out, e);
}

int json_opt_bool(const json_t *obj, const char *key, bool none, bool *out,
                  struct err *e)
{
	*out = none;
	return absent(obj, key) ? 0 : json_get_bool(obj, key, out, e);
}

int json_opt_object(const json_t *obj, const char *key, const json_t **out,
                    struct err *e)
{
	*out = NULL;
	return absent(obj, key) ? 0 : json_get_object(obj, key, out, e);
}

int json_opt_array(const json_t *obj, const char *key, size_t max,
                   const json_t **out, struct err *e)
{
	*out = NULL;
	return absent(obj, key) ? 0 : json_get_array(obj, key, max, out, e);
}

int json_item_str(const json_t *array, size_t index, size_t max,
                  const char **out, struct err *e)
{
	const json_t *value = json_array_get(array, index);
	struct place at = { .index = index };

	*out = NULL;
	if (!value)
		return fail(at, e, "is missing");
	return as_str(at, value, max, out, e);
}

int json_item_object(const json_t *array, size_t index, const json_t **out,
                     struct err *e)
{
	const json_t *value = json_array_get(array, index);
	struct place at = { .index = index };

	*out = NULL;
	if (!value)
		return fail(at, e, "is missing");
	if (!json_is_object(value))
		return wrong_type(at, value, "an object", e);
	*out = value;
	return 0;
}
