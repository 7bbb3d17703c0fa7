/* SPDX-License-Identifier: Apache-2.0 */
/* Lines from clients: what is a request, and what is said when it is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/request.h"

static struct request r;
static struct err e;

static void refused(const char *line, const char *expected)
{
	assert_int_not_equal(request_parse(str_of(line), &r, &e), 0);
	if (!strstr(e.text, expected))
		fail_msg("%s: said '%s'", line, e.text);
	request_free(&r);
}

static void a_request_has_id_method_and_params(void **state)
{
	(void)state;
	assert_int_equal(request_parse(STR("{\"id\":7,\"method\":\"renew\","
					   "\"params\":{\"name\":\"a\"}}"),
				       &r, &e),
			 0);
	assert_int_equal(json_integer_value(r.id), 7);
	assert_string_equal(r.method, "renew");
	assert_string_equal(
	    json_string_value(json_object_get(r.params, "name")), "a");
	request_free(&r);
}

static void params_and_id_may_be_missing(void **state)
{
	(void)state;
	assert_int_equal(request_parse(STR("{\"method\":\"ping\"}"), &r, &e),
			 0);
	assert_true(json_is_null(r.id));
	assert_int_equal(json_object_size(r.params), 0);
	request_free(&r);
	assert_int_equal(
	    request_parse(STR("{\"id\":\"x\",\"method\":\"ping\"}"), &r, &e),
	    0);
	assert_string_equal(json_string_value(r.id), "x");
	request_free(&r);
}

static void what_is_no_request_is_refused(void **state)
{
	(void)state;
	refused("", "");
	refused("junk", "");
	refused("[]", "expected an object");
	refused("{}", "method");
	refused("{\"method\":5}", "method");
	refused("{\"method\":\"ping\",\"params\":[]}", "params");
	refused("{\"method\":\"ping\",\"parms\":{}}", "nothing else");
	refused("{\"id\":{},\"method\":\"ping\"}", "id: expected");
	refused("{\"id\":1.5,\"method\":\"ping\"}", "id: expected");
	refused("{\"method\":\"ping\",\"method\":\"stop\"}", "");
	refused("{\"method\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		"method");
}

static void an_error_keeps_the_id(void **state)
{
	(void)state;
	assert_int_not_equal(request_parse(STR("{\"id\":9,\"x\":1}"), &r, &e),
			     0);
	assert_int_equal(json_integer_value(r.id), 9);
	request_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_id_method_and_params),
		cmocka_unit_test(params_and_id_may_be_missing),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(an_error_keeps_the_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
