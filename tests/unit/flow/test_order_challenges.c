/* SPDX-License-Identifier: Apache-2.0 */
/* The challenges of an order: chosen, presented, declined, and taken away
 * whatever happens. */
#include "orders.h"

/* ---- challenges ---- */

static void what_present_emits_comes_back_to_cleanup(void **state)
{
	struct flows *f = *state;

	f->web.cookie = "record-17";
	crash_in(f, "ready");
	assert_non_null(strstr(memory_get(&f->d->memory, ORDER_KEY_TEXT),
	                       "\"cookie\""));
	f->web.cookie = NULL;
	assert_int_equal(flows_order(f), 0);
	assert_string_equal(f->web.last_cookie, "record-17");
	flows_clean(f);
}

static void a_declined_challenge_gives_way_to_the_next(void **state)
{
	struct flows *f = *state;

	names_add(&f->spec.challenges, "zone");
	f->web.present = ACME_DECLINED;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->web.presents, 2);
	assert_int_equal(f->zone.presents, 2);
	flows_clean(f); /* cleanup follows every present, a declined one too */
}

static void when_all_challenges_decline_the_order_fails(void **state)
{
	struct flows *f = *state;

	names_add(&f->spec.challenges, "zone");
	f->web.present = f->zone.present = ACME_DECLINED;
	flows_order(f);
	flows_failed_with(f, ERR_INVALID, "a.test: no configured challenge");
	flows_failed_with(f, ERR_INVALID, "http-01, dns-01");
	flows_clean(f);
}

static void a_challenge_that_the_ca_does_not_offer_is_passed_over(void **state)
{
	struct flows *f = *state;

	f->fake->types = "dns-01";
	names_add(&f->spec.challenges, "nobody");
	names_add(&f->spec.challenges, "zone");
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->web.presents, 0);
	assert_int_equal(f->zone.presents, 2);
	f->fake->types = "tls-alpn-01";
	flows_order(f);
	flows_failed_with(f, ERR_INVALID, "the CA offers tls-alpn-01");
	flows_clean(f);
}

static void a_challenge_that_fails_ends_the_order(void **state)
{
	struct flows *f = *state;

	f->web.present = ACME_DENIED;
	flows_order(f);
	flows_failed_with(f, ERR_DENIED, "a.test");
	flows_failed_with(f, ERR_DENIED, "the test says so");
	flows_clean(f);
	assert_int_equal(f->web.cleanups, 2);
}

static void a_challenge_that_is_busy_is_tried_again(void **state)
{
	struct flows *f = *state;

	f->web.present = ACME_RETRY;
	f->web.times = 3;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->web.presents, 5);
	flows_clean(f);
}

static void a_cleanup_that_fails_costs_no_certificate(void **state)
{
	struct flows *f = *state;

	f->web.cleanup = ACME_RETRY;
	assert_int_equal(flows_order(f), 0);
	flows_logged(f, "cleanup failed");
	assert_int_equal(memory_count(&f->d->memory, "orders/", NULL), 0);
}

static bool is_held(void *arg)
{
	return ((struct scripted *)arg)->held.id != 0;
}

/* A reload may take an instance away while it is at work. */
static void an_instance_may_go_while_it_presents(void **state)
{
	struct flows *f = *state;
	struct instance *gone = f->instances[0];

	assert_int_equal(flows_register(f), 0);
	f->web.hold = true;
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	assert_true(loop_run_until(f->d->b->loop, is_held, &f->web, BENCH_PATIENCE));
	f->instances[0] = NULL;
	bench_close(f->d->b, gone, 0);
	flows_wait(f);
	assert_true(f->rc < 0);
	assert_true(is_saved(f)); /* it may come back */
}

static void an_instance_may_go_while_it_cleans_up(void **state)
{
	struct flows *f = *state;
	struct instance *gone = f->instances[0];

	f->fake->processing_polls = 3;
	crash_in(f, "issue");
	assert_int_equal(flows_register(f), 0);
	f->web.hold = true;
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	assert_true(loop_run_until(f->d->b->loop, is_held, &f->web, BENCH_PATIENCE));
	f->instances[0] = NULL;
	bench_close(f->d->b, gone, 0);
	assert_int_equal(flows_wait(f), 0);
	flows_logged(f, "cleanup failed");
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(what_present_emits_comes_back_to_cleanup),
		T(a_declined_challenge_gives_way_to_the_next),
		T(when_all_challenges_decline_the_order_fails),
		T(a_challenge_that_the_ca_does_not_offer_is_passed_over),
		T(a_challenge_that_fails_ends_the_order),
		T(a_challenge_that_is_busy_is_tried_again),
		T(a_cleanup_that_fails_costs_no_certificate),
		T(an_instance_may_go_while_it_presents),
		T(an_instance_may_go_while_it_cleans_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
