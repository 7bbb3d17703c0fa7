/* SPDX-License-Identifier: Apache-2.0 */
/* Orders through crashes at each state, and over storage that fails: the
 * certificate comes, with one newOrder where the first can go on. */
#include "orders.h"

static void an_order_goes_on_after_a_crash_in_any_state(void **state)
{
	struct flows *f = *state;

	f->fake->pending_polls = f->fake->processing_polls = 2;
	for (int s = ORDER_FLOW.count; s-- > 0;) {
		const char *name = ORDER_FLOW.steps[s].name;
		if (!strcmp(name, "key") || !strcmp(name, "done") ||
		    !strcmp(name, "explain") || !strcmp(name, "cleanup"))
			continue;
		unsigned orders = f->fake->count[FAKE_NEW_ORDER];
		crash_in(f, name);
		assert_true(is_saved(f));
		if (flows_order(f))
			fail_msg("%s: %s\n%s", name, f->e.text,
			         f->d->b->log.ptr);
		if (f->fake->count[FAKE_NEW_ORDER] > orders + 1)
			fail_msg("%s: a second order", name);
		flows_clean(f);
	}
}

/* The certificate was stored; only the challenges were left to take away. Who
 * orders again wants a new certificate, not the end of the old order. */
static void after_a_crash_in_cleanup_an_order_begins_anew(void **state)
{
	struct flows *f = *state;

	crash_in(f, "cleanup");
	char *first = serial(f);
	assert_true(scripted_count(&f->web) > 0);
	assert_int_equal(flows_order(f), 0);
	char *second = serial(f);
	assert_string_not_equal(first, second);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
	free(first);
	free(second);
}

static void after_a_crash_in_explain_an_order_begins_anew(void **state)
{
	struct flows *f = *state;

	f->fake->unfit = "a.test";
	f->fake->silent = true;
	crash_in(f, "explain");
	f->fake->unfit = NULL;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
}

static void a_saved_order_for_other_names_is_cleaned_up_first(void **state)
{
	struct flows *f = *state;

	crash_in(f, "ready");
	assert_int_equal(scripted_count(&f->web), 2);
	names_add(&f->spec.identifiers, "third.a.test");
	if (flows_order(f))
		fail_msg("%s", f->e.text);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
	struct cert_record r = stored(f);
	assert_int_equal(r.keys[0].identifiers.count, 3);
	cert_record_free(&r);
}

static void a_saved_order_goes_on_for_the_same_names_in_any_order(void **state)
{
	struct flows *f = *state;

	crash_in(f, "ready");
	names_free(&f->spec.identifiers);
	names_add(&f->spec.identifiers, "www.a.test");
	names_add(&f->spec.identifiers, "a.test");
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 1);
	flows_clean(f);
}

static void a_saved_order_of_another_account_is_cleaned_up_first(void **state)
{
	struct flows *f = *state;
	const char *key;

	crash_in(f, "ready");
	assert_int_equal(memory_count(&f->d->memory, "accounts/", &key), 1);
	memory_del(&f->d->memory, key);
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
}

/* Another order has found out that the CA does not know the account any more:
 * for the time of newAccount there is none. */
static void a_saved_order_resumes_while_there_is_no_account(void **state)
{
	struct flows *f = *state;

	crash_in(f, "ready");
	assert_int_equal(flows_register(f), 0);
	char *kid = mem_strdup(ca_kid(f->ca));
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	ca_set_account(f->ca, ca_key(f->ca), NULL);
	flows_turns(f, 50);
	ca_set_account(f->ca, ca_key(f->ca), kid);
	assert_int_equal(flows_wait(f), 0);
	order_free(f->order);
	f->order = NULL;
	flows_clean(f);
	free(kid);
}

static void a_damaged_order_is_set_aside_and_placed_anew(void **state)
{
	struct flows *f = *state;

	memory_set(&f->d->memory, ORDER_KEY_TEXT, "junk", 4);
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->d->alarms, 1);
	assert_int_equal(memory_count(&f->d->memory, "damaged/", NULL), 1);
	flows_clean(f);
}

