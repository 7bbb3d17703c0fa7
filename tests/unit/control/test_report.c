/* SPDX-License-Identifier: Apache-2.0 */
/* What status and events say: each state in its word, and no text that makes a
 * certificate vanish. */
#include "../renew/keeper.h"

#include "control/report.h"

#define A "[certificate a.test]\nnames = a.test\nissuer = le\n"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static json_t *item(struct keeper *k, const char *name)
{
	json_t *o = report_item(k->renew,
	                        inventory_find(renew_inventory(k->renew), name));

	assert_non_null(o);
	return o;
}

static void says(struct keeper *k, const char *state, const char *action)
{
	json_t *o = item(k, "a.test");

	assert_string_equal(text(o, "state"), state);
	assert_string_equal(text(json_object_get(o, "next"), "action"), action);
	json_decref(o);
}

static void each_state_has_its_word(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	says(k, "pending", "issue");
	k->f->fake->pending_polls = 1000;
	keeper_load(k);
	keeper_turns(k, 60);
	says(k, "pending", "ordering");
	k->f->fake->orders[0].polls_left = 0;
	keeper_until(k, &k->issued, 1);
	says(k, "valid", "renew");
	struct leg *leg = keeper_leg(k, "a.test");
	int64_t end = leg->not_after;
	leg->not_after = now_wall() - 1000;
	says(k, "expired", "renew");
	leg->not_after = end;
	keeper_configure(k, "");
	says(k, "unwanted", "");
}

static void a_failure_is_told_with_its_next_try(void **state)
{
	struct keeper *k = *state;

	k->f->fake->unfit = "a.test";
	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->failed, 1);
	says(k, "failed", "retry");
	json_t *o = item(k, "a.test");
	const json_t *why = json_object_get(o, "last_error");
	assert_string_equal(text(why, "class"), "denied");
	assert_string_equal(text(why, "problem"),
	                    "urn:ietf:params:acme:error:unauthorized");
	assert_non_null(strstr(text(why, "text"), "the order failed"));
	assert_string_not_equal(text(why, "retry_at"), "");
	json_decref(o);
}

static void a_ca_that_is_down_is_the_error_of_its_certificates(void **state)
{
	struct keeper *k = *state;

	fake_say(k->f->fake, FAKE_DIRECTORY, -1, 403, "", "go away");
	keeper_configure(k, A);
	keeper_load(k);
	keeper_turns(k, 40);
	json_t *o = item(k, "a.test");
	assert_non_null(strstr(text(json_object_get(o, "last_error"), "text"),
	                       "HTTP 403"));
	json_decref(o);
	json_t *issuers = report_issuers(k->renew);
	assert_int_equal(json_array_size(issuers), 2);
	assert_string_equal(text(json_array_get(issuers, 0), "state"),
	                    "failed");
	assert_string_equal(text(json_array_get(issuers, 1), "state"), "idle");
	json_decref(issuers);
}

/* Before the order gives up: an operator need not wait for that. */
static void what_an_order_struggles_with_is_told(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	fake_say(k->f->fake, FAKE_AUTHZ, -1, 503, "", "<html>busy</html>");
	keeper_load(k);
	keeper_turns(k, 150);
	json_t *o = item(k, "a.test");
	assert_non_null(strstr(text(json_object_get(o, "last_error"), "text"),
	                       "busy"));
	json_decref(o);
	fake_hush(k->f->fake, FAKE_AUTHZ);
	keeper_until(k, &k->issued, 1);
	o = item(k, "a.test");
	assert_true(json_is_null(json_object_get(o, "last_error")));
	json_decref(o);
}

static void facts_are_told_without_a_secret(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	json_t *all = report_certificates(k->renew);
	json_t *issuers = report_issuers(k->renew);
	json_t *event = report_event(keeper_leg(k, "a.test"), NULL);
	char *one = json_dumps(all, 0), *two = json_dumps(issuers, 0);
	assert_int_equal(json_array_size(all), 1);
	assert_non_null(strstr(one, keeper_leg(k, "a.test")->serial));
	assert_non_null(strstr(one, "agent.ini:"));
	assert_null(strstr(one, "PRIVATE"));
	assert_null(strstr(two, "PRIVATE"));
	assert_non_null(strstr(two, "\"account\""));
	assert_string_equal(text(event, "name"), "a.test");
	assert_string_equal(text(event, "type"), "ecdsa:256");
	assert_string_not_equal(text(event, "serial"), "");
	free(one);
	free(two);
	json_decref(all);
	json_decref(issuers);
	json_decref(event);
}

/* Texts of errors are cut to their room, within a character if it comes so,
 * and a path may be no UTF-8 at all. */
static void a_text_that_is_no_utf8_makes_nothing_vanish(void **state)
{
	struct keeper *k = *state;
	struct err e;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	err_set(&e, ERR_DENIED, "cut within \303");
	leg_error(keeper_leg(k, "a.test"), &e, 1000);
	json_t *o = item(k, "a.test");
	assert_string_equal(text(json_object_get(o, "last_error"), "text"),
	                    "cut within ?");
	json_decref(o);
	o = report_event(keeper_leg(k, "a.test"), &e);
	assert_string_equal(text(json_object_get(o, "error"), "text"),
	                    "cut within ?");
	json_decref(o);
	struct wish *w = &keeper_leg(k, "a.test")->item->wish;
	free((char *)(uintptr_t)w->origin);
	w->origin = mem_strdup("/etc/\377/a.ini:3");
	o = item(k, "a.test");
	assert_string_equal(text(o, "origin"), "/etc/?/a.ini:3");
	json_decref(o);
}

static void times_and_errors_may_be_none(void **state)
{
	(void)state;
	json_t *o = report_time(0);
	assert_true(json_is_null(o));
	json_decref(o);
	o = report_time(1000);
	assert_string_equal(json_string_value(o), "1970-01-01T00:00:01Z");
	json_decref(o);
	o = report_error(NULL, 7);
	assert_true(json_is_null(o));
	json_decref(o);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, keeper_setup, keeper_teardown)
	const struct CMUnitTest tests[] = {
		T(each_state_has_its_word),
		T(a_failure_is_told_with_its_next_try),
		T(a_ca_that_is_down_is_the_error_of_its_certificates),
		T(what_an_order_struggles_with_is_told),
		T(facts_are_told_without_a_secret),
		T(a_text_that_is_no_utf8_makes_nothing_vanish),
		cmocka_unit_test(times_and_errors_may_be_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
