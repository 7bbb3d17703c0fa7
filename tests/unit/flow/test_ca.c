/* SPDX-License-Identifier: Apache-2.0 */
/* Signed exchanges: directory, nonces, what the CA and the network do to them,
 * and calls that end before their answer. */
#include "fixture.h"

struct asked {
	struct flows *f;
	int answers, rc, status;
	struct err e;
	char body[256];
	struct call *call;
};

static void answered(void *arg, int rc, const struct err *e,
                     const struct ca_answer *answer)
{
	struct asked *a = arg;

	a->answers++;
	a->call = NULL;
	a->rc = rc;
	a->e = e ? *e : (struct err){ 0 };
	a->status = answer ? answer->status : 0;
	if (answer)
		bench_copy(a->body, sizeof a->body, answer->body);
}

static bool has_answer(void *arg)
{
	return ((struct asked *)arg)->answers > 0;
}

static void ask(struct flows *f, struct asked *a)
{
	struct ca_request req = { .target = CA_URL };
	char url[128];

	*a = (struct asked){ .f = f };
	req.url = fake_url(f->fake, FAKE_ACCOUNT, 0, url);
	a->call = ca_post(f->ca, &req, answered, a);
	assert_int_equal(a->answers, 0);
}

static int await(struct asked *a)
{
	assert_true(loop_run_until(a->f->d->b->loop, has_answer, a, BENCH_PATIENCE));
	assert_int_equal(a->answers, 1);
	return a->rc;
}

/* One exchange after the account is there. */
static struct asked exchange(struct flows *f)
{
	struct asked a;

	if (!ca_kid(f->ca))
		assert_int_equal(flows_register(f), 0);
	ask(f, &a);
	await(&a);
	return a;
}

/* ---- directory ---- */

static void the_directory_is_fetched_once_for_all_calls(void **state)
{
	struct flows *f = *state;

	assert_null(ca_directory(f->ca));
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 1);
	assert_int_equal(f->fake->count[FAKE_NONCE], 1); /* then answers carry them */
	assert_non_null(ca_directory(f->ca));
}

static void a_day_later_the_directory_is_fetched_again(void **state)
{
	struct flows *f = *state;

	exchange(f);
	flows_pushed += 25 * 3600 * 1000;
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 2);
	assert_int_equal(f->fake->count[FAKE_NONCE], 2); /* and old nonces go */
}

static void an_old_directory_serves_while_there_is_no_new_one(void **state)
{
	struct flows *f = *state;

	exchange(f);
	flows_pushed += 25 * 3600 * 1000;
	fake_say(f->fake, FAKE_DIRECTORY, -1, 503, "", "<html>");
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 2);
	assert_int_equal(exchange(f).rc, 0); /* not asked for each call */
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 2);
	fake_hush(f->fake, FAKE_DIRECTORY);
	flows_pushed += 3600 * 1000;
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 3);
}

static void without_a_directory_there_is_no_call(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum err_code code;
		const char *words;
	} cases[] = {
		{ 503, "<html>down</html>", ERR_RETRY, "HTTP 503" },
		{ 404, "", ERR_ABSENT, "HTTP 404" },
		{ 403, "forbidden", ERR_DENIED, "HTTP 403" },
		{ 200, "<html>hello</html>", ERR_BROKEN, "not a directory" },
		{ 200, "{\"newNonce\":\"ftp://x/\"}", ERR_BROKEN, "newNonce" },
		{ 200, "{\"newNonce\":", ERR_BROKEN, "not a directory" },
		{ 204, "", ERR_INVALID, "directory" },
	};
	struct flows *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct asked a;
		fake_say(f->fake, FAKE_DIRECTORY, 1, cases[i].status, "",
		         cases[i].body);
		ask(f, &a);
		assert_int_equal(await(&a), cases[i].code);
		assert_non_null(strstr(a.e.text, cases[i].words));
	}
	assert_null(ca_directory(f->ca));
	assert_int_equal(flows_register(f), 0);
}

static void several_calls_share_one_directory_and_its_failure(void **state)
{
	struct flows *f = *state;
	struct asked a[5];

	fake_say(f->fake, FAKE_DIRECTORY, 1, 503, "Retry-After: 77\r\n", "");
	for (int i = 0; i < 5; i++)
		ask(f, &a[i]);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(await(&a[i]), ERR_RETRY);
		assert_in_range(a[i].e.retry_at - now_wall(), 70000, 78000);
	}
	assert_int_equal(f->fake->count[FAKE_DIRECTORY], 1);
}

