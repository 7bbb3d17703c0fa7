/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of time: never too late, never in a hurry, never without end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "renew/backoff.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    INT64_C(1800000000000)

static const uint16_t DICE[] = { 0, 1, 777, 32768, 65534, 65535 };
enum { DICES = sizeof DICE / sizeof *DICE };

static const struct conf_renew AUTO = { .kind = CONF_RENEW_AUTO };

static int64_t renew_at(const struct conf_renew *p, int64_t life, uint16_t dice)
{
	return backoff_renew_at(p, NOW, NOW + life, dice) - NOW;
}

/* `got` lies within hundredths of the life. */
static void within(int64_t got, int64_t life, int from, int to)
{
	if (got < life * from / 100 || got > life * to / 100)
		fail_msg("%lld of %lld is not %d to %d %%", (long long)got,
		         (long long)life, from, to);
}

/* ---- renewal ---- */

static void a_long_life_is_renewed_in_its_last_third(void **state)
{
	(void)state;
	for (int i = 0; i < DICES; i++) {
		within(renew_at(&AUTO, 90 * DAY, DICE[i]), 90 * DAY, 64, 68);
		within(renew_at(&AUTO, 398 * DAY, DICE[i]), 398 * DAY, 64, 68);
		within(renew_at(&AUTO, 47 * DAY, DICE[i]), 47 * DAY, 64, 68);
	}
}

static void a_short_life_is_renewed_at_half(void **state)
{
	(void)state;
	for (int i = 0; i < DICES; i++) {
		within(renew_at(&AUTO, 6 * DAY, DICE[i]), 6 * DAY, 48, 51);
		within(renew_at(&AUTO, 10 * DAY, DICE[i]), 10 * DAY, 48, 51);
		within(renew_at(&AUTO, HOUR, DICE[i]), HOUR, 48, 51);
		within(renew_at(&AUTO, 45 * SECOND, DICE[i]), 45 * SECOND, 46,
		       52);
		within(renew_at(&AUTO, 2 * SECOND, DICE[i]), 2 * SECOND, 40, 60);
	}
}

static void what_was_issued_together_is_spread(void **state)
{
	(void)state;
	assert_true(renew_at(&AUTO, 90 * DAY, 65535) !=
	            renew_at(&AUTO, 90 * DAY, 0));
	assert_true(renew_at(&AUTO, 90 * DAY, 100) !=
	            renew_at(&AUTO, 90 * DAY, 60000));
}

static void before_the_end_means_before_it(void **state)
{
	static const int64_t lives[] = { 45 * SECOND, HOUR, 6 * DAY, 90 * DAY,
		                         398 * DAY };
	static const int64_t befores[] = { SECOND, MINUTE, HOUR, 12 * HOUR,
		                           30 * DAY, 1000 * DAY };
	(void)state;

	for (size_t l = 0; l < 5; l++)
		for (size_t b = 0; b < 6; b++)
			for (int i = 0; i < DICES; i++) {
				struct conf_renew p = {
					.kind = CONF_RENEW_BEFORE,
					.before_ms = befores[b],
				};
				int64_t at = renew_at(&p, lives[l], DICE[i]);
				assert_true(at >= lives[l] / 10);
				assert_true(at <= lives[l] - befores[b] ||
				            at == lives[l] / 10);
			}
}

static void percents_are_never_the_end(void **state)
{
	(void)state;
	for (unsigned percent = 1; percent < 100; percent++)
		for (int i = 0; i < DICES; i++) {
			struct conf_renew p = { .kind = CONF_RENEW_PERCENT,
				                .percent = percent };
			int64_t at = renew_at(&p, 90 * DAY, DICE[i]);
			assert_true(at <= 90 * DAY / 100 * (percent > 10
			                                            ? percent
			                                            : 10));
			within(at, 90 * DAY, 10, 99);
		}
}

/* A wait longer than the life would renew for ever. */
static void nothing_is_renewed_as_soon_as_it_is_there(void **state)
{
	struct conf_renew p = { .kind = CONF_RENEW_BEFORE,
		                .before_ms = 30 * DAY };
	(void)state;

	for (int i = 0; i < DICES; i++)
		assert_true(renew_at(&p, 6 * DAY, DICE[i]) >= 14 * HOUR);
}

static void strange_dates_do_no_harm(void **state)
{
	(void)state;
	for (int i = 0; i < DICES; i++) {
		backoff_renew_at(&AUTO, NOW, NOW, DICE[i]);
		backoff_renew_at(&AUTO, NOW, NOW - DAY, DICE[i]);
		backoff_renew_at(&AUTO, 0, INT64_C(253402300799000), DICE[i]);
		backoff_renew_at(&AUTO, 0, 0, DICE[i]);
		assert_true(backoff_renew_at(&AUTO, NOW, NOW + 1, DICE[i]) <=
		            NOW + 1);
	}
}

/* ---- failures ---- */

