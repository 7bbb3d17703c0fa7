/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: exactly one answer each, whatever the plugin does. */
#include "bench.h"

struct published {
	int shows, withdraws;
	enum err_code fail;
	char name[64], value[64];
};

static int publish(void *arg, uint32_t kind, struct str name, struct str value,
                   struct err *e)
{
	struct published *p = arg;

	assert_int_equal(kind, ACME_PUBLISH_TOKEN);
	if (p->fail)
		return err_set(e, p->fail, "segment is full");
	bench_copy(p->name, sizeof p->name, name);
	if (value.ptr) {
		p->shows++;
		bench_copy(p->value, sizeof p->value, value);
	} else {
		p->withdraws++;
	}
	return 0;
}

static struct instance *probe(struct bench *b)
{
	const struct conf_raw options[] = {
		{ "token", "hush-hush", { NULL, 0 } },
	};
	struct instance *i;
	struct err e;

	assert_int_equal(bench_open(b, "probe", options, 1,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 0);
	return i;
}

static acme_op ask(struct bench *b, struct instance *i, const char *what,
                   uint32_t deadline_ms)
{
	acme_challenge c = { .type = ACME_HTTP_01 };

	c.identifier = acme_text("example.org");
	c.token = acme_text(what);
	c.key_authorization = acme_text("key");
	return instance_present(i, &c, deadline_ms, bench_answer, b);
}

static enum err_code answer(struct bench *b, struct instance *i,
                            const char *what)
{
	ask(b, i, what, 5000);
	return bench_wait(b);
}

static void quiet(struct bench *b)
{
	for (int n = 0; n < 5; n++)
		loop_run_once(b->loop, 5);
}

static void done_within_the_call_is_answered_later(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	ask(b, i, "now", 0);
	assert_int_equal(b->answers, 0);
	assert_int_equal(instance_busy(i), 1);
	assert_int_equal(bench_wait(b), ERR_RETRY);
	assert_int_equal(b->retry_ms, 1500);
	assert_string_equal(b->text, "busy");
	assert_string_equal(b->cookie, "cookie");
	assert_int_equal(instance_busy(i), 0);
	bench_close(b, i, 0);
}

static void the_cookie_comes_back(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	acme_challenge c = { .type = ACME_HTTP_01 };

	c.cookie = acme_text("record-7");
	instance_cleanup(i, &c, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_string_equal(b->text, "cookie=record-7");
	bench_close(b, i, 0);
}

static void services_call_back(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	assert_int_equal(answer(b, i, "after"), ERR_OK);
	assert_string_equal(b->text, "after");
	assert_int_equal(answer(b, i, "thread"), ERR_OK);
	assert_string_equal(b->text, "posted");
	assert_int_equal(answer(b, i, "fd"), ERR_OK);
	assert_string_equal(b->text, "read");
	assert_true(bench_logged(b, "root timer"));
	bench_close(b, i, 0);
}

static void a_job_may_log_and_allocate_and_nothing_else(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	assert_int_equal(answer(b, i, "job"), ERR_OK);
	assert_string_equal(b->text, "thread=1 alloc=1");
	assert_true(bench_logged(b, "called on another thread"));
	assert_true(bench_logged(b, "from a job"));
	bench_close(b, i, 0);
}

static void a_second_done_is_refused(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	assert_int_equal(answer(b, i, "twice"), ERR_OK);
	assert_string_equal(b->text, "first");
	assert_true(bench_logged(b, "service=done"));
	quiet(b);
	assert_int_equal(b->answers, 0);
	assert_false(bench_logged(b, "must not happen"));
	bench_close(b, i, 0);
}

static void a_late_done_and_made_up_handles_hit_nothing(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	answer(b, i, "now");
	ask(b, i, "after", 0); /* takes the slot of the one before */
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_int_equal(answer(b, i, "late"), ERR_OK);
	assert_true(bench_logged(b, "the operation has ended"));
	quiet(b);
	assert_int_equal(b->answers, 0);
	bench_close(b, i, 0);
}

static void a_deadline_is_an_answer(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	ask(b, i, "never", 20);
	assert_int_equal(bench_wait(b), ERR_RETRY);
	assert_string_equal(b->text, "no answer within 20 ms");
	answer(b, i, "cancels");
	assert_string_equal(b->text, "1");
	bench_close(b, i, 0);
}

static void what_is_cancelled_says_nothing_more(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	acme_op op = ask(b, i, "never", 0);

	op_cancel(op);
	op_cancel(op);
	quiet(b);
	op_cancel(op); /* stale now */
	assert_int_equal(b->answers, 0);
	op = ask(b, i, "now", 0);
	op_cancel(op); /* answered, not delivered */
	quiet(b);
	assert_int_equal(b->answers, 0);
	op_cancel((acme_op){ 0 });
	op_cancel((acme_op){ UINT64_MAX });
	bench_close(b, i, 0);
}

static void a_job_outlives_its_operation_safely(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	acme_op op = ask(b, i, "long-job", 0);

	/* The job does not wake the loop when it begins: look often. */
	for (int n = 0; n < 500 && !bench_logged(b, "job begins"); n++)
		loop_run_once(b->loop, 10);
	assert_true(bench_logged(b, "job begins"));
	op_cancel(op);
	loop_run_once(b->loop, 1);
	assert_int_equal(instance_busy(i), 1); /* its memory is in use */
	bench_close(b, i, 0);
	assert_int_equal(b->answers, 0);
}

static void wrong_answers_become_faults(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	assert_int_equal(answer(b, i, "status"), ERR_BROKEN);
	assert_int_equal(answer(b, i, "big-cookie"), ERR_BROKEN);
	assert_non_null(strstr(b->text, "cookie of over"));
	assert_int_equal(answer(b, i, "foreign"), ERR_BROKEN);
	assert_non_null(strstr(b->text, "own token"));
	assert_int_equal(answer(b, i, "bad-fd"), ERR_BROKEN);
	answer(b, i, "cancels"); /* told of each refusal */
	assert_string_equal(b->text, "3");
	bench_close(b, i, 0);
}

static void secrets_do_not_get_out(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	struct err e;

	assert_int_equal(answer(b, i, "leak"), ERR_DENIED);
	assert_string_equal(b->text, "bad *** !");
	assert_true(bench_logged(b, "using ***"));
	assert_false(bench_logged(b, "hush-hush"));
	struct op_result res = { .code = ERR_DENIED, .text = b->text,
		                 .retry_ms = 1000 };
	assert_int_equal(op_err(i, &res, &e), ERR_DENIED);
	assert_string_equal(e.text, "challenge one (probe): bad *** !");
	assert_true(e.retry_at > now_wall());
	bench_close(b, i, 0);
}

static void a_plugin_that_holds_the_loop_is_named(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	answer(b, i, "slow");
	assert_true(bench_logged(b, "plugin held the loop plugin=probe "
	                            "instance=one call=present"));
	bench_close(b, i, 0);
}

struct count {
	int answers;
};

static void count_answer(void *arg, const struct op_result *res)
{
	(void)res;
	((struct count *)arg)->answers++;
}

static bool five(void *arg)
{
	return ((struct count *)arg)->answers == 5;
}

static void one_name_is_asked_one_at_a_time(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	struct count count = { 0 };
	acme_challenge c = { .type = ACME_HTTP_01 };
	acme_op ops[6];

	c.identifier = acme_text("example.org");
	c.token = acme_text("exclusive");
	for (int n = 0; n < 6; n++)
		ops[n] = instance_present(i, &c, 0, count_answer, &count);
	op_cancel(ops[2]); /* while it waits */
	assert_true(loop_run_until(b->loop, five, &count, BENCH_PATIENCE));
	assert_true(bench_logged(b, "running 1"));
	assert_false(bench_logged(b, "running 2"));
	bench_close(b, i, 0);
}

static void a_type_that_it_cannot_do_is_declined(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	acme_challenge c = { .type = ACME_DNS_01 };

	instance_present(i, &c, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_DECLINED);
	instance_get(i, STR("../etc/passwd"), 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_INVALID);
	instance_lock(i, STR("x"), 1000, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_INVALID);
	bench_close(b, i, 0);
}

static void closing_waits_or_cuts_off(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	ask(b, i, "after", 0);
	bench_close(b, i, 5000);
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->code, ERR_OK);
	b->answers = 0;
	i = probe(b);
	ask(b, i, "never", 0);
	bench_close(b, i, 20);
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->code, ERR_CANCELED);
	b->answers = 0;
	i = probe(b);
	instance_close(i, 1000, NULL, NULL);
	ask(b, i, "now", 0);
	assert_int_equal(bench_wait(b), ERR_CANCELED);
	quiet(b);
}

