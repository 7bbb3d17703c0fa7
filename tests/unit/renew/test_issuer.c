/* SPDX-License-Identifier: Apache-2.0 */
/* An issuer at work: how much at once, what failures of one mean for others,
 * accounts that get lost, and short lives. */
#include "keeper.h"

#define A "[certificate a.test]\nnames = a.test\nissuer = le\n"
#define B "[certificate b.test]\nnames = b.test\nissuer = other\n"

/* ---- bounds ---- */

struct side_by_side {
	struct keeper *k;
	size_t most[2], most_all;
};

static void count_running(void *arg, enum fake_place place, int id)
{
	struct side_by_side *s = arg;
	struct issuer_status le, other;

	(void)place;
	(void)id;
	if (!renew_issuer(s->k->renew, "le"))
		return;
	issuer_status(renew_issuer(s->k->renew, "le"), &le);
	issuer_status(renew_issuer(s->k->renew, "other"), &other);
	s->most[0] = le.running > s->most[0] ? le.running : s->most[0];
	s->most[1] = other.running > s->most[1] ? other.running : s->most[1];
	if (le.running + other.running > s->most_all)
		s->most_all = le.running + other.running;
}

static void orders_run_side_by_side_but_not_too_many(void **state)
{
	struct keeper *k = *state;
	struct side_by_side s = { .k = k };
	struct buf text = BUF_INIT(64 << 10);

	for (int i = 0; i < 12; i++)
		buf_addf(&text, "[certificate c%d]\nnames = c%d.test\n"
		         "issuer = %s\n", i, i, i % 2 ? "le" : "other");
	k->f->fake->heard = k->other->heard = count_running;
	k->f->fake->arg = k->other->arg = &s;
	keeper_conf(k, "max_orders = 3\n", "max_orders = 2\n", text.ptr);
	renew_configure(k->renew, k->conf, NULL, 0);
	keeper_load(k);
	keeper_until(k, &k->issued, 12);
	assert_int_equal(s.most[0], 2);
	assert_int_equal(s.most_all, 3);
	assert_in_range(s.most[1], 1, 3);
	buf_free(&text);
}

static void one_that_fails_holds_up_nobody(void **state)
{
	struct keeper *k = *state;

	k->f->fake->unfit = "bad.test";
	keeper_conf(k, "", "max_orders = 1\n",
	            "[certificate bad]\nnames = bad.test\nissuer = le\n"
	            "[certificate good1]\nnames = good1.test\nissuer = le\n"
	            "[certificate good2]\nnames = good2.test\nissuer = le\n" B);
	renew_configure(k->renew, k->conf, NULL, 0);
	keeper_load(k);
	keeper_until(k, &k->issued, 3);
	keeper_until(k, &k->failed, 1);
	assert_string_equal(k->last_failed, "bad");
	struct leg *bad = keeper_leg(k, "bad");
	assert_non_null(bad->last_error);
	assert_in_range(bad->last_error->retry_at - now_wall(), 30000, 90000);
	assert_true(bad->due.at == bad->last_error->retry_at);
	assert_int_equal(bad->attempts, 1);
	keeper_turns(k, 50);
	assert_int_equal(k->failed, 1);
}

static void a_ca_that_is_down_holds_up_no_other_one(void **state)
{
	struct keeper *k = *state;

	fake_say(k->f->fake, FAKE_DIRECTORY, -1, 403, "", "go away");
	keeper_configure(k, A B);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	keeper_turns(k, 20);
	struct issuer_status s;
	issuer_status(renew_issuer(k->renew, "le"), &s);
	assert_string_equal(s.state, "failed");
	assert_non_null(s.last_error);
	assert_non_null(strstr(s.last_error->text, "HTTP 403"));
	assert_int_equal(k->f->fake->count[FAKE_DIRECTORY], 1);
}

/* ---- accounts ---- */

static void a_ca_that_forgot_everything_gets_a_new_account(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	flows_pushed += 60000;
	fake_forget(k->f->fake);
	keeper_renew(k, "a.test", true);
	keeper_until(k, &k->issued, 2);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ACCOUNT], 2);
}

/* The account was only read from the store: the CA need not know it. */
static void an_account_of_before_may_be_lost_already_at_start(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	renew_free(k->renew);
	fake_forget(k->f->fake);
	memory_del(&k->f->d->memory, "certificates/a.test");
	keeper_new_renew(k);
	renew_configure(k->renew, k->conf, NULL, 0);
	keeper_load(k);
	keeper_until(k, &k->issued, 2);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ACCOUNT], 2);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 3);
}

