/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as values: durations, names, keys, URLs; the nearest known word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/value.h"

static struct err e;

static void durations(void **state)
{
	int64_t ms;

	(void)state;
	assert_int_equal(value_duration(STR("250ms"), &ms, &e), 0);
	assert_int_equal(ms, 250);
	assert_int_equal(value_duration(STR("30s"), &ms, &e), 0);
	assert_int_equal(ms, 30000);
	assert_int_equal(value_duration(STR("90d"), &ms, &e), 0);
	assert_int_equal(ms, 90LL * 86400000);
	assert_int_equal(value_duration(STR("30"), &ms, &e), ERR_INVALID);
	assert_int_equal(value_duration(STR("-1s"), &ms, &e), ERR_INVALID);
	assert_int_equal(value_duration(STR("s"), &ms, &e), ERR_INVALID);
	assert_int_equal(value_duration(STR("99999999999999999999s"), &ms, &e),
			 ERR_INVALID);
	assert_int_equal(value_duration(STR("9000000000000000000w"), &ms, &e),
			 ERR_INVALID);
	assert_string_equal(e.text, "expected a duration such as 30s, 5m, 12h "
				    "or 90d, not '9000000000000000000w'");
}

static void numbers_and_switches(void **state)
{
	int64_t n;
	bool yes;

	(void)state;
	assert_int_equal(value_int(STR("42"), 1, 100, &n, &e), 0);
	assert_int_equal(n, 42);
	assert_int_equal(value_int(STR("-1"), -1, 1, &n, &e), 0);
	assert_int_equal(n, -1);
	assert_int_equal(value_int(STR("101"), 1, 100, &n, &e), ERR_INVALID);
	assert_int_equal(value_int(STR("4x"), 1, 100, &n, &e), ERR_INVALID);
	assert_int_equal(value_int(STR(""), 0, 100, &n, &e), ERR_INVALID);
	assert_int_equal(value_int(STR("-"), 0, 100, &n, &e), ERR_INVALID);
	assert_int_equal(value_size(STR("64k"), &n, &e), 0);
	assert_int_equal(n, 65536);
	assert_int_equal(value_bool(STR("On"), &yes, &e), 0);
	assert_true(yes);
	assert_int_equal(value_bool(STR("false"), &yes, &e), 0);
	assert_false(yes);
	assert_int_equal(value_bool(STR("maybe"), &yes, &e), ERR_INVALID);
	assert_string_equal(e.text, "expected yes or no, not 'maybe'");
}

static void paths_and_urls(void **state)
{
	(void)state;
	assert_int_equal(value_path(STR("/a/b c"), &e), 0);
	assert_int_equal(value_path(STR("/a..b/c"), &e), 0);
	assert_int_equal(value_path(STR("a/b"), &e), ERR_INVALID);
	assert_int_equal(value_path(STR("/a/../b"), &e), ERR_INVALID);
	assert_int_equal(value_path(STR("/a/.."), &e), ERR_INVALID);
	assert_int_equal(value_url(STR("https://x/d"), "https http", &e), 0);
	assert_int_equal(value_url(STR("http://[::1]:5/d"), "https http", &e),
			 0);
	assert_int_equal(value_url(STR("ftp://x"), "https http", &e),
			 ERR_INVALID);
	assert_int_equal(value_url(STR("https://"), "https", &e), ERR_INVALID);
	assert_int_equal(value_url(STR("https:///x"), "https", &e),
			 ERR_INVALID);
	assert_int_equal(value_url(STR("https://a b"), "https", &e),
			 ERR_INVALID);
}

static void name(const char *text, const char *expected)
{
	char out[CONF_NAME_MAX];

	if (!expected) {
		assert_int_equal(conf_name_check(str_of(text), out, &e),
				 ERR_INVALID);
		return;
	}
	assert_int_equal(conf_name_check(str_of(text), out, &e), 0);
	assert_string_equal(out, expected);
}