static void a_state_that_nobody_knows_asks_the_ca(void **state)
{
	struct flows *f = *state;

	crash_in(f, "finalize");
	char *text = mem_strdup(memory_get(&f->d->memory, ORDER_KEY_TEXT));
	memcpy(strstr(text, "finalize\""), "dancing!", 8);
	memory_set(&f->d->memory, ORDER_KEY_TEXT, text, strlen(text));
	free(text);
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 1);
	flows_clean(f);
}

/* ---- storage ---- */

static acme_status full(void *arg, const char *verb, const char *key)
{
	(void)key;
	return !strcmp(verb, "put") && *(bool *)arg ? ACME_NOSPACE : ACME_OK;
}

static void a_full_disk_costs_no_order(void **state)
{
	struct flows *f = *state;
	bool is_full = true;

	assert_int_equal(flows_register(f), 0);
	f->d->memory.before = full;
	f->d->memory.arg = &is_full;
	flows_order(f);
	flows_failed_with(f, ERR_NOSPACE, "the test says so");
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 0);
	is_full = false;
	assert_int_equal(flows_order(f), 0);
	flows_clean(f);
}

struct nth {
	struct flows *f;
	unsigned n;
	acme_status status;
};

static acme_status nth_fails(void *arg, const char *verb, const char *key)
{
	struct nth *nth = arg;

	(void)verb;
	(void)key;
	return nth->n && --nth->n == 0 ? nth->status : ACME_OK;
}

/* Each call of the storage fails once: before it was done, or after. */
static void a_failure_of_any_call_of_the_storage_is_outlived(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (unsigned n = 1; n < 40; n++) {
		struct nth nth = { f, n / 2 + 1,
			           n % 3 ? ACME_RETRY : ACME_NOSPACE };
		f->d->memory.arg = &nth;
		if (n % 2)
			f->d->memory.before = nth_fails;
		else
			f->d->memory.after = nth_fails;
		int rc = flows_order(f);
		f->d->memory.before = f->d->memory.after = NULL;
		if (rc < 0 && flows_order(f))
			fail_msg("%u: %s", n, f->e.text);
		flows_clean(f);
		if (f->fake->order_count > FAKE_ORDERS - 3)
			f->fake->order_count = 0;
	}
	assert_in_range(f->fake->count[FAKE_NEW_ORDER], 39, 60);
}

/* ---- ends ---- */

static void an_order_may_end_at_any_turn(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (int turns = 0; turns < 120; turns++) {
		f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
		                       flows_ended, f);
		for (int i = 0; i < turns && !f->ends; i++)
			loop_run_once(f->d->b->loop, 1);
		order_free(f->order);
		f->order = NULL;
		f->ends = 0;
		loop_run_once(f->d->b->loop, 0);
		assert_int_equal(f->ends, 0);
		if (turns % 4 == 0)
			memory_del(&f->d->memory, ORDER_KEY_TEXT);
		if (f->fake->order_count > FAKE_ORDERS - 3)
			f->fake->order_count = 0;
	}
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(memory_count(&f->d->memory, "orders/", NULL), 0);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(an_order_goes_on_after_a_crash_in_any_state),
		T(after_a_crash_in_cleanup_an_order_begins_anew),
		T(after_a_crash_in_explain_an_order_begins_anew),
		T(a_saved_order_for_other_names_is_cleaned_up_first),
		T(a_saved_order_goes_on_for_the_same_names_in_any_order),
		T(a_saved_order_of_another_account_is_cleaned_up_first),
		T(a_saved_order_resumes_while_there_is_no_account),
		T(a_damaged_order_is_set_aside_and_placed_anew),
		T(a_state_that_nobody_knows_asks_the_ca),
		T(a_full_disk_costs_no_order),
		T(a_failure_of_any_call_of_the_storage_is_outlived),
		T(an_order_may_end_at_any_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
