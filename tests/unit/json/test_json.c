/* SPDX-License-Identifier: Apache-2.0 */
/* Documents, and what is no document. */
/* json/: bounded parsing, checked accessors, values that must not be taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "json/json.h"

static json_t *doc(const char *text)
{
	struct err e;
	json_t *json;

	assert_int_equal(json_read(str_of(text), &json, &e), 0);
	return json;
}

static void refused(const char *text, const char *why)
{
	struct err e;
	json_t *json;

	assert_int_equal(json_read(str_of(text), &json, &e), ERR_INVALID);
	assert_null(json);
	assert_string_equal(e.text, why);
}

static void a_document_is_read_and_written(void **state)
{
	json_t *json = doc(" {\"b\":1,\"a\":[true,null,\"\\u00e9\"]} ");
	struct buf b = BUF_INIT(64);
	struct err e;
	(void)state;

	assert_int_equal(json_text(json, &b, &e), 0);
	assert_string_equal(b.ptr, "{\"b\":1,\"a\":[true,null,\"\xc3\xa9\"]}");
	json_decref(json);
	buf_free(&b);
}

static void writing_stops_at_the_maximum(void **state)
{
	json_t *json = doc("{\"key\":\"0123456789\"}");
	struct buf b = BUF_INIT(10);
	struct err e;
	(void)state;

	assert_int_equal(json_text(json, &b, &e), ERR_NOSPACE);
	buf_free(&b);
	assert_int_equal(json_text(NULL, &b, &e), ERR_INVALID);
	json_decref(json);
}

static void errors_give_the_position_and_no_value(void **state)
{
	(void)state;

	refused("", "empty, expected JSON");
	refused("{\"a\":1,\n \"token\":hunter2}",
	        "line 2 column 15: invalid token");
	refused("{\"a\":1,\"a\":2}", "line 1 column 10: duplicate object key");
	refused("{} x", "line 1 column 4: end of file expected");
	refused("<html>", "line 1 column 1: '[' or '{' expected");
	refused("{\"a\":\"\\u0000\"}",
	        "line 1 column 13: \\u0000 is not allowed");
}

static void depth_is_bounded(void **state)
{
	struct buf b = BUF_INIT(1024);
	(void)state;

	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_addc(&b, '[');
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_addc(&b, ']');
	json_decref(doc(b.ptr));
	buf_reset(&b);
	for (int i = 0; i <= JSON_DEPTH_MAX; i++)
		buf_addc(&b, '[');
	refused(b.ptr, "nested over 32 levels");
	buf_free(&b);
	json_decref(doc("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]"));
}

static void size_is_bounded(void **state)
{
	size_t len = JSON_SIZE_MAX + 1;
	char *text = malloc(len);
	struct err e;
	json_t *json;
	(void)state;

	memset(text, ' ', len);
	memcpy(text, "{}", 2);
	assert_int_equal(json_read((struct str){ text, len }, &json, &e),
	                 ERR_INVALID);
	assert_int_equal(json_read((struct str){ text, len - 1 }, &json, &e),
	                 0);
	json_decref(json);
	assert_int_equal(json_read_within((struct str){ text, len }, len, &json,
	                                  &e),
	                 0);
	json_decref(json);
	free(text);
}

/* What it does shows in no way that C allows to look at; that it is there does. */
static void what_is_freed_is_wiped_first(void **state)
{
	json_malloc_t get;
	json_free_t give;
	(void)state;

	json_get_alloc_funcs(&get, &give);
	assert_true(get == malloc);
	assert_true(give != free);
	give(NULL);
	give(get(1));
}

