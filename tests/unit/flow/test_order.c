/* SPDX-License-Identifier: Apache-2.0 */
/* One order after another against a CA that does as it likes: at no step does
 * it bring what it should not, and each end is told in its words. */
#include "orders.h"

/* ---- how it should go ---- */

static void an_order_brings_a_certificate(void **state)
{
	struct flows *f = *state;

	f->fake->pending_polls = 2;
	f->fake->processing_polls = 2;
	if (flows_order(f))
		fail_msg("%s\n%s", f->e.text, f->d->b->log.ptr);
	assert_int_equal(f->installs, 1);
	assert_int_equal(f->web.presents, 2);
	assert_int_equal(f->web.cleanups, 2);
	assert_non_null(strstr(f->web.last_value,
	                       key_thumbprint(ca_key(f->ca))));
	flows_clean(f);
	struct cert_record r = stored(f);
	assert_string_equal(r.name, "a.test");
	assert_int_equal(r.key_count, 1);
	assert_string_equal(r.keys[0].issuer, "fake");
	assert_true(names_equal(&r.keys[0].identifiers,
	                        &f->spec.identifiers));
	assert_in_range(now_wall() - r.keys[0].issued, 0, 20000);
	cert_record_free(&r);
	flows_logged(f, "order cleanup->done");
}

/* Several run side by side. */
static void lines_of_authorizations_say_for_whom(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_order(f), 0);
	flows_logged(f, "authorization tell->done cert=a.test key=ecdsa:256 "
	                "id=www.a.test took=");
	flows_logged(f, "authorization fetch->save cert=a.test key=ecdsa:256 "
	                "id=a.test took=");
}

static void what_is_valid_already_needs_no_challenge(void **state)
{
	struct flows *f = *state;

	f->fake->valid_already = true;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->web.presents, 0);
	assert_int_equal(f->web.cleanups, 0);
	assert_int_equal(f->fake->count[FAKE_CHALLENGE], 0);
}

static void a_new_certificate_has_a_new_key_and_keeps_the_old(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_order(f), 0);
	struct cert_record first = stored(f);
	assert_int_equal(flows_order(f), 0);
	struct cert_record second = stored(f);
	assert_string_not_equal(first.keys[0].serial, second.keys[0].serial);
	assert_string_not_equal(first.keys[0].key.ptr, second.keys[0].key.ptr);
	assert_non_null(strstr(memory_get(&f->d->memory, "archive/a.test"),
	                       first.keys[0].serial));
	cert_record_free(&first);
	cert_record_free(&second);
}

static void key_types_are_merged_and_dropped_when_all_are_there(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_order(f), 0);
	f->spec.wanted[0] = KEY_EC384;
	f->spec.wanted[1] = KEY_EC521;
	f->spec.wanted_count = 2;
	f->spec.kind = KEY_EC384;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->installed_keys, 2); /* EC256 serves for EC521 */
	f->spec.kind = KEY_EC521;
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->installed_keys, 2);
	struct cert_record r = stored(f);
	assert_null(cert_record_find(&r, KEY_EC256));
	assert_non_null(cert_record_find(&r, KEY_EC384));
	cert_record_free(&r);
}

/* ---- what the CA says at each step ---- */

static void what_may_pass_is_tried_again_within_the_step(void **state)
{
	static const enum fake_place places[] = {
		FAKE_NEW_ORDER, FAKE_AUTHZ, FAKE_CHALLENGE,
		FAKE_ORDER,     FAKE_FINALIZE, FAKE_CERT,
	};
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (i % 2)
			fake_say(f->fake, places[i], 1, 503, "",
			         "<html>busy</html>");
		else
			fake_say(f->fake, places[i], 1, 200, "",
			         "{\"status\":")->cut = true;
	if (flows_order(f))
		fail_msg("%s\n%s", f->e.text, f->d->b->log.ptr);
	assert_in_range(flows_lines(f, " retry "), 6, 8);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
}

static void badnonce_storms_cost_no_order(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	f->fake->bad_nonces = 30; /* more than one call outlives */
	assert_int_equal(flows_order(f), 0);
	flows_clean(f);
}

