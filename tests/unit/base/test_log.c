/* SPDX-License-Identifier: Apache-2.0 */
/* Lines: no foreign text makes two of one, or says what we did not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static char last[8192], tee[8192];
static int count;

static void keep(void *arg, enum log_level level, const char *line)
{
	(void)level;
	count++;
	snprintf(arg, sizeof last, "%s", line);
}

static int setup(void **state)
{
	(void)state;
	last[0] = tee[0] = '\0';
	count = 0;
	log_set_sink(keep, last);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	log_set_tee(NULL, NULL);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static const char *quoted(const char *bytes, size_t len, size_t size)
{
	static char out[256];

	memset(out, 'Z', sizeof out);
	log_quote(bytes, len, out, size);
	assert_true(strlen(out) < size);
	return out;
}

static void values_are_quoted_when_they_need_it(void **state)
{
	(void)state;
	assert_string_equal(quoted("plain", 5, 256), "plain");
	assert_string_equal(quoted("a b", 3, 256), "\"a b\"");
	assert_string_equal(quoted("", 0, 256), "\"\"");
	assert_string_equal(quoted("a\"b\\", 4, 256), "\"a\\\"b\\\\\"");
	assert_string_equal(quoted("a\nb\0c", 5, 256), "\"a\\x0ab\\x00c\"");
	for (size_t size = 1; size < 30; size++) {
		const char *cut = quoted("0123456789 \"\"\n\n\n", 16, size);
		size_t len = strlen(cut);
		assert_true(len == 0 || (cut[0] == '"' && cut[len - 1] == '"'));
	}
}

static void no_text_makes_two_lines_of_one(void **state)
{
	struct log log;
	(void)state;

	log_init(&log, NULL, "test", "cert=%s", "a\nb");
	log_info(&log, "event", "x=%s", "1\r\n2026 error forged");
	assert_null(strchr(last, '\n'));
	assert_null(strchr(last, '\r'));
	assert_int_equal(count, 1);
}

static void what_is_too_long_is_cut(void **state)
{
	static char big[20000];
	struct log log;
	(void)state;

	memset(big, 'x', sizeof big - 1);
	log_init(&log, NULL, "test", "%s", big);
	log_info(&log, big, "%s", big);
	assert_int_equal(count, 1);
	assert_true(strlen(last) > 1000);
}

static void levels_have_names_and_bounds(void **state)
{
	enum log_level level;
	struct log log;
	(void)state;

	log_init(&log, NULL, "test", NULL);
	log_debug(&log, "dropped", NULL);
	assert_int_equal(count, 0);
	for (int l = LOG_LEVEL_DEBUG; l <= LOG_LEVEL_ERROR; l++) {
		assert_int_equal(log_level_parse(
					 log_level_name((enum log_level)l),
					 &level),
		                 0);
		assert_int_equal(level, l);
	}
	assert_int_equal(log_level_parse("loud", &level), -1);
	assert_int_equal(log_level_parse("", &level), -1);
}

static void a_tee_hears_what_is_said(void **state)
{
	struct log log;
	(void)state;

	log_init(&log, NULL, "test", NULL);
	log_set_tee(keep, tee);
	log_info(&log, "event", NULL);
	assert_string_equal(tee, last);
	assert_non_null(strstr(tee, " info test event"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(values_are_quoted_when_they_need_it),
		T(no_text_makes_two_lines_of_one),
		T(what_is_too_long_is_cut),
		T(levels_have_names_and_bounds),
		T(a_tee_hears_what_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