/* ---- watch ---- */

static void a_watch_has_children_whose_memory_ends(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);

	instance_watch(i, STR(""), STR(""), bench_change, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_RETRY);
	assert_string_equal(b->text, "end of ticks");
	assert_int_equal(b->changes, 10);
	assert_string_equal(b->changed, "tick/1");
	bench_close(b, i, 0);
}

static bool changed(void *arg)
{
	return ((struct bench *)arg)->changes >= 3;
}

static void a_watch_ends_by_cancel_and_by_close(void **state)
{
	struct bench *b = *state;
	struct instance *i = probe(b);
	acme_op op = instance_watch(i, STR(""), STR("x"), bench_change,
	                            bench_answer, b);

	assert_true(loop_run_until(b->loop, changed, b, BENCH_PATIENCE));
	op_cancel(op);
	int seen = b->changes;
	quiet(b);
	assert_int_equal(b->changes, seen);
	assert_int_equal(b->answers, 0);
	instance_watch(i, STR(""), STR("x"), bench_change, bench_answer, b);
	bench_close(b, i, 10000); /* does not wait for watches */
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->code, ERR_CANCELED);
}

/* ---- http-01 ---- */

static void http_01_publishes_and_withdraws(void **state)
{
	struct bench *b = *state;
	struct published p = { 0 };
	struct instance_hooks hooks = { &p, publish };
	acme_challenge c = { .type = ACME_HTTP_01 };
	struct instance *i;
	struct err e;

	assert_int_equal(bench_open(b, "http-01", NULL, 0, hooks, &i, &e), 0);
	c.token = acme_text("tok");
	c.key_authorization = acme_text("tok.key");
	instance_present(i, &c, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_int_equal(p.shows, 1);
	assert_string_equal(p.name, "tok");
	assert_string_equal(p.value, "tok.key");
	instance_cleanup(i, &c, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_int_equal(p.withdraws, 1);
	p.fail = ERR_NOSPACE;
	instance_present(i, &c, 0, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_NOSPACE);
	assert_string_equal(b->text, "publish: segment is full");
	bench_close(b, i, 0);
}

#define TEST(NAME)                                                             \
	cmocka_unit_test_setup_teardown(NAME, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(done_within_the_call_is_answered_later),
		TEST(the_cookie_comes_back),
		TEST(services_call_back),
		TEST(a_job_may_log_and_allocate_and_nothing_else),
		TEST(a_second_done_is_refused),
		TEST(a_late_done_and_made_up_handles_hit_nothing),
		TEST(a_deadline_is_an_answer),
		TEST(what_is_cancelled_says_nothing_more),
		TEST(a_job_outlives_its_operation_safely),
		TEST(wrong_answers_become_faults),
		TEST(secrets_do_not_get_out),
		TEST(a_plugin_that_holds_the_loop_is_named),
		TEST(one_name_is_asked_one_at_a_time),
		TEST(a_type_that_it_cannot_do_is_declined),
		TEST(closing_waits_or_cuts_off),
		TEST(a_watch_has_children_whose_memory_ends),
		TEST(a_watch_ends_by_cancel_and_by_close),
		TEST(http_01_publishes_and_withdraws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