static void a_poll_waits_as_long_as_the_ca_says(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	f->fake->pending_polls = 1;
	int64_t begun = flows_mono();
	fake_say(f->fake, FAKE_ORDER, 1, 200, "Retry-After: 1\r\n",
	         "{\"status\":\"pending\",\"identifiers\":[],"
	         "\"authorizations\":[\"https://x.test/1\"],"
	         "\"finalize\":\"https://x.test/f\"}");
	assert_int_equal(flows_order(f), 0);
	assert_in_range(flows_mono() - begun, 1000, 8000);
}

static void a_poll_that_shall_wait_too_long_ends_and_goes_on_later(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_say(f->fake, FAKE_ORDER, 1, 200, "Retry-After: 7200\r\n",
	         "{\"status\":\"pending\",\"identifiers\":[],"
	         "\"authorizations\":[\"https://x.test/1\"],"
	         "\"finalize\":\"https://x.test/f\"}");
	flows_order(f);
	flows_failed_with(f, ERR_RETRY, "ready: the CA has not come to an end");
	assert_in_range(f->e.retry_at - now_wall(), 7000000, 7201000);
	assert_true(is_saved(f));
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 1);
	flows_clean(f);
}

static void a_poll_has_an_end(void **state)
{
	struct flows *f = *state;

	f->fake->pending_polls = 100000;
	assert_int_equal(flows_register(f), 0);
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	while (strcmp(order_state(f->order), "ready"))
		loop_run_once(f->d->b->loop, 5);
	flows_pushed += 6 * 60 * 1000;
	flows_wait(f);
	flows_failed_with(f, ERR_RETRY, "not come to an end");
	assert_true(is_saved(f));
}

static void a_rate_limit_ends_the_order_until_then(void **state)
{
	static const enum fake_place places[] = { FAKE_NEW_ORDER, FAKE_AUTHZ,
		                                  FAKE_FINALIZE, FAKE_CERT };
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		fake_say(f->fake, places[i], 2, 429, "Retry-After: 600\r\n",
		         "{\"type\":\"urn:ietf:params:acme:error:rateLimited\","
		         "\"detail\":\"slowly\"}");
		flows_order(f);
		flows_failed_with(f, ERR_LIMITED, "slowly");
		assert_in_range(f->e.retry_at - now_wall(), 500000, 601000);
		assert_true(is_saved(f));
		fake_hush(f->fake, places[i]);
	}
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
}

static void what_is_no_answer_is_told_and_the_order_stays(void **state)
{
	static const enum fake_place places[] = { FAKE_NEW_ORDER, FAKE_AUTHZ,
		                                  FAKE_CHALLENGE, FAKE_ORDER,
		                                  FAKE_FINALIZE };
	static const char *const bodies[] = {
		"<html>hello</html>", "{}", "[]", "{\"status\":\"dancing\"}",
		"{\"status\":\"valid\"", "",
	};
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (size_t j = 0; j < sizeof bodies / sizeof *bodies; j++) {
			fake_say(f->fake, places[i], 2, 200, "", bodies[j]);
			flows_order(f);
			flows_failed_with(f, ERR_BROKEN, NULL);
			assert_true(is_saved(f));
			fake_hush(f->fake, places[i]);
		}
	assert_int_equal(flows_order(f), 0);
	flows_clean(f);
}

static void an_order_without_a_good_location_is_none(void **state)
{
	static const char body[] =
		"{\"status\":\"pending\",\"identifiers\":[],"
		"\"authorizations\":[\"https://x.test/1\"],"
		"\"finalize\":\"https://x.test/f\"}";
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_say(f->fake, FAKE_NEW_ORDER, 1, 201, "", body);
	flows_order(f);
	flows_failed_with(f, ERR_BROKEN, "without Location");
	fake_say(f->fake, FAKE_NEW_ORDER, 1, 201, "Location: file:///etc\r\n",
	         body);
	flows_order(f);
	assert_true(f->rc < 0);
	assert_non_null(strstr(f->e.text, "Location"));
	assert_int_equal(flows_order(f), 0);
	flows_clean(f);
}