static void members_are_checked_and_named(void **state)
{
	json_t *json = doc("{\"s\":\"text\",\"i\":7,\"t\":true,\"n\":null,"
	                   "\"a\":[1,2],\"o\":{}}");
	const json_t *sub;
	const char *s;
	struct err e;
	int64_t i;
	bool b;
	(void)state;

	assert_int_equal(json_get_str(json, "s", 4, &s, &e), 0);
	assert_string_equal(s, "text");
	assert_int_equal(json_get_str(json, "s", 3, &s, &e), ERR_INVALID);
	assert_string_equal(e.text, "\"s\" is over 3 bytes");
	assert_int_equal(json_get_str(json, "i", 9, &s, &e), ERR_INVALID);
	assert_string_equal(e.text, "\"i\" is an integer, expected a string");
	assert_int_equal(json_get_str(json, "x", 9, &s, &e), ERR_INVALID);
	assert_string_equal(e.text, "\"x\" is missing");
	assert_int_equal(json_get_int(json, "i", 0, 7, &i, &e), 0);
	assert_int_equal(i, 7);
	assert_int_equal(json_get_int(json, "i", 8, 9, &i, &e), ERR_INVALID);
	assert_string_equal(e.text, "\"i\" is not between 8 and 9");
	assert_int_equal(json_get_bool(json, "t", &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_get_bool(json, "n", &b, &e), ERR_INVALID);
	assert_int_equal(json_get_array(json, "a", 2, &sub, &e), 0);
	assert_int_equal(json_get_array(json, "a", 1, &sub, &e), ERR_INVALID);
	assert_string_equal(e.text, "\"a\" has over 1 items");
	assert_int_equal(json_get_object(json, "o", &sub, &e), 0);
	assert_int_equal(json_get_object(json, "a", &sub, &e), ERR_INVALID);
	assert_int_equal(
	    json_get_str(json_object_get(json, "a"), "k", 1, &s, &e),
	    ERR_INVALID);
	assert_string_equal(e.text, "expected an object with \"k\"");
	json_decref(json);
}

static void optional_members_may_be_absent_or_null_not_wrong(void **state)
{
	json_t *json = doc("{\"s\":\"text\",\"n\":null}");
	const json_t *sub;
	const char *s;
	struct err e;
	int64_t i;
	bool b;
	(void)state;

	assert_int_equal(json_opt_str(json, "n", 4, &s, &e), 0);
	assert_null(s);
	assert_int_equal(json_opt_str(json, "s", 4, &s, &e), 0);
	assert_string_equal(s, "text");
	assert_int_equal(json_opt_int(json, "x", -1, 0, 9, &i, &e), 0);
	assert_int_equal(i, -1);
	assert_int_equal(json_opt_int(json, "s", -1, 0, 9, &i, &e),
	                 ERR_INVALID);
	assert_int_equal(json_opt_bool(json, "n", true, &b, &e), 0);
	assert_true(b);
	assert_int_equal(json_opt_object(json, "n", &sub, &e), 0);
	assert_int_equal(json_opt_array(json, "s", 1, &sub, &e), ERR_INVALID);
	assert_int_equal(json_opt_str(NULL, "s", 4, &s, &e), ERR_INVALID);
	json_decref(json);
}

static void items_are_checked_and_counted(void **state)
{
	json_t *json = doc("[\"a\",{},1]");
	const json_t *sub;
	const char *s;
	struct err e;
	(void)state;

	assert_int_equal(json_item_str(json, 0, 1, &s, &e), 0);
	assert_string_equal(s, "a");
	assert_int_equal(json_item_object(json, 1, &sub, &e), 0);
	assert_int_equal(json_item_str(json, 2, 1, &s, &e), ERR_INVALID);
	assert_string_equal(e.text, "item 2 is an integer, expected a string");
	assert_int_equal(json_item_str(json, 3, 1, &s, &e), ERR_INVALID);
	assert_string_equal(e.text, "item 3 is missing");
	json_decref(json);
}

static void any_text_becomes_a_string(void **state)
{
	static const char *const TEXTS[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\303\266\342\202\254\360\237\230\200", NULL },
		{ "cut \303", "cut ?" },
		{ "cut \342\202", "cut ??" },
		{ "\377a\300\257b", "?a??b" },
		{ "\355\240\200", "???" }, /* a surrogate */
		{ "\303\266\377\303\266", "\303\266?\303\266" },
	};
	(void)state;

	for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
		json_t *s = json_lossy(TEXTS[i][0]);
		assert_string_equal(json_string_value(s),
		                    TEXTS[i][1] ? TEXTS[i][1] : TEXTS[i][0]);
		json_decref(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_read_and_written),
		cmocka_unit_test(writing_stops_at_the_maximum),
		cmocka_unit_test(errors_give_the_position_and_no_value),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(any_text_becomes_a_string),
		cmocka_unit_test(what_is_freed_is_wiped_first),
		cmocka_unit_test(members_are_checked_and_named),
		cmocka_unit_test(
		    optional_members_may_be_absent_or_null_not_wrong),
		cmocka_unit_test(items_are_checked_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
