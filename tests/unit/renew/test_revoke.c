/* SPDX-License-Identifier: Apache-2.0 */
/* Revocation as an operator means it: each key type, the mark, the successor,
 * and reloads in between. */
#include "keeper.h"

#define A "[certificate a.test]\nnames = a.test\nissuer = le\n"
#define TWO A "key = ecdsa:256, ecdsa:384\n"

static void have(struct keeper *k, const char *text, unsigned legs)
{
	keeper_configure(k, text);
	keeper_load(k);
	keeper_until(k, &k->issued, legs);
}

static void revoke_name(struct keeper *k, int reason)
{
	struct err e;

	assert_int_equal(renew_revoke(k->renew, "a.test", reason,
	                              keeper_waited, k, &e),
	                 0);
}

static void what_is_revoked_is_marked_and_replaced(void **state)
{
	struct keeper *k = *state;

	have(k, A, 1);
	revoke_name(k, 4);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 0);
	assert_int_equal(k->f->fake->count[FAKE_REVOKE], 1);
	assert_int_equal(k->revoked, 1);
	assert_non_null(strstr(memory_get(&k->f->d->memory,
	                                  "certificates/a.test"),
	                       "\"revoked\":true"));
	keeper_until(k, &k->issued, 2);
	assert_false(keeper_leg(k, "a.test")->revoked);
}

static void each_key_type_is_revoked(void **state)
{
	struct keeper *k = *state;

	have(k, TWO, 2);
	revoke_name(k, -1);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->f->fake->count[FAKE_REVOKE], 2);
	keeper_until(k, &k->issued, 4);
}

static void what_is_revoked_already_is_told(void **state)
{
	struct keeper *k = *state;
	struct err e;

	have(k, A, 1);
	keeper_configure(k, ""); /* nobody wants a successor */
	revoke_name(k, -1);
	keeper_until(k, &k->waits, 1);
	revoke_name(k, -1);
	keeper_until(k, &k->waits, 2);
	assert_int_equal(k->wait_error.code, ERR_CONFLICT);
	assert_int_equal(renew_revoke(k->renew, "x.test", -1, keeper_waited, k,
	                              &e),
	                 ERR_ABSENT);
}

static void a_refusal_marks_nothing(void **state)
{
	struct keeper *k = *state;

	have(k, A, 1);
	fake_refuse(k->f->fake, FAKE_REVOKE, 1, 403, "unauthorized");
	revoke_name(k, -1);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->wait_error.code, ERR_DENIED);
	assert_null(strstr(memory_get(&k->f->d->memory, "certificates/a.test"),
	                   "\"revoked\":true"));
}

static void an_issuer_that_is_gone_cannot_revoke(void **state)
{
	struct keeper *k = *state;
	struct conf_errors errors = CONF_ERRORS_INIT;
	char path[128], text[256];
	struct err e;

	have(k, A, 1);
	snprintf(path, sizeof path, "%s/agent.ini", k->f->d->b->dir);
	snprintf(text, sizeof text, "[issuer other]\ndirectory = %s/dir\n"
	         "challenge = web\n", k->other->base);
	assert_int_equal(file_write(path, text, strlen(text), 0600, &e), 0);
	conf_unref(k->conf);
	assert_int_equal(conf_load(path, &k->conf, &errors), 0);
	conf_errors_free(&errors);
	renew_configure(k->renew, k->conf, NULL, 0);
	revoke_name(k, -1);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->wait_error.code, ERR_ABSENT);
	assert_non_null(strstr(k->wait_error.text, "issuer \"le\""));
}

/* ---- brought from outside ---- */

static void a_certificate_from_outside_is_revoked(void **state)
{
	struct keeper *k = *state;
	struct cert_record r;
	char serial[RENEW_SERIAL];
	struct err e;

	have(k, A, 1);
	assert_int_equal(cert_record_read(
				 str_of(memory_get(&k->f->d->memory,
	                                           "certificates/a.test")),
				 &r, &e),
	                 0);
	assert_int_equal(renew_revoke_pem(k->renew, "le",
	                                  str_of(r.keys[0].chain), 1, serial,
	                                  keeper_waited, k, &e),
	                 0);
	assert_int_equal(k->waits, 0);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 0);
	assert_string_equal(serial, r.keys[0].serial);
	assert_int_equal(k->f->fake->count[FAKE_REVOKE], 1);
	assert_int_equal(renew_revoke_pem(k->renew, "le", STR("junk"), 1,
	                                  serial, keeper_waited, k, &e),
	                 ERR_INVALID);
	assert_int_equal(renew_revoke_pem(k->renew, "nobody",
	                                  str_of(r.keys[0].chain), 1, serial,
	                                  keeper_waited, k, &e),
	                 ERR_ABSENT);
	assert_int_equal(k->waits, 1);
	cert_record_free(&r);
}

/* ---- reloads and ends in between ---- */

static void a_reload_may_take_the_issuer_away_at_any_turn(void **state)
{
	struct keeper *k = *state;

	have(k, A, 1);
	char *good = mem_strdup(memory_get(&k->f->d->memory,
	                                   "certificates/a.test"));
	for (int turns = 0; turns < 40; turns++) {
		k->waits = 0;
		memory_set(&k->f->d->memory, "certificates/a.test", good,
		           strlen(good));
		keeper_conf(k, "", turns % 2 ? "max_orders = 3\n" : "", "");
		revoke_name(k, -1);
		for (int i = 0; i < turns && !k->waits; i++)
			loop_run_once(k->f->d->b->loop, 1);
		renew_configure(k->renew, k->conf, NULL, 0);
		keeper_until(k, &k->waits, 1);
		keeper_turns(k, 3);
		assert_int_equal(k->waits, 1);
	}
	free(good);
}

static void renew_may_end_while_it_revokes(void **state)
{
	struct keeper *k = *state;

	have(k, A, 1);
	char *good = mem_strdup(memory_get(&k->f->d->memory,
	                                   "certificates/a.test"));
	for (int turns = 0; turns < 25; turns++) {
		memory_set(&k->f->d->memory, "certificates/a.test", good,
		           strlen(good));
		keeper_conf(k, "", "", "");
		renew_configure(k->renew, k->conf, NULL, 0);
		unsigned waits = k->waits;
		k->loaded = false;
		revoke_name(k, -1);
		for (int i = 0; i < turns; i++)
			loop_run_once(k->f->d->b->loop, 1);
		renew_free(k->renew);
		assert_int_equal(k->waits, waits + 1); /* once, now or before */
		keeper_new_renew(k);
		renew_configure(k->renew, k->conf, NULL, 0);
		keeper_load(k);
	}
	free(good);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, keeper_setup, keeper_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_revoked_is_marked_and_replaced),
		T(each_key_type_is_revoked),
		T(what_is_revoked_already_is_told),
		T(a_refusal_marks_nothing),
		T(an_issuer_that_is_gone_cannot_revoke),
		T(a_certificate_from_outside_is_revoked),
		T(a_reload_may_take_the_issuer_away_at_any_turn),
		T(renew_may_end_while_it_revokes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