static void a_refused_name_ends_the_order_for_good(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_NEW_ORDER, 1, 400, "rejectedIdentifier");
	flows_order(f);
	flows_failed_with(f, ERR_DENIED, "new: rejectedIdentifier");
	assert_string_equal(f->e.problem,
	                    "urn:ietf:params:acme:error:rejectedIdentifier");
	flows_clean(f);
}

/* ---- invalid orders ---- */

static void an_invalid_order_says_why(void **state)
{
	struct flows *f = *state;

	f->fake->unfit = "www.a.test";
	flows_order(f);
	flows_failed_with(f, ERR_DENIED, "the order failed");
	flows_clean(f);
	assert_int_equal(f->web.cleanups, 2);
	assert_int_equal(f->installs, 0);
}

static void a_silent_invalid_order_is_explained(void **state)
{
	struct flows *f = *state;

	f->fake->unfit = "www.a.test";
	f->fake->silent = true;
	flows_order(f);
	flows_failed_with(f, ERR_DENIED, "www.a.test: unauthorized: looked in "
	                                 "vain");
	assert_string_equal(f->e.problem,
	                    "urn:ietf:params:acme:error:unauthorized");
	flows_clean(f);
}

static void an_order_that_nobody_can_explain_ends_too(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_say(f->fake, FAKE_ORDER, 1, 200, "",
	         "{\"status\":\"invalid\",\"identifiers\":[],"
	         "\"authorizations\":[\"https://x.test/1\"],"
	         "\"finalize\":\"https://x.test/f\"}");
	flows_order(f);
	flows_failed_with(f, ERR_INVALID, "does not say why");
	flows_clean(f);
}

/* Many authorizations are asked one after the other, but not slower and
 * slower. */
static void explaining_takes_no_longer_than_asking(void **state)
{
	struct flows *f = *state;
	char name[32];

	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "n%d.a.test", i);
		names_add(&f->spec.identifiers, name);
	}
	names_add(&f->spec.identifiers, "unfit.test");
	f->fake->unfit = "unfit.test";
	f->fake->silent = true;
	int64_t begun = flows_mono();
	flows_order(f);
	flows_failed_with(f, ERR_DENIED, "unfit.test: ");
	assert_in_range(flows_mono() - begun, 0, 3000);
}

/* ---- finalize ---- */

static void an_order_that_is_not_ready_yet_is_looked_at_again(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_FINALIZE, 1, 403, "orderNotReady");
	assert_int_equal(flows_order(f), 0);
	assert_int_equal(f->fake->count[FAKE_FINALIZE], 2);
	flows_clean(f);
}

/* A CA that says "ready" and "not ready" in turn is not asked without end. */
static void an_order_that_is_never_ready_is_no_endless_loop(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_FINALIZE, -1, 403, "orderNotReady");
	f->order = order_start(&f->env, f->ca, &f->d->log, &f->spec,
	                       flows_ended, f);
	flows_turns(f, 600);
	assert_in_range(f->fake->count[FAKE_FINALIZE], 2, 10);
	flows_pushed += 60000;
	flows_wait(f);
	flows_failed_with(f, ERR_RETRY, "orderNotReady");
	assert_true(is_saved(f));
}

static void a_refused_csr_ends_the_order(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_FINALIZE, 1, 400, "badCSR");
	flows_order(f);
	flows_failed_with(f, ERR_INVALID, "finalize: badCSR");
	flows_clean(f);
}

/* ---- certificates that are not what was asked for ---- */

static void nothing_unproven_is_stored(struct flows *f, const char *words)
{
	f->fake->for_other_key = f->fake->for_other_names = f->fake->expired =
		false;
	assert_int_equal(flows_order(f), 0);
	char *good = serial(f);
	f->installs = 0;
	f->fake->for_other_key = !strcmp(words, "key");
	f->fake->for_other_names = !strcmp(words, "name");
	f->fake->expired = !strcmp(words, "expired");
	flows_order(f);
	flows_failed_with(f, ERR_INVALID, "certificate refused");
	flows_failed_with(f, ERR_INVALID, words);
	char *still = serial(f);
	assert_string_equal(still, good);
	assert_int_equal(f->installs, 0);
	assert_null(memory_get(&f->d->memory, "archive/a.test"));
	flows_clean(f);
	free(good);
	free(still);
}