static void many_orders_that_lose_the_account_get_one_new_one(void **state)
{
	struct keeper *k = *state;
	struct buf text = BUF_INIT(64 << 10);

	for (int i = 0; i < 8; i++)
		buf_addf(&text, "[certificate c%d]\nnames = c%d.test\n"
		         "issuer = le\n", i, i);
	keeper_configure(k, text.ptr);
	keeper_load(k);
	keeper_until(k, &k->issued, 8);
	flows_pushed += 60000;
	fake_forget(k->f->fake);
	for (int i = 0; i < 8; i++) {
		char name[8];
		snprintf(name, sizeof name, "c%d", i);
		keeper_renew(k, name, true);
	}
	keeper_until(k, &k->issued, 16);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ACCOUNT], 2);
	buf_free(&text);
}

static int64_t wall_shift;

static int64_t shifted_wall(void)
{
	return flows_wall() + wall_shift;
}

static void let_pass(int64_t ms)
{
	flows_pushed += ms;
	wall_shift += ms;
}

static void time_flies(void *arg, enum fake_place place, int id)
{
	(void)arg;
	(void)id;
	if (place == FAKE_NEW_ORDER)
		let_pass(6000);
}

/* A slow CA that makes accounts and does not know them a moment later. */
static void a_ca_that_forgets_each_account_is_not_hammered(void **state)
{
	struct keeper *k = *state;

	now_replace(shifted_wall, flows_mono);
	k->f->fake->heard = time_flies;
	fake_refuse(k->f->fake, FAKE_NEW_ORDER, -1, 400,
	            "accountDoesNotExist");
	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->failed, 1);
	assert_in_range(k->f->fake->count[FAKE_NEW_ACCOUNT], 2, 5);
	for (int i = 0; i < 100; i++)
		loop_run_once(k->f->d->b->loop, 2);
	assert_in_range(k->f->fake->count[FAKE_NEW_ACCOUNT], 2, 5);
	fake_hush(k->f->fake, FAKE_NEW_ORDER);
	keeper_renew(k, "a.test", true);
	keeper_until(k, &k->issued, 1);
	wall_shift = 0;
}

/* ---- time ---- */

static void a_short_life_is_renewed_again_and_again(void **state)
{
	struct keeper *k = *state;

	k->f->fake->life = 2;
	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 3);
	assert_int_equal(k->failed, 0);
}

/* A machine whose clock said 2046 when it booked the next try. */
static void a_clock_that_is_set_back_delays_nothing(void **state)
{
	const int64_t years = INT64_C(20) * 365 * 86400 * 1000;
	struct keeper *k = *state;

	now_replace(shifted_wall, flows_mono);
	wall_shift = years;
	k->f->fake->unfit = "a.test";
	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->failed, 1);
	k->f->fake->unfit = NULL;
	wall_shift = 0;
	issuer_poke(renew_issuer(k->renew, "le")); /* once a minute by itself */
	keeper_turns(k, 30);
	assert_in_range(keeper_leg(k, "a.test")->due.at, now_wall(),
	                now_wall() + 3600 * 1000);
	assert_int_equal(k->issued, 0);
	let_pass(3600 * 1000);
	issuer_poke(renew_issuer(k->renew, "le"));
	keeper_until(k, &k->issued, 1);
	wall_shift = 0;
}

static void an_account_is_tried_again_after_the_clock_was_set_back(void **state)
{
	struct keeper *k = *state;

	now_replace(shifted_wall, flows_mono);
	wall_shift = INT64_C(20) * 365 * 86400 * 1000;
	fake_say(k->f->fake, FAKE_NEW_ACCOUNT, 1, 403, "", "go away");
	keeper_configure(k, A);
	keeper_load(k);
	keeper_turns(k, 300);
	wall_shift = 0;
	issuer_poke(renew_issuer(k->renew, "le"));
	keeper_turns(k, 30);
	let_pass(3600 * 1000);
	issuer_poke(renew_issuer(k->renew, "le"));
	keeper_until(k, &k->issued, 1);
	wall_shift = 0;
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, keeper_setup, keeper_teardown)
	const struct CMUnitTest tests[] = {
		T(orders_run_side_by_side_but_not_too_many),
		T(one_that_fails_holds_up_nobody),
		T(a_ca_that_is_down_holds_up_no_other_one),
		T(a_ca_that_forgot_everything_gets_a_new_account),
		T(an_account_of_before_may_be_lost_already_at_start),
		T(many_orders_that_lose_the_account_get_one_new_one),
		T(a_ca_that_forgets_each_account_is_not_hammered),
		T(a_short_life_is_renewed_again_and_again),
		T(a_clock_that_is_set_back_delays_nothing),
		T(an_account_is_tried_again_after_the_clock_was_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