/* ---- nonces ---- */

static void a_storm_of_bad_nonces_is_outlived(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	f->fake->bad_nonces = 15;
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(ca_stats(f->ca)->bad_nonces, 15);
	assert_int_equal(ca_stats(f->ca)->failures, 0);
}

static void bad_nonces_without_end_have_an_end(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	f->fake->bad_nonces = 1000;
	struct asked a = exchange(f);
	assert_int_equal(a.rc, ERR_RETRY);
	assert_string_equal(a.e.problem,
	                    "urn:ietf:params:acme:error:badNonce");
	assert_in_range(1000 - f->fake->bad_nonces, 5, 50);
}

static void without_a_nonce_in_the_answer_one_is_fetched(void **state)
{
	struct flows *f = *state;

	exchange(f);
	f->fake->no_nonces = true;
	exchange(f); /* the last one in the pool */
	struct asked a = exchange(f);
	assert_int_equal(a.rc, ERR_BROKEN);
	assert_non_null(strstr(a.e.text, "newNonce"));
	assert_non_null(strstr(a.e.text, "Replay-Nonce"));
	f->fake->no_nonces = false;
	assert_int_equal(exchange(f).rc, 0);
	assert_int_equal(f->fake->count[FAKE_NONCE], 3);
}

static void a_nonce_that_is_none_is_not_used(void **state)
{
	static const char *const BAD[] = { "a b", "x\"y", "", "a.b", "\xc3\xb6" };
	struct flows *f = *state;
	char header[128];

	exchange(f);
	f->fake->no_nonces = true;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		snprintf(header, sizeof header, "Replay-Nonce: %s\r\n", BAD[i]);
		f->fake->no_nonces = false;
		assert_int_equal(exchange(f).rc, 0);
		f->fake->no_nonces = true;
		fake_say(f->fake, FAKE_ACCOUNT, 1, 200, header, "{}");
		assert_int_equal(exchange(f).rc, 0);
	}
}

static void many_calls_side_by_side_each_have_a_nonce(void **state)
{
	struct flows *f = *state;
	struct asked a[60];

	assert_int_equal(flows_register(f), 0);
	for (int i = 0; i < 60; i++)
		ask(f, &a[i]);
	for (int i = 0; i < 60; i++)
		assert_int_equal(await(&a[i]), 0);
	assert_int_equal(ca_stats(f->ca)->bad_nonces, 0);
}

/* ---- refusals ---- */

static void refusals_are_errors_with_class_and_time(void **state)
{
	static const struct {
		int status;
		const char *headers, *body;
		enum err_code code;
		const char *words;
	} cases[] = {
		{ 429, "Retry-After: 100\r\n",
		  "{\"type\":\"urn:ietf:params:acme:error:rateLimited\","
		  "\"detail\":\"too many\"}",
		  ERR_LIMITED, "too many" },
		{ 503, "Retry-After: 100\r\n", "<html>busy</html>", ERR_RETRY,
		  "HTTP 503, with \"<html>busy</html>\"" },
		{ 500, "", "", ERR_RETRY, "HTTP 500" },
		{ 502, "", "Bad Gateway", ERR_RETRY, "HTTP 502" },
		{ 400, "", "{\"type\":\"urn:ietf:params:acme:error:malformed\"}",
		  ERR_INVALID, "malformed" },
		{ 401, "", "", ERR_DENIED, "HTTP 401" },
		{ 302, "Location: https://evil.test/\r\n", "", ERR_INVALID,
		  "HTTP 302" },
	};
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fake_say(f->fake, FAKE_ACCOUNT, 1, cases[i].status,
		         cases[i].headers, cases[i].body);
		struct asked a = exchange(f);
		assert_int_equal(a.rc, cases[i].code);
		assert_int_equal(a.status, cases[i].status);
		if (!strstr(a.e.text, cases[i].words))
			fail_msg("%s", a.e.text);
		if (strstr(cases[i].headers, "Retry"))
			assert_in_range(a.e.retry_at - now_wall(), 90000,
			                101000);
	}
	assert_int_equal(ca_stats(f->ca)->failures,
	                 sizeof cases / sizeof *cases);
}