static void a_certificate_for_another_key_is_not_stored(void **state)
{
	nothing_unproven_is_stored(*state, "key");
}

static void a_certificate_for_other_names_is_not_stored(void **state)
{
	nothing_unproven_is_stored(*state, "name");
}

static void an_expired_certificate_is_not_stored(void **state)
{
	nothing_unproven_is_stored(*state, "expired");
}

static void junk_is_no_certificate(void **state)
{
	static const char *const bodies[] = {
		"", "<html>", "-----BEGIN CERTIFICATE-----\nAAAA\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n"
		"-----END PRIVATE KEY-----\n",
	};
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		fake_say(f->fake, FAKE_CERT, 1, 200, "", bodies[i]);
		flows_order(f);
		flows_failed_with(f, ERR_INVALID, "fetch: certificate refused");
		assert_null(memory_get(&f->d->memory, CERT_KEY));
		flows_clean(f);
	}
}

/* ---- gone ---- */

static void an_order_that_the_ca_forgot_is_placed_anew(void **state)
{
	static const enum fake_place places[] = { FAKE_ORDER, FAKE_AUTHZ,
		                                  FAKE_FINALIZE, FAKE_CERT };
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		unsigned orders = f->fake->count[FAKE_NEW_ORDER];
		fake_say(f->fake, places[i], places[i] == FAKE_AUTHZ ? 2 : 1,
		         404, "", "{\"detail\":\"no such order\"}");
		if (flows_order(f))
			fail_msg("%s\n%s", f->e.text, f->d->b->log.ptr);
		assert_int_equal(f->fake->count[FAKE_NEW_ORDER], orders + 2);
		/* What was presented for the first one has gone, too. */
		flows_clean(f);
	}
}

static void an_order_that_is_always_forgotten_fails(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_say(f->fake, FAKE_ORDER, -1, 404, "", "");
	flows_order(f);
	flows_failed_with(f, ERR_ABSENT, "HTTP 404");
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(f);
}

static void a_lost_account_is_told_as_such(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_forget(f->fake);
	flows_order(f);
	assert_string_equal(
		f->e.problem,
		"urn:ietf:params:acme:error:accountDoesNotExist");
	assert_int_equal(f->fake->count[FAKE_NEW_ORDER], 1);
	flows_clean(f);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(an_order_brings_a_certificate),
		T(lines_of_authorizations_say_for_whom),
		T(what_is_valid_already_needs_no_challenge),
		T(a_new_certificate_has_a_new_key_and_keeps_the_old),
		T(key_types_are_merged_and_dropped_when_all_are_there),
		T(what_may_pass_is_tried_again_within_the_step),
		T(badnonce_storms_cost_no_order),
		T(a_poll_waits_as_long_as_the_ca_says),
		T(a_poll_that_shall_wait_too_long_ends_and_goes_on_later),
		T(a_poll_has_an_end),
		T(a_rate_limit_ends_the_order_until_then),
		T(what_is_no_answer_is_told_and_the_order_stays),
		T(an_order_without_a_good_location_is_none),
		T(a_refused_name_ends_the_order_for_good),
		T(an_invalid_order_says_why),
		T(a_silent_invalid_order_is_explained),
		T(an_order_that_nobody_can_explain_ends_too),
		T(explaining_takes_no_longer_than_asking),
		T(an_order_that_is_not_ready_yet_is_looked_at_again),
		T(an_order_that_is_never_ready_is_no_endless_loop),
		T(a_refused_csr_ends_the_order),
		T(a_certificate_for_another_key_is_not_stored),
		T(a_certificate_for_other_names_is_not_stored),
		T(an_expired_certificate_is_not_stored),
		T(junk_is_no_certificate),
		T(an_order_that_the_ca_forgot_is_placed_anew),
		T(an_order_that_is_always_forgotten_fails),
		T(a_lost_account_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
