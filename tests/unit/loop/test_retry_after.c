/* SPDX-License-Identifier: Apache-2.0 */
/* loop/retry_after: both forms of the header, and every kind of garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/retry_after.h"

#define NOW INT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t parse(const char *text)
{
	return retry_after_parse(str_of(text), NOW);
}

static void seconds_become_milliseconds(void **state)
{
	(void)state;
	assert_int_equal(parse("0"), 0);
	assert_int_equal(parse(" 120 "), 120000);
	assert_int_equal(parse("007"), 7000);
}

static void long_waits_are_capped_at_a_week(void **state)
{
	(void)state;
	assert_int_equal(parse("604800"), RETRY_AFTER_MAX_MS);
	assert_int_equal(parse("604801"), RETRY_AFTER_MAX_MS);
	assert_int_equal(parse("99999999999999999999999999999999999999"),
	                 RETRY_AFTER_MAX_MS);
	assert_int_equal(parse("Sun, 06 Nov 2094 08:49:37 GMT"),
	                 RETRY_AFTER_MAX_MS);
}

static void dates_are_read_in_three_forms(void **state)
{
	(void)state;
	assert_int_equal(parse("Sun, 06 Nov 1994 08:50:37 GMT"), 60000);
	assert_int_equal(parse("Sunday, 06-Nov-94 08:50:37 GMT"), 60000);
	assert_int_equal(parse("Sun Nov  6 08:50:37 1994"), 60000);
	assert_int_equal(parse("Mon, 07 Nov 1994 08:49:37 GMT"), 86400000);
}

static void retry_after_in_the_past_means_now(void **state)
{
	(void)state;
	assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
	assert_int_equal(parse("Sat, 05 Nov 1994 08:49:37 GMT"), 0);
	assert_int_equal(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
}

static void garbage_counts_as_none(void **state)
{
	static const char *const junk[] = {
		"", " ", "soon", "-1", "+1", "1.5", "10s", "1 2", "0x10",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sun, 06 Foo 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT and much more text than any date",
		"1994-11-06T08:49:37Z", "Fri, 01 Jan 1960 00:00:00 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT\x01",
	};
	(void)state;

	for (size_t i = 0; i < sizeof junk / sizeof *junk; i++)
		if (parse(junk[i]) != -1)
			fail_msg("'%s' was taken", junk[i]);
	assert_int_equal(retry_after_parse((struct str){ "1\0" "2", 3 }, NOW),
	                 -1);
	assert_int_equal(retry_after_parse((struct str){ NULL, 0 }, NOW), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seconds_become_milliseconds),
		cmocka_unit_test(long_waits_are_capped_at_a_week),
		cmocka_unit_test(dates_are_read_in_three_forms),
		cmocka_unit_test(retry_after_in_the_past_means_now),
		cmocka_unit_test(garbage_counts_as_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
