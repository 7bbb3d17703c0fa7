/* SPDX-License-Identifier: Apache-2.0 */
/* What CAs say when they refuse, from RFC 8555's examples to HTML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/problem.h"

static void becomes(int status, const char *body, enum err_code code,
                    const char *text)
{
	struct err e;

	assert_int_equal(problem_read(status, str_of(body), &e), code);
	assert_string_equal(e.text, text);
	assert_int_equal(e.code, code);
}

static void the_type_decides_the_class(void **state)
{
	struct err e;
	(void)state;

	becomes(429,
	        "{\"type\":\"urn:ietf:params:acme:error:rateLimited\","
	        "\"detail\":\"too many certificates\",\"status\":429}",
	        ERR_LIMITED, "rateLimited: too many certificates (HTTP 429)");
	becomes(400,
	        "{\"type\":\"urn:ietf:params:acme:error:badNonce\","
	        "\"detail\":\"JWS has an invalid nonce\"}",
	        ERR_RETRY, "badNonce: JWS has an invalid nonce (HTTP 400)");
	problem_read(400,
	             STR("{\"type\":\"urn:ietf:params:acme:error:badNonce\"}"),
	             &e);
	assert_string_equal(e.text, "badNonce (HTTP 400)");
	assert_string_equal(e.problem,
	                    "urn:ietf:params:acme:error:badNonce");
	assert_true(problem_is(&e, "badNonce"));
	assert_false(problem_is(&e, "badNonc"));
	assert_false(problem_is(&e, ""));
}

/* RFC 8555 section 6.7.1 */
static void subproblems_name_their_identifiers(void **state)
{
	(void)state;

	becomes(403,
	        "{\"type\":\"urn:ietf:params:acme:error:malformed\","
	        "\"detail\":\"Some of the identifiers requested were "
	        "rejected\",\"subproblems\":["
	        "{\"type\":\"urn:ietf:params:acme:error:malformed\","
	        "\"detail\":\"Invalid underscore in DNS name\","
	        "\"identifier\":{\"type\":\"dns\",\"value\":\"_e.org\"}},"
	        "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\","
	        "\"detail\":\"This CA will not issue\","
	        "\"identifier\":{\"type\":\"dns\",\"value\":\"e.net\"}},"
	        "{\"detail\":\"x\"}]}",
	        ERR_INVALID,
	        "malformed: Some of the identifiers requested were rejected "
	        "(HTTP 403) [_e.org: malformed: Invalid underscore in DNS "
	        "name] [e.net: rejectedIdentifier: This CA will not issue] "
	        "[x]");
	becomes(403,
	        "{\"type\":\"urn:ietf:params:acme:error:compound\","
	        "\"subproblems\":["
	        "{\"type\":\"urn:ietf:params:acme:error:caa\"}]}",
	        ERR_DENIED, "compound (HTTP 403) [caa]");
}

static void unknown_types_fall_back_to_the_status(void **state)
{
	(void)state;

	becomes(403, "{\"type\":\"urn:x:y\",\"title\":\"No\"}", ERR_DENIED,
	        "urn:x:y: No (HTTP 403)");
	becomes(500, "{\"type\":\"about:blank\",\"detail\":\"oops\"}",
	        ERR_RETRY, "oops (HTTP 500)");
	becomes(418,
	        "{\"type\":\"urn:ietf:params:acme:error:fresh\"}",
	        ERR_INVALID, "fresh (HTTP 418)");
	becomes(404, "{}", ERR_ABSENT, "no reason given (HTTP 404)");
	becomes(409, "{}", ERR_CONFLICT, "no reason given (HTTP 409)");
	becomes(429, "{}", ERR_LIMITED, "no reason given (HTTP 429)");
}

static void what_is_no_problem_document_is_told_by_status(void **state)
{
	(void)state;

	becomes(503, "", ERR_RETRY, "HTTP 503, with nothing");
	becomes(502, "<html>\r\n<h1>Bad  Gateway\x1b[0m</h1>", ERR_RETRY,
	        "HTTP 502, with \"<html> <h1>Bad Gateway?[0m</h1>\"");
	becomes(403, "{\"type\":", ERR_DENIED,
	        "HTTP 403, with \"{\"type\":\"");
	becomes(400, "[1]", ERR_INVALID, "HTTP 400, with \"[1]\"");
	becomes(500,
	        "012345678901234567890123456789012345678901234567890123456789"
	        "abc",
	        ERR_RETRY,
	        "HTTP 500, with \"0123456789012345678901234567890123456789"
	        "01234567890123456789...\"");
}

static void members_of_wrong_types_do_no_harm(void **state)
{
	(void)state;

	becomes(400,
	        "{\"type\":7,\"detail\":[],\"status\":\"x\","
	        "\"subproblems\":{\"a\":1}}",
	        ERR_INVALID, "no reason given (HTTP 400)");
	becomes(400,
	        "{\"subproblems\":[1,null,{\"identifier\":7},"
	        "{\"identifier\":{\"value\":8}}]}",
	        ERR_INVALID, "no reason given (HTTP 400) [] [] [] []");
}

static void long_texts_are_cut(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct err e;
	(void)state;

	buf_adds(&b, "{\"type\":\"urn:ietf:params:acme:error:caa\","
	             "\"detail\":\"");
	for (int i = 0; i < 1000; i++)
		buf_adds(&b, "\xc3\xa9");
	buf_adds(&b, "\",\"subproblems\":[");
	for (int i = 0; i < 100; i++)
		buf_addf(&b, "%s{\"detail\":\"0123456789\"}", i ? "," : "");
	buf_adds(&b, "]}");
	assert_int_equal(problem_read(403, buf_str(&b), &e), ERR_DENIED);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	assert_true(problem_is(&e, "caa"));
	buf_free(&b);
}

static void an_embedded_problem_brings_its_own_status(void **state)
{
	struct err e;
	json_t *obj = json_pack("{s:s, s:s, s:i, s:s}", "type",
	                        "urn:ietf:params:acme:error:userActionRequired",
	                        "detail", "new terms", "status", 403,
	                        "instance", "https://ca.test/terms");
	(void)state;

	assert_int_equal(problem_from(0, obj, &e), ERR_DENIED);
	assert_string_equal(e.text, "userActionRequired: new terms (HTTP 403), "
	                            "see https://ca.test/terms");
	json_decref(obj);
	problem_from(0, NULL, &e);
	assert_string_equal(e.text, "no reason given");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_type_decides_the_class),
		cmocka_unit_test(subproblems_name_their_identifiers),
		cmocka_unit_test(unknown_types_fall_back_to_the_status),
		cmocka_unit_test(what_is_no_problem_document_is_told_by_status),
		cmocka_unit_test(members_of_wrong_types_do_no_harm),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(an_embedded_problem_brings_its_own_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
