/* SPDX-License-Identifier: Apache-2.0 */
/* Directory, account, order, authorization and renewal information: the examples
 * of RFC 8555, what real CAs vary, and what nobody should send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/account_doc.h"
#include "acme/authz_doc.h"
#include "acme/directory_doc.h"
#include "acme/order_doc.h"
#include "acme/renewal_info_doc.h"
#include "base/buf.h"
#include "base/now.h"

static struct arena mem = { .max = 256 * 1024 };

static int reset(void **state)
{
	(void)state;
	arena_reset(&mem);
	return 0;
}

#define CA "https://ca.test/"
#define URLS                                                                   \
	"\"newNonce\":\"" CA "n\",\"newAccount\":\"" CA "a\","                 \
	"\"newOrder\":\"" CA "o\""

static void a_directory_is_read(void **state)
{
	struct directory_doc d;
	struct err e;
	(void)state;

	assert_int_equal(
		directory_doc_read(
			STR("{" URLS ",\"revokeCert\":\"" CA "r\","
			    "\"keyChange\":\"" CA "k\",\"renewalInfo\":\"" CA
			    "ari\",\"Aw3x\":\"random\",\"meta\":{"
			    "\"termsOfService\":\"" CA "terms\","
			    "\"website\":\"" CA "\","
			    "\"caaIdentities\":[\"ca.test\"],"
			    "\"externalAccountRequired\":true,"
			    "\"profiles\":{\"classic\":\"x\","
			    "\"short\":\"y\"}}}"),
			0, &mem, &d, &e),
		0);
	assert_string_equal(d.new_nonce, CA "n");
	assert_string_equal(d.new_account, CA "a");
	assert_string_equal(d.new_order, CA "o");
	assert_string_equal(d.revoke_cert, CA "r");
	assert_string_equal(d.key_change, CA "k");
	assert_string_equal(d.renewal_info, CA "ari");
	assert_string_equal(d.terms, CA "terms");
	assert_int_equal(d.caa_count, 1);
	assert_string_equal(d.caa[0], "ca.test");
	assert_int_equal(d.profile_count, 2);
	assert_string_equal(d.profiles[1], "short");
	assert_true(d.external_account_required);
	assert_null(directory_doc_foreign(&d, CA "dir"));
	assert_string_equal(directory_doc_foreign(&d, "https://b.test/"),
	                    CA "n");
}

static void a_directory_may_leave_out_or_null_the_optional(void **state)
{
	struct directory_doc d;
	struct err e;
	(void)state;

	assert_int_equal(directory_doc_read(STR("{" URLS "}"), 0, &mem, &d,
	                                    &e), 0);
	assert_null(d.revoke_cert);
	assert_int_equal(
		directory_doc_read(
			STR("\n{" URLS ",\"renewalInfo\":null,\"meta\":{"
			    "\"termsOfService\":null,\"website\":null,"
			    "\"caaIdentities\":null,"
			    "\"externalAccountRequired\":null,"
			    "\"profiles\":null}}\n"),
			0, &mem, &d, &e),
		0);
	assert_null(d.terms);
	assert_int_equal(d.caa_count, 0);
	assert_int_equal(directory_doc_read(STR("{" URLS ",\"meta\":null}"), 0,
	                                    &mem, &d, &e), 0);
}

static void no_directory(struct str body, const char *why)
{
	struct directory_doc d;
	struct err e;

	assert_int_equal(directory_doc_read(body, 0, &mem, &d, &e),
	                 ERR_BROKEN);
	assert_string_equal(e.text, why);
}

static void what_is_no_directory_says_what_it_is(void **state)
{
	(void)state;

	no_directory(STR(""), "not a directory: expected JSON, got nothing");
	no_directory(STR("<!DOCTYPE html>\n<html><title>Log in</title>"),
	             "not a directory: expected JSON, got \"<!DOCTYPE html> "
	             "<html><title>Log in</title>\"");
	no_directory(STR("[]"), "not a directory: expected JSON, got \"[]\"");
	no_directory(STR("{\"newNonce\":"),
	             "not a directory: line 1 column 12: unexpected token "
	             "near end of file");
	no_directory(STR("{}"), "not a directory: \"newNonce\" is missing");
	no_directory(STR("{\"newNonce\":\"http://ca.test/n\"}"),
	             "not a directory: \"newNonce\": URL without TLS: "
	             "http://ca.test/n");
	no_directory(STR("{" URLS ",\"meta\":{\"website\":1}}"),
	             "not a directory: \"meta\": \"website\" is an integer, "
	             "expected a string");
}

static void an_account_is_read(void **state)
{
	struct account_doc a;
	struct err e;
	(void)state;

	assert_int_equal(
		account_doc_read(STR("{\"status\":\"valid\",\"contact\":["
	                             "\"mailto:a@b.test\"],"
	                             "\"termsOfServiceAgreed\":true,"
	                             "\"orders\":\"" CA "orders\"}"),
	                         &mem, &a, &e), 0);
	assert_int_equal(a.status, ACCOUNT_STATUS_VALID);
	assert_int_equal(a.contact_count, 1);
	assert_string_equal(a.contacts[0], "mailto:a@b.test");
	assert_true(a.terms_agreed);
	assert_int_equal(account_doc_read(STR("{}"), &mem, &a, &e), 0);
	assert_int_equal(account_doc_read(STR("{\"status\":\"deactivated\"}"),
	                                  &mem, &a, &e), 0);
	assert_string_equal(account_status_name(a.status), "deactivated");
	assert_int_equal(account_doc_read(STR("{\"status\":\"x\"}"), &mem, &a,
	                                  &e), ERR_BROKEN);
	assert_string_equal(e.text, "not an account: unknown status \"x\"");
}

#define IDS                                                                    \
	"\"identifiers\":[{\"type\":\"dns\",\"value\":\"www.a.test\"},"        \
	"{\"type\":\"ip\",\"value\":\"192.0.2.1\"}]"
#define AUTHZS "\"authorizations\":[\"" CA "z1\",\"" CA "z2\"]"

static void an_order_is_read(void **state)
{
	struct order_doc o;
	struct err e;
	int64_t when;
	(void)state;

	assert_int_equal(
		order_doc_read(STR("{\"status\":\"pending\",\"expires\":"
	                           "\"2026-01-05T14:09:07.99Z\"," IDS "," AUTHZS
	                           ",\"finalize\":\"" CA "f\"}"),
	                       0, &mem, &o, &e), 0);
	now_parse("2026-01-05T14:09:07.99Z", &when);
	assert_int_equal(o.status, ORDER_STATUS_PENDING);
	assert_int_equal(o.expires, when);
	assert_int_equal(o.identifier_count, 2);
	assert_string_equal(o.identifiers[0].value, "www.a.test");
	assert_int_equal(o.identifiers[1].type, IDENTIFIER_IP);
	assert_int_equal(o.authorization_count, 2);
	assert_string_equal(o.authorizations[1], CA "z2");
	assert_string_equal(o.finalize, CA "f");
	assert_null(o.certificate);
	assert_null(o.error);
	assert_string_equal(order_status_name(o.status), "pending");
}

static void an_order_that_failed_brings_its_error(void **state)
{
	struct order_doc o;
	struct err e;
	(void)state;

	assert_int_equal(
		order_doc_read(
			STR("{\"status\":\"invalid\"," IDS "," AUTHZS
			    ",\"error\":{\"type\":"
			    "\"urn:ietf:params:acme:error:caa\","
			    "\"detail\":\"CAA forbids\",\"status\":403}}"),
			0, &mem, &o, &e), 0);
	assert_int_equal(o.error->code, ERR_DENIED);
	assert_string_equal(o.error->text, "caa: CAA forbids (HTTP 403)");
}

static void no_order(const char *body, const char *why)
{
	struct order_doc o;
	struct err e;

	assert_int_equal(order_doc_read(str_of(body), 0, &mem, &o, &e),
	                 ERR_BROKEN);
	assert_string_equal(e.text, why);
}

static void an_order_that_breaks_its_promises_is_refused(void **state)
{
	(void)state;

	no_order("{" IDS "}", "not an order: \"status\" is missing");
	no_order("{\"status\":\"done\"," IDS "}",
	         "not an order: unknown status \"done\"");
	no_order("{\"status\":\"pending\"," IDS ",\"finalize\":\"" CA "f\"}",
	         "not an order: pending, but no \"authorizations\"");
	no_order("{\"status\":\"ready\"," IDS "," AUTHZS "}",
	         "not an order: \"finalize\" is missing");
	no_order("{\"status\":\"valid\"," IDS "," AUTHZS "}",
	         "not an order: valid, but no \"certificate\"");
	no_order("{\"status\":\"ready\",\"identifiers\":[{\"type\":\"dns\"}]}",
	         "not an order: identifier: \"value\" is missing");
	no_order("{\"status\":\"ready\"," IDS ",\"authorizations\":[\"x\"]}",
	         "not an order: \"authorizations\": no http or https URL: ");
	no_order("{\"status\":\"ready\",\"expires\":\"soon\"," IDS "}",
	         "not an order: \"expires\" is no date: soon");
}

static void too_many_or_too_large_is_refused(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct arena tiny = ARENA_INIT(64);
	struct order_doc o;
	struct err e;
	(void)state;

	buf_adds(&b, "{\"status\":\"ready\"," IDS ",\"authorizations\":[");
	for (int i = 0; i <= ORDER_DOC_NAMES_MAX; i++)
		buf_adds(&b, i ? ",\"" CA "z\"" : "\"" CA "z\"");
	buf_adds(&b, "]}");
	no_order(b.ptr, "not an order: \"authorizations\" has over 1000 items");
	buf_free(&b);
	assert_int_equal(order_doc_read(STR("{\"status\":\"ready\"," IDS
	                                    "," AUTHZS ",\"finalize\":\"" CA
	                                    "f\"}"), 0, &tiny, &o, &e),
	                 ERR_NOSPACE);
	assert_string_equal(e.text, "not an order: \"authorizations\": too large");
	arena_reset(&tiny);
}

#define TOKEN "DGyRejmCefe7v4NfDGDKfA0123456789-_"
#define AUTHZ(challenges)                                                      \
	STR("{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\","        \
	    "\"value\":\"a.test\"},\"wildcard\":true,\"challenges\":["         \
	    challenges "]}")
#define CHALLENGE(type, token)                                                 \
	"{\"type\":\"" type "\",\"url\":\"" CA "c\",\"status\":\"pending\"," \
	"\"token\":\"" token "\"}"

static void an_authorization_is_read(void **state)
{
	struct authz_doc z;
	struct err e;
	(void)state;

	assert_int_equal(
		authz_doc_read(AUTHZ(CHALLENGE("http-01", TOKEN) ","
	                             CHALLENGE("dns-01", TOKEN)), 0, &mem, &z,
	                       &e), 0);
	assert_int_equal(z.status, AUTHZ_STATUS_PENDING);
	assert_string_equal(z.identifier.value, "a.test");
	assert_true(z.wildcard);
	assert_int_equal(z.challenge_count, 2);
	const struct challenge_doc *c = authz_doc_challenge(&z, "dns-01");
	assert_string_equal(c->token, TOKEN);
	assert_string_equal(c->url, CA "c");
	assert_int_equal(c->status, CHALLENGE_STATUS_PENDING);
	assert_null(authz_doc_challenge(&z, "tls-alpn-01"));
	assert_null(authz_doc_error(&z));
}

static void a_failed_challenge_explains_the_authorization(void **state)
{
	struct challenge_doc c;
	struct authz_doc z;
	struct err e;
	(void)state;

	assert_int_equal(
		authz_doc_read(
			AUTHZ(CHALLENGE("dns-01", TOKEN)
	                      ",{\"type\":\"http-01\",\"url\":\"" CA
	                      "c\",\"status\":\"invalid\",\"token\":\"" TOKEN
	                      "\",\"error\":{\"type\":"
	                      "\"urn:ietf:params:acme:error:connection\","
	                      "\"detail\":\"refused\"}}"),
			0, &mem, &z, &e), 0);
	assert_string_equal(authz_doc_error(&z)->text, "connection: refused");
	assert_int_equal(authz_doc_error(&z)->code, ERR_RETRY);
	assert_int_equal(challenge_doc_read(STR(CHALLENGE("http-01", TOKEN)),
	                                    0, &mem, &c, &e), 0);
	assert_string_equal(challenge_status_name(c.status), "pending");
}

static void no_authorization(struct str body, const char *why)
{
	struct authz_doc z;
	struct err e;

	assert_int_equal(authz_doc_read(body, 0, &mem, &z, &e), ERR_BROKEN);
	assert_string_equal(e.text, why);
}

static void a_token_that_is_no_token_is_refused(void **state)
{
	static const char why[] =
		"not an authorization: challenge 1: token of http-01 is not "
		"22 to 512 characters of base64url";
	(void)state;

	no_authorization(AUTHZ(CHALLENGE("http-01", "../../etc/passwd-0123456")),
	                 why);
	no_authorization(AUTHZ(CHALLENGE("http-01", "short")), why);
	no_authorization(AUTHZ(CHALLENGE("http-01",
	                                 "DGyRejmCefe7v4NfDGDKfA==")), why);
	no_authorization(AUTHZ(CHALLENGE("http-01",
	                                 "DGyRejmCefe7v4NfDGDKfA\\nX")), why);
	no_authorization(AUTHZ("{\"type\":\"http-01\",\"url\":\"" CA
	                       "c\",\"status\":\"pending\"}"),
	                 "not an authorization: challenge 1: token of http-01 "
	                 "is missing");
}

static void unknown_challenges_need_no_token(void **state)
{
	struct authz_doc z;
	struct err e;
	(void)state;

	assert_int_equal(
		authz_doc_read(AUTHZ("{\"type\":\"dns-persist-01\",\"url\":\"" CA
	                             "c\",\"status\":\"pending\"},"
	                             CHALLENGE("new-01", "../x")),
	                       0, &mem, &z, &e), 0);
	assert_null(z.challenges[0].token);
	assert_null(z.challenges[1].token);
}

static void a_renewal_window_is_read(void **state)
{
	struct renewal_info_doc r;
	struct err e;
	(void)state;

	assert_int_equal(
		renewal_info_doc_read(
			STR("{\"suggestedWindow\":{"
			    "\"start\":\"2025-01-02T04:00:00Z\","
			    "\"end\":\"2025-01-03T04:00:00Z\"},"
			    "\"explanationURL\":\"" CA "why\"}"),
			&mem, &r, &e), 0);
	assert_int_equal(r.end - r.start, 86400000);
	assert_string_equal(r.explanation, CA "why");
	assert_int_equal(
		renewal_info_doc_read(
			STR("{\"suggestedWindow\":{"
			    "\"start\":\"2025-01-03T04:00:00Z\","
			    "\"end\":\"2025-01-02T04:00:00Z\"}}"),
			&mem, &r, &e), ERR_BROKEN);
	assert_int_equal(renewal_info_doc_read(STR("{\"suggestedWindow\":{}}"),
	                                       &mem, &r, &e), ERR_BROKEN);
}

#define TEST(name) cmocka_unit_test_teardown(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_directory_is_read),
		TEST(a_directory_may_leave_out_or_null_the_optional),
		TEST(what_is_no_directory_says_what_it_is),
		TEST(an_account_is_read),
		TEST(an_order_is_read),
		TEST(an_order_that_failed_brings_its_error),
		TEST(an_order_that_breaks_its_promises_is_refused),
		TEST(too_many_or_too_large_is_refused),
		TEST(an_authorization_is_read),
		TEST(a_failed_challenge_explains_the_authorization),
		TEST(a_token_that_is_no_token_is_refused),
		TEST(unknown_challenges_need_no_token),
		TEST(a_renewal_window_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
