/* SPDX-License-Identifier: Apache-2.0 */
/* One signed request, by the account or by the certificate's own key. */
#include "fixture.h"

static struct revocation *start(struct flows *f, int reason,
                                const struct key *key)
{
	return revocation_start(f->d->b->loop, f->ca, &f->d->log,
	                        STR("\x30\x03\x02\x01\x01"), reason, key,
	                        flows_ended, f);
}

static int revoke_one(struct flows *f, int reason, const struct key *key)
{
	if (!ca_kid(f->ca))
		assert_int_equal(flows_register(f), 0);
	struct revocation *r = start(f, reason, key);
	flows_wait(f);
	revocation_free(r);
	return f->rc;
}

static void the_account_revokes(void **state)
{
	struct flows *f = *state;

	assert_int_equal(revoke_one(f, -1, NULL), 0);
	assert_false(f->fake->last_had_jwk);
	assert_string_equal(f->fake->last_payload,
	                    "{\"certificate\":\"MAMCAQE\"}");
	assert_int_equal(revoke_one(f, 4, NULL), 0);
	assert_non_null(strstr(f->fake->last_payload, "\"reason\":4"));
}

static void the_own_key_of_a_certificate_revokes(void **state)
{
	struct flows *f = *state;
	struct key *key;
	struct err e;

	assert_int_equal(key_new(KEY_EC256, &key, &e), 0);
	assert_int_equal(revoke_one(f, 1, key), 0);
	assert_true(f->fake->last_had_jwk);
	key_free(key);
}

static void revoked_already_counts_as_done(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_REVOKE, 1, 400, "alreadyRevoked");
	assert_int_equal(revoke_one(f, -1, NULL), 0);
}

static void a_refusal_is_told(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_refuse(f->fake, FAKE_REVOKE, 1, 403, "unauthorized");
	revoke_one(f, -1, NULL);
	flows_failed_with(f, ERR_DENIED, "send: unauthorized");
	fake_say(f->fake, FAKE_REVOKE, 1, 503, "", "");
	assert_int_equal(revoke_one(f, -1, NULL), 0);
}

static void a_revocation_may_end_at_any_turn(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (int turns = 0; turns < 12; turns++) {
		struct revocation *r = start(f, -1, NULL);
		for (int i = 0; i < turns && !f->ends; i++)
			loop_run_once(f->d->b->loop, 1);
		revocation_free(r);
		f->ends = 0;
		flows_turns(f, 2);
		assert_int_equal(f->ends, 0);
	}
	revocation_free(NULL);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(the_account_revokes),
		T(the_own_key_of_a_certificate_revokes),
		T(revoked_already_counts_as_done),
		T(a_refusal_is_told),
		T(a_revocation_may_end_at_any_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
