/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from the pool: taken over, refused, and left behind. */
#include "../plugin/bench.h"

#include "flow/keygen.h"

struct made {
	int count, rc;
	struct key *key;
	struct secret pem;
	bool leave;
};

static void made(void *arg, int rc, const struct err *e, struct key *key,
                 struct secret *pem)
{
	struct made *m = arg;

	m->count++;
	m->rc = rc;
	assert_int_equal(rc < 0, e != NULL);
	m->key = key;
	if (m->leave)
		return;
	m->pem = *pem;
	*pem = SECRET_NONE;
}

static bool is_made(void *arg)
{
	return ((struct made *)arg)->count > 0;
}

static void a_key_and_its_text_are_the_callers(void **state)
{
	struct bench *b = *state;
	struct made m = { 0 };
	struct key *again;
	struct err e;

	keygen_start(b->loop, KEY_EC384, made, &m);
	assert_true(loop_run_until(b->loop, is_made, &m, BENCH_PATIENCE));
	assert_int_equal(m.rc, 0);
	assert_int_equal(key_kind_of(m.key), KEY_EC384);
	assert_int_equal(key_from_pem((struct str){ m.pem.ptr, m.pem.len },
	                              &again, &e),
	                 0);
	assert_true(key_equal(m.key, again));
	key_free(again);
	key_free(m.key);
	secret_free(&m.pem);
}

static void a_text_that_nobody_takes_is_wiped(void **state)
{
	struct bench *b = *state;
	struct made m = { .leave = true };

	keygen_start(b->loop, KEY_EC256, made, &m);
	assert_true(loop_run_until(b->loop, is_made, &m, BENCH_PATIENCE));
	key_free(m.key);
}

static void a_kind_that_cannot_be_made_is_an_error(void **state)
{
	struct bench *b = *state;
	struct made m = { 0 };

	keygen_start(b->loop, KEY_OTHER, made, &m);
	assert_true(loop_run_until(b->loop, is_made, &m, BENCH_PATIENCE));
	assert_true(m.rc < 0);
	assert_null(m.key);
}

static void a_canceled_key_is_made_for_nobody(void **state)
{
	struct bench *b = *state;
	struct made m = { 0 };

	for (int i = 0; i < 20; i++) {
		struct keygen *k = keygen_start(b->loop, KEY_EC256, made, &m);
		for (int n = 0; n < i % 3 && !m.count; n++)
			loop_run_once(b->loop, 0);
		if (m.count)
			break;
		keygen_cancel(&k);
		assert_null(k);
		keygen_cancel(&k);
	}
	loop_run(b->loop);
	key_free(m.key);
	secret_free(&m.pem);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		T(a_key_and_its_text_are_the_callers),
		T(a_text_that_nobody_takes_is_wiped),
		T(a_kind_that_cannot_be_made_is_an_error),
		T(a_canceled_key_is_made_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
