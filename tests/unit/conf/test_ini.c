/* SPDX-License-Identifier: Apache-2.0 */
/* The INI language: any length, comments, quotes, junk; errors with lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/ini.h"

static struct arena mem;
static struct ini ini;
static struct conf_errors errors;

static int setup(void **state)
{
	(void)state;
	mem = ARENA_INIT(8 << 20);
	ini = INI_INIT(&mem);
	errors = CONF_ERRORS_INIT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	conf_errors_free(&errors);
	arena_reset(&mem);
	return 0;
}

static void parse_bytes(const char *bytes, size_t len)
{
	ini_parse_text(&ini, (struct str){ bytes, len }, "x.ini", &errors);
}

static void parse(const char *text)
{
	parse_bytes(text, strlen(text));
}

static const char *value(const char *key)
{
	const struct ini_entry *e =
	    ini.sections ? ini_find(ini.sections, key) : NULL;
	return e ? e->value : NULL;
}

/* The only error has that text. */
static void refused(const char *text, const char *expected)
{
	teardown(NULL);
	setup(NULL);
	parse(text);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.items[0].text, expected);
}

static void sections_and_keys_with_their_lines(void **state)
{
	(void)state;
	parse("; first\n\n[issuer le]   ; comment\r\n"
	      "  directory =  https://ca/dir  ; and more\r\n"
	      "contact=a@b\n# end\n[agent]\n[storage]\nplugin = file");
	assert_int_equal(errors.count, 0);
	assert_int_equal(ini.count, 3);
	assert_string_equal(ini.sections->kind, "issuer");
	assert_string_equal(ini.sections->name, "le");
	assert_int_equal(ini.sections->place.line, 3);
	assert_string_equal(value("directory"), "https://ca/dir");
	assert_int_equal(ini_find(ini.sections, "contact")->place.line, 5);
	assert_null(ini.sections->next->entries);
	assert_string_equal(ini.sections->next->next->entries->value, "file");
	assert_int_equal(ini.sections->next->next->entries->place.line, 9);
}

static void values_of_any_length_come_whole(void **state)
{
	(void)state;
	for (size_t len = 1; len < 2000; len += 13) {
		char *text = mem_alloc(len + 64);
		int head = snprintf(text, 16, "[a]\nkey=");
		for (size_t i = 0; i < len; i++)
			text[(size_t)head + i] = (char)('a' + i % 23);
		parse(text);
		assert_int_equal(errors.count, 0);
		assert_string_equal(value("key"), text + head);
		free(text);
		teardown(NULL);
		setup(NULL);
	}
}

static void a_value_over_the_limit_is_an_error(void **state)
{
	char *text = mem_alloc(INI_VALUE_MAX + 64);

	(void)state;
	memset(text, 'x', INI_VALUE_MAX + 32);
	memcpy(text, "[a]\nkey=", 8);
	parse(text);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.items[0].text,
			    "x.ini:2: key: value over 65536 bytes");
	free(text);
}

static void long_section_names_do_not_merge(void **state)
{
	char text[400], name[130];

	(void)state;
	memset(name, 'n', 120);
	name[120] = '\0';
	snprintf(text, sizeof(text),
		 "[certificate %sA]\nk=1\n[certificate %sB]\nk=2\n", name,
		 name);
	parse(text);
	assert_int_equal(errors.count, 0);
	assert_int_equal(ini.count, 2);
	assert_int_equal(ini.sections->name[120], 'A');
	assert_int_equal(ini.sections->next->name[120], 'B');
	assert_string_equal(ini.sections->next->entries->value, "2");
}

static void quotes_keep_what_would_be_a_comment(void **state)
{
	(void)state;
	parse("[a]\np = \"x ;y; ;z\" ; comment\nq = a;b ;c\nr = \"\"\n"
	      "s = ; nothing\nt = |x|\n");
	assert_int_equal(errors.count, 0);
	assert_string_equal(value("p"), "x ;y; ;z");
	assert_string_equal(value("q"), "a;b");
	assert_string_equal(value("r"), "");
	assert_string_equal(value("s"), "");
	assert_string_equal(value("t"), "|x|");
}

