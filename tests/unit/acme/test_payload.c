/* SPDX-License-Identifier: Apache-2.0 */
/* What we send, as text, and the key authorizations that challenges publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/key_authorization.h"
#include "acme/payload.h"

/* The text of the payload that `call` appends to `b`. */
#define BECOMES(call, text)                                                    \
	do {                                                                   \
		struct buf b = BUF_INIT(4096);                                 \
		struct err e;                                                  \
		assert_int_equal(call, 0);                                     \
		assert_string_equal(b.ptr, text);                              \
		buf_free(&b);                                                  \
	} while (0)

static void an_account_says_what_it_agrees_to(void **state)
{
	const char *const contacts[] = { "admin@a.test", "mailto:b@a.test" };
	struct payload_account full = { contacts, 2, true, false,
		                        STR("{\"protected\":\"x\"}") };
	struct payload_account lookup = { .only_existing = true };
	struct payload_account plain = { .terms_agreed = true };
	(void)state;

	BECOMES(payload_account(&full, &b, &e),
	        "{\"termsOfServiceAgreed\":true,\"contact\":["
	        "\"mailto:admin@a.test\",\"mailto:b@a.test\"],"
	        "\"externalAccountBinding\":{\"protected\":\"x\"}}");
	BECOMES(payload_account(&lookup, &b, &e),
	        "{\"onlyReturnExisting\":true}");
	BECOMES(payload_account(&plain, &b, &e),
	        "{\"termsOfServiceAgreed\":true}");
}

static void an_order_names_its_identifiers(void **state)
{
	const struct str names[] = { STR("a.test"), STR("*.a.test"),
		                     STR("192.0.2.1") };
	(void)state;

	BECOMES(payload_order(names, 3, NULL, NULL, &b, &e),
	        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"},"
	        "{\"type\":\"dns\",\"value\":\"*.a.test\"},"
	        "{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]}");
	BECOMES(payload_order(names, 1, "shortlived", "aki.serial", &b, &e),
	        "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.test\"}],"
	        "\"profile\":\"shortlived\",\"replaces\":\"aki.serial\"}");
}

static void the_small_ones(void **state)
{
	(void)state;

	BECOMES(payload_challenge(&b, &e), "{}");
	BECOMES(payload_deactivate(&b, &e), "{\"status\":\"deactivated\"}");
	BECOMES(payload_finalize(STR("\xfb\xff"), &b, &e), "{\"csr\":\"-_8\"}");
	BECOMES(payload_revoke(STR("\xfb\xff"), -1, &b, &e),
	        "{\"certificate\":\"-_8\"}");
	BECOMES(payload_revoke(STR("\xfb\xff"), 4, &b, &e),
	        "{\"certificate\":\"-_8\",\"reason\":4}");
	BECOMES(payload_key_change("https://ca.test/1", "{\"kty\":\"EC\"}", &b,
	                           &e),
	        "{\"account\":\"https://ca.test/1\",\"oldKey\":{\"kty\":"
	        "\"EC\"}}");
}

static void what_is_not_utf8_or_too_long_is_refused(void **state)
{
	const char *const contact = "\xff@a.test";
	struct payload_account bad = { .contacts = &contact,
		                       .contact_count = 1 };
	const struct str name = STR("\xff.test");
	struct buf b = BUF_INIT(8);
	struct err e;
	(void)state;

	assert_int_equal(payload_account(&bad, &b, &e), ERR_INVALID);
	assert_string_equal(e.text, "contact is not UTF-8");
	assert_int_equal(payload_order(&name, 1, NULL, NULL, &b, &e),
	                 ERR_INVALID);
	assert_int_equal(payload_deactivate(&b, &e), ERR_NOSPACE);
	buf_free(&b);
}

static void reasons_are_words_or_numbers(void **state)
{
	(void)state;

	assert_int_equal(payload_reason_parse("keyCompromise"), 1);
	assert_int_equal(payload_reason_parse("SUPERSEDED"), 4);
	assert_int_equal(payload_reason_parse("5"), 5);
	assert_int_equal(payload_reason_parse("7"), -1);
	assert_int_equal(payload_reason_parse("11"), -1);
	assert_int_equal(payload_reason_parse(""), -1);
	assert_int_equal(payload_reason_parse("4x"), -1);
}

/* The token and thumbprint of RFC 8555 section 8.3; digests by sha256sum. */
static void key_authorizations_are_those_of_rfc_8555(void **state)
{
	static const char token[] = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
	static const char thumb[] = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
	char text[KEY_AUTHORIZATION_DNS];
	struct buf b = BUF_INIT(200);
	(void)state;

	assert_int_equal(key_authorization(token, thumb, &b), 0);
	assert_string_equal(b.ptr,
	                    "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0."
	                    "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI");
	assert_string_equal(key_authorization_dns(token, thumb, text), "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_says_what_it_agrees_to),
		cmocka_unit_test(an_order_names_its_identifiers),
		cmocka_unit_test(the_small_ones),
		cmocka_unit_test(what_is_not_utf8_or_too_long_is_refused),
		cmocka_unit_test(reasons_are_words_or_numbers),
		cmocka_unit_test(key_authorizations_are_those_of_rfc_8555),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