static void an_answer_that_is_cut_off_is_no_answer(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_say(f->fake, FAKE_ACCOUNT, 1, 200, "", "{\"status\":\"va")->cut =
		true;
	struct asked a = exchange(f);
	assert_int_equal(a.rc, ERR_RETRY);
	assert_int_equal(a.status, 0);
	assert_int_equal(exchange(f).rc, 0);
}

static void what_the_ca_does_not_offer_is_not_asked(void **state)
{
	struct flows *f = *state;
	struct ca_request req = { .target = CA_REVOKE_CERT };
	struct asked a = { .f = f };
	char body[512], nonce[128], account[128], order[128];

	snprintf(body, sizeof body,
	         "{\"newNonce\":\"%s\",\"newAccount\":\"%s\","
	         "\"newOrder\":\"%s\"}",
	         fake_url(f->fake, FAKE_NONCE, -1, nonce),
	         fake_url(f->fake, FAKE_NEW_ACCOUNT, -1, account),
	         fake_url(f->fake, FAKE_NEW_ORDER, -1, order));
	fake_say(f->fake, FAKE_DIRECTORY, -1, 200, "", body);
	assert_int_equal(flows_register(f), 0);
	a.call = ca_post(f->ca, &req, answered, &a);
	assert_int_equal(await(&a), ERR_DENIED);
	assert_non_null(strstr(a.e.text, "does not offer"));
}

static void nobody_signs_before_there_is_an_account(void **state)
{
	struct flows *f = *state;
	struct asked a;

	ask(f, &a);
	assert_int_equal(await(&a), ERR_RETRY);
	assert_non_null(strstr(a.e.text, "no account at fake yet"));
	assert_int_equal(f->fake->count[FAKE_ACCOUNT], 0);
}

static void a_ca_that_nobody_answers_for_is_tried_later(void **state)
{
	struct flows *f = *state;
	struct asked a;

	fdwatch_cancel(&f->fake->watch);
	shutdown(f->fake->fd, SHUT_RDWR);
	ask(f, &a);
	assert_int_equal(await(&a), ERR_RETRY);
	assert_non_null(strstr(a.e.text, "directory"));
}

/* ---- ends ---- */

static void calls_may_be_canceled_at_any_turn(void **state)
{
	struct flows *f = *state;

	for (int turns = 0; turns < 40; turns++) {
		struct asked a;
		if (turns % 2) { /* with directory and nonce to fetch */
			flows_pushed += 25 * 3600 * 1000;
			if (!ca_kid(f->ca))
				assert_int_equal(flows_register(f), 0);
		}
		ask(f, &a);
		for (int i = 0; i < turns && !a.answers; i++)
			loop_run_once(f->d->b->loop, 1);
		call_cancel(&a.call);
		assert_null(a.call);
		call_cancel(&a.call);
		int answers = a.answers;
		flows_turns(f, 3);
		assert_int_equal(a.answers, answers);
	}
}

static void a_ca_may_end_with_calls_under_way(void **state)
{
	struct flows *f = *state;
	struct asked a[3];

	for (int turns = 0; turns < 20; turns++) {
		for (int i = 0; i < 3; i++)
			ask(f, &a[i]);
		for (int i = 0; i < turns; i++)
			loop_run_once(f->d->b->loop, 1);
		flows_end_ca(f);
		flows_make_ca(f);
	}
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(the_directory_is_fetched_once_for_all_calls),
		T(a_day_later_the_directory_is_fetched_again),
		T(an_old_directory_serves_while_there_is_no_new_one),
		T(without_a_directory_there_is_no_call),
		T(several_calls_share_one_directory_and_its_failure),
		T(a_storm_of_bad_nonces_is_outlived),
		T(bad_nonces_without_end_have_an_end),
		T(without_a_nonce_in_the_answer_one_is_fetched),
		T(a_nonce_that_is_none_is_not_used),
		T(many_calls_side_by_side_each_have_a_nonce),
		T(refusals_are_errors_with_class_and_time),
		T(an_answer_that_is_cut_off_is_no_answer),
		T(what_the_ca_does_not_offer_is_not_asked),
		T(nobody_signs_before_there_is_an_account),
		T(a_ca_that_nobody_answers_for_is_tried_later),
		T(calls_may_be_canceled_at_any_turn),
		T(a_ca_may_end_with_calls_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
