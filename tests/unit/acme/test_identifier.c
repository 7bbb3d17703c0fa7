/* SPDX-License-Identifier: Apache-2.0 */
/* Names that people write, and what becomes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "acme/identifier.h"

static void becomes(const char *text, const char *expected,
                    enum identifier_type type)
{
	char out[IDENTIFIER_SIZE];
	enum identifier_type found;
	struct err e;

	assert_int_equal(identifier_read(str_of(text), out, &found, &e), 0);
	assert_string_equal(out, expected);
	assert_int_equal(found, type);
	assert_int_equal(identifier_type(out), type);
}

static void refused(const char *text, const char *why)
{
	char out[IDENTIFIER_SIZE];
	struct err e;

	assert_int_equal(identifier_read(str_of(text), out, NULL, &e),
	                 ERR_INVALID);
	assert_non_null(strstr(e.text, why));
}

static void names_are_lowered_and_addresses_canonical(void **state)
{
	(void)state;

	becomes("WWW.Example.ORG", "www.example.org", IDENTIFIER_DNS);
	becomes("*.Example.org", "*.example.org", IDENTIFIER_DNS);
	becomes("localhost", "localhost", IDENTIFIER_DNS);
	becomes("xn--bcher-kva.example", "xn--bcher-kva.example",
	        IDENTIFIER_DNS);
	becomes("3com.test", "3com.test", IDENTIFIER_DNS);
	becomes("192.0.2.1", "192.0.2.1", IDENTIFIER_IP);
	becomes("2001:0DB8:0:0::1", "2001:db8::1", IDENTIFIER_IP);
	becomes("::ffff:192.0.2.1", "::ffff:192.0.2.1", IDENTIFIER_IP);
}

static void what_no_ca_could_certify_is_refused_with_the_reason(void **state)
{
	(void)state;

	refused("", "empty name");
	refused("a..test", "\"a..test\": empty label");
	refused("a.test.", "a dot too many");
	refused(".a.test", "a dot too many");
	refused("a_b.test", "character \"_\"");
	refused("a b.test", "blank or control");
	refused("b\xc3\xbc" "cher.test", "punycode");
	refused("*", "\"*\" may only be");
	refused("*.*.test", "\"*\" may only be");
	refused("w*.a.test", "\"*\" may only be");
	refused("a.*.test", "\"*\" may only be");
	refused("*.", "a dot too many");
	refused("-a.test", "hyphen");
	refused("a-.test", "hyphen");
	refused("1.2.3", "neither a name nor an IP address");
	refused("1.2.3.256", "neither a name nor an IP address");
	refused("[::1]", "character \"[\"");
	refused("fe80::1%eth0", "character");
	refused("https://a.test", "character \":\"");
}

static void lengths_are_bounded(void **state)
{
	char name[300];
	(void)state;

	memset(name, 'a', sizeof name);
	snprintf(name + 64, sizeof name - 64, ".test");
	refused(name, "label of 64 characters, 63 are allowed");
	memcpy(name, "b.", 2);
	becomes(name, name, IDENTIFIER_DNS);
	for (size_t i = 0; i < 254; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	becomes(name, name, IDENTIFIER_DNS);
	name[253] = 'a';
	name[254] = '\0';
	refused(name, "name of 254 characters, 253 are allowed");
}

static void a_wildcard_is_proven_at_its_base(void **state)
{
	(void)state;

	assert_true(identifier_is_wildcard("*.a.test"));
	assert_false(identifier_is_wildcard("a.test"));
	assert_string_equal(identifier_base("*.a.test"), "a.test");
	assert_string_equal(identifier_base("a.test"), "a.test");
	assert_string_equal(identifier_type_name(IDENTIFIER_IP), "ip");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_lowered_and_addresses_canonical),
		cmocka_unit_test(
			what_no_ca_could_certify_is_refused_with_the_reason),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(a_wildcard_is_proven_at_its_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