static void host_names_and_addresses(void **state)
{
	(void)state;
	name("WWW.Example.com", "www.example.com");
	name("*.example.com", "*.example.com");
	name("localhost", "localhost");
	name("192.0.2.1", "192.0.2.1");
	name("2001:DB8:0::1", "2001:db8::1");
	name("a.b.*", NULL);
	name("*.*.a", NULL);
	name("*", NULL);
	name("*.", NULL);
	name("", NULL);
	name(".", NULL);
	name("a..b", NULL);
	name("a.", NULL);
	name("-a.b", NULL);
	name("a-.b", NULL);
	name("a b", NULL);
	name("a/../b", NULL);
	name("192.0.2.256", NULL);
	name("m\xc3\xbcller.example", NULL);
	name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "a.example",
	     NULL);
}

static void keys_and_patterns(void **state)
{
	(void)state;
	assert_string_equal(conf_key_check(STR("ECDSA")), "ecdsa:256");
	assert_string_equal(conf_key_check(STR("rsa")), "rsa:2048");
	assert_string_equal(conf_key_check(STR("rsa:4096")), "rsa:4096");
	assert_null(conf_key_check(STR("rsa:1024")));
	assert_true(conf_pattern("*", "a.b"));
	assert_true(conf_pattern("*.b", "a.b"));
	assert_true(conf_pattern("*.b", "x.a.b"));
	assert_true(conf_pattern("*.b", "*.b"));
	assert_false(conf_pattern("*.b", "b"));
	assert_false(conf_pattern("*.b", "ab"));
	assert_false(conf_pattern("*.b", ".b"));
	assert_true(conf_pattern("a.b", "A.b"));
	assert_false(conf_pattern("a.b", "x.a.b"));
}

static void renewal_times(void **state)
{
	struct conf_renew r;

	(void)state;
	assert_int_equal(schema_renew(STR("auto"), &r, &e), 0);
	assert_int_equal(r.kind, CONF_RENEW_AUTO);
	assert_int_equal(schema_renew(STR("30d"), &r, &e), 0);
	assert_int_equal(r.kind, CONF_RENEW_BEFORE);
	assert_int_equal(r.before_ms, 30LL * 86400000);
	assert_int_equal(schema_renew(STR("66 %"), &r, &e), 0);
	assert_int_equal(r.kind, CONF_RENEW_PERCENT);
	assert_int_equal(r.percent, 66);
	assert_int_equal(schema_renew(STR("100%"), &r, &e), ERR_INVALID);
	assert_int_equal(schema_renew(STR("%"), &r, &e), ERR_INVALID);
	assert_int_equal(schema_renew(STR("0d"), &r, &e), ERR_INVALID);
	assert_int_equal(schema_renew(STR("soon"), &r, &e), ERR_INVALID);
}

static const char *nearest(const char *text)
{
	static const char *const WORDS[] = { "directory", "contact",
					     "challenge", "ip" };
	struct schema_near near = { 0 };

	for (size_t i = 0; i < 4; i++)
		schema_near(&near, str_of(text), WORDS[i]);
	return near.name ? near.name : "";
}

static void the_nearest_word_is_found_when_it_is_near(void **state)
{
	(void)state;
	assert_string_equal(nearest("directroy"), "directory");
	assert_string_equal(nearest("contacts"), "contact");
	assert_string_equal(nearest("chalenge"), "challenge");
	assert_string_equal(nearest("dir"), "directory");
	assert_string_equal(nearest("iq"), "ip");
	assert_string_equal(nearest("frobnicate"), "");
}

static void the_document_names_every_key(void **state)
{
	struct buf out = BUF_INIT(1 << 20);

	(void)state;
	schema_markdown(&out);
	assert_false(out.full);
	for (int i = 0; i < SCHEMA_KINDS; i++)
		for (size_t j = 0; j < SCHEMA[i].count; j++) {
			assert_non_null(
			    strstr(out.ptr, SCHEMA[i].keys[j].name));
			assert_true(strlen(SCHEMA[i].keys[j].help) > 10);
		}
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(numbers_and_switches),
		cmocka_unit_test(paths_and_urls),
		cmocka_unit_test(host_names_and_addresses),
		cmocka_unit_test(keys_and_patterns),
		cmocka_unit_test(renewal_times),
		cmocka_unit_test(the_nearest_word_is_found_when_it_is_near),
		cmocka_unit_test(the_document_names_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