static int64_t retry_in(enum err_code code, unsigned attempts, int64_t life,
                        uint16_t dice)
{
	struct err e = { .code = code };

	return backoff_retry_at(&e, attempts, life, NOW, dice) - NOW;
}

static const enum err_code CODES[] = {
	ERR_RETRY,   ERR_ABSENT, ERR_CONFLICT, ERR_DENIED,  ERR_INVALID,
	ERR_CANCELED, ERR_BROKEN, ERR_LIMITED, ERR_NOSPACE, ERR_DECLINED,
};
enum { CODE_COUNT = sizeof CODES / sizeof *CODES };

static void every_class_waits_and_ends_waiting_within_a_day(void **state)
{
	(void)state;
	for (int c = 0; c < CODE_COUNT; c++)
		for (unsigned n = 0; n < 200; n++)
			for (int i = 0; i < DICES; i++) {
				int64_t ms = retry_in(CODES[c], n, 0, DICE[i]);
				assert_true(ms >= SECOND);
				assert_true(ms <= DAY + DAY / 4);
			}
	assert_true(retry_in(ERR_RETRY, UINT32_MAX, 0, 0) <= HOUR);
}

static void waits_grow_with_the_attempts(void **state)
{
	(void)state;
	for (int c = 0; c < CODE_COUNT; c++)
		for (unsigned n = 1; n < 50; n++)
			assert_true(retry_in(CODES[c], n, 0, 500) <=
			            retry_in(CODES[c], n + 1, 0, 500));
	assert_in_range(retry_in(ERR_RETRY, 1, 0, 0), SECOND, 3 * SECOND);
	assert_in_range(retry_in(ERR_RETRY, 30, 0, 32768), 50 * MINUTE,
	                70 * MINUTE);
	assert_in_range(retry_in(ERR_DENIED, 1, 0, 32768), 40 * SECOND,
	                80 * SECOND);
	assert_in_range(retry_in(ERR_LIMITED, 1, 0, 32768), 7 * MINUTE,
	                13 * MINUTE);
}

static void jitter_is_a_quarter_to_each_side(void **state)
{
	(void)state;
	int64_t least = retry_in(ERR_RETRY, 30, 0, 0),
		most = retry_in(ERR_RETRY, 30, 0, 65535);

	assert_in_range(least, HOUR * 74 / 100, HOUR * 76 / 100);
	assert_in_range(most, HOUR * 124 / 100, HOUR * 126 / 100);
}

static void a_short_life_waits_a_twentieth_of_it(void **state)
{
	static const int64_t lives[] = { 45 * SECOND, HOUR, 6 * DAY, 90 * DAY };
	(void)state;

	for (size_t l = 0; l < 4; l++)
		for (int c = 0; c < CODE_COUNT; c++)
			for (int i = 0; i < DICES; i++) {
				int64_t ms = retry_in(CODES[c], 40, lives[l],
				                      DICE[i]);
				assert_true(ms <= lives[l] / 20 * 5 / 4 + 1);
			}
	assert_true(retry_in(ERR_RETRY, 40, 45 * SECOND, 0) >= SECOND);
	assert_true(retry_in(ERR_RETRY, 40, 1, 0) >= 700);
}

static int64_t told(int64_t retry_at, enum err_code code)
{
	struct err e = { .code = code, .retry_at = retry_at };

	return backoff_retry_at(&e, 1, 0, NOW, 0) - NOW;
}

static void the_time_that_the_ca_says_counts_for_a_day(void **state)
{
	(void)state;
	for (int c = 0; c < CODE_COUNT; c++) {
		assert_true(told(NOW + 2 * HOUR, CODES[c]) == 2 * HOUR);
		assert_true(told(NOW + 400 * DAY, CODES[c]) == DAY);
		assert_true(told(INT64_MAX, CODES[c]) == DAY);
		/* in the past, or earlier than our own pace */
		assert_true(told(NOW - DAY, CODES[c]) ==
		            retry_in(CODES[c], 1, 0, 0));
		assert_true(told(1, CODES[c]) == retry_in(CODES[c], 1, 0, 0));
		assert_true(told(NOW + 1, CODES[c]) >= SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_life_is_renewed_in_its_last_third),
		cmocka_unit_test(a_short_life_is_renewed_at_half),
		cmocka_unit_test(what_was_issued_together_is_spread),
		cmocka_unit_test(before_the_end_means_before_it),
		cmocka_unit_test(percents_are_never_the_end),
		cmocka_unit_test(nothing_is_renewed_as_soon_as_it_is_there),
		cmocka_unit_test(strange_dates_do_no_harm),
		cmocka_unit_test(
			every_class_waits_and_ends_waiting_within_a_day),
		cmocka_unit_test(waits_grow_with_the_attempts),
		cmocka_unit_test(jitter_is_a_quarter_to_each_side),
		cmocka_unit_test(a_short_life_waits_a_twentieth_of_it),
		cmocka_unit_test(the_time_that_the_ca_says_counts_for_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