static void lists_go_on_behind_a_comma(void **state)
{
	(void)state;
	parse("[a]\nnames = a,  ; first\n\n   ; in between\n  b,\r\n  c\n"
	      "other = 1\n");
	assert_int_equal(errors.count, 0);
	assert_string_equal(value("names"), "a, b, c");
	assert_int_equal(ini_find(ini.sections, "other")->place.line, 7);
}

static void a_bom_is_skipped(void **state)
{
	(void)state;
	parse("\xef\xbb\xbf[a]\nk = \xc3\xa4\n");
	assert_int_equal(errors.count, 0);
	assert_string_equal(value("k"), "\xc3\xa4");
}

static void mistakes_are_named_with_their_line(void **state)
{
	(void)state;
	refused("[a]\nfoo bar\n",
		"x.ini:2: expected 'key = value' or '[section]'");
	refused("[a\n", "x.ini:1: section without its closing ']'");
	refused("[]\n", "x.ini:1: section without a name");
	refused("[a] b\n", "x.ini:1: text behind the section's ']'");
	refused("k = v\n", "x.ini:1: 'k' stands before the first section");
	refused("[a]\n= v\n", "x.ini:2: no key in front of '='");
	refused("[a]\na b = v\n", "x.ini:2: 'a b' is no key: letters, digits, "
				  "'_', '-' and '.' only");
	refused("[a]\n\nk = \"x\n", "x.ini:3: k: closing quote is missing");
	refused("[a]\nk = \"x\", \"y\"\n",
		"x.ini:2: k: text behind the closing quote; quotes stand "
		"around the whole value and not within it");
	refused("[a]\nk = x,\n[b]\n",
		"x.ini:2: k: ends in a comma, but a section follows");
	assert_int_equal(ini.count, 2);
	refused("[a]\nk = x,\n\n",
		"x.ini:2: k: ends in a comma, but nothing follows");
	refused("[a]\nkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk = 1\n",
		"x.ini:2: key of 50 bytes; at most 40");
}

static void junk_ends_the_file_with_one_error(void **state)
{
	static const char NUL[] = "[a]\nk = v\nx = \0\n[b]\n";
	static const char ELF[] = "\x7f"
				  "ELF\x02\x01\x01\n\x01\x02\n";
	static const char LATIN[] = "[a]\nk = M\xfcller\nl = 1\n";

	(void)state;
	parse_bytes(NUL, sizeof(NUL) - 1);
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.items[0].text,
			    "x.ini:3: byte 0x00: this is not a text file in "
			    "UTF-8; nothing from here on was read");
	assert_string_equal(value("k"), "v");
	parse_bytes(ELF, sizeof(ELF) - 1);
	assert_int_equal(errors.count, 2);
	parse_bytes(LATIN, sizeof(LATIN) - 1);
	assert_int_equal(errors.count, 3);
}

static void the_list_of_errors_is_bounded(void **state)
{
	char *text = mem_alloc(2100);

	(void)state;
	for (int i = 0; i < 1000; i++)
		memcpy(text + 2 * i, "x\n", 2);
	parse(text);
	assert_int_equal(errors.count, CONF_ERRORS_MAX);
	assert_int_equal(errors.more, 1000 - CONF_ERRORS_MAX);
	assert_int_equal(errors.errors, 1000);
	free(text);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(sections_and_keys_with_their_lines),
		T(values_of_any_length_come_whole),
		T(a_value_over_the_limit_is_an_error),
		T(long_section_names_do_not_merge),
		T(quotes_keep_what_would_be_a_comment),
		T(lists_go_on_behind_a_comma),
		T(a_bom_is_skipped),
		T(mistakes_are_named_with_their_line),
		T(junk_ends_the_file_with_one_error),
		T(the_list_of_errors_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
