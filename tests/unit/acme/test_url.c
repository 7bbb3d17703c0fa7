/* SPDX-License-Identifier: Apache-2.0 */
/* URLs that we would follow, and those that we would not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/url.h"

static void ordinary_urls_pass(void **state)
{
	static const char *const good[] = {
		"https://ca.test/dir",
		"https://ca.test:14000/acme/new-order?x=1",
		"HTTPS://CA.test",
		"https://192.0.2.1/",
		"https://[2001:db8::1]:443/x",
		"http://localhost:4001/directory",
		"http://127.0.0.1:14000/dir",
		"http://[::1]/dir",
	};
	struct err e;
	(void)state;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(url_check(str_of(good[i]), 0, &e), 0);
	assert_int_equal(url_check(STR("http://ca.test/"), URL_HTTP, &e), 0);
}

static void ambiguous_or_bare_urls_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/relative",
		"ftp://ca.test/",
		"https://",
		"https:///path",
		"https://user@ca.test/",
		"https://ca.test@evil.test/",
		"https://ca.test:0/",
		"https://ca.test:65536/",
		"https://ca.test:8o/",
		"https://[::1",
		"https://[::1]x/",
		"https://ca.test/a b",
		"https://ca.test/\"",
		"https://ca.test\\@evil.test/",
		"https://ca.test/#fragment",
		"https://ca.test/\x01",
		"https://c\xc3\xa4.test/",
		"http://ca.test/",
		"http://127.0.0.1.evil.test/",
		"http://localhost.evil.test/",
		"file:///etc/passwd",
	};
	struct err e;
	(void)state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(url_check(str_of(bad[i]), 0, &e), ERR_INVALID);
}

static void length_is_bounded(void **state)
{
	char url[URL_MAX + 2];
	struct err e;
	(void)state;

	memset(url, 'a', sizeof url);
	memcpy(url, "https://ca.test/", 16);
	assert_int_equal(url_check((struct str){ url, URL_MAX }, 0, &e), 0);
	assert_int_equal(url_check((struct str){ url, URL_MAX + 1 }, 0, &e),
	                 ERR_INVALID);
}

static void origins_are_scheme_host_and_port(void **state)
{
	(void)state;

	assert_true(url_same_origin(STR("https://CA.test/dir"),
	                            STR("https://ca.test:443/x")));
	assert_false(url_same_origin(STR("https://ca.test/"),
	                             STR("http://ca.test/")));
	assert_false(url_same_origin(STR("https://ca.test/"),
	                             STR("https://ca.test:444/")));
	assert_false(url_same_origin(STR("https://ca.test/"),
	                             STR("https://ca.test.evil/")));
	struct str a = url_authority(STR("https://ca.test:14000/dir"));
	assert_true(str_eq(a, STR("ca.test:14000")));
	assert_int_equal(url_authority(STR("x")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_urls_pass),
		cmocka_unit_test(ambiguous_or_bare_urls_are_refused),
		cmocka_unit_test(length_is_bounded),
		cmocka_unit_test(origins_are_scheme_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
