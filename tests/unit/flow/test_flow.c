/* SPDX-License-Identifier: Apache-2.0 */
/* The driver, and the tables that it walks: each has ways in and out, and its
 * graph can be drawn. */
#include "fixture.h"

static const struct flow_table *const TABLES[] = { &ACCOUNT_FLOW, &ORDER_FLOW,
	                                           &AUTHORIZATION_FLOW,
	                                           &REVOCATION_FLOW };
enum { TABLE_COUNT = sizeof TABLES / sizeof *TABLES };

static void every_table_is_sound(void **state)
{
	struct err e = { 0 };
	(void)state;

	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (flow_check(TABLES[i], &e) < 0)
			fail_msg("%s", e.text);
}

static void every_state_is_found_by_its_name_and_drawn(void **state)
{
	struct buf out = BUF_INIT(64 << 10);
	(void)state;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct flow_table *t = TABLES[i];
		buf_reset(&out);
		flow_draw(t, &out);
		for (int s = 0; s < t->count; s++) {
			assert_int_equal(flow_state(t, t->steps[s].name), s);
			assert_non_null(strstr(out.ptr, t->steps[s].name));
		}
		assert_non_null(strstr(out.ptr, " --> [*]\n```\n"));
	}
	assert_int_equal(flow_state(&ORDER_FLOW, "nothing"), -1);
	assert_int_equal(flow_state(&ORDER_FLOW, ""), -1);
	buf_free(&out);
}

/* What a step may ask the network for is said by no step without a hear. */
static void every_state_but_the_end_has_a_limit_and_asks(void **state)
{
	(void)state;
	for (size_t i = 0; i < TABLE_COUNT; i++)
		for (int s = 0; s < TABLES[i]->count; s++)
			assert_int_equal(TABLES[i]->steps[s].ask == NULL,
			                 s == TABLES[i]->done);
}

static int never(struct flow *f, struct err *e)
{
	(void)f;
	return err_set(e, ERR_BROKEN, "never asked");
}

static void unsound_tables_are_refused(void **state)
{
	static const struct step no_way_in[] = {
		{ "a", never, NULL, NULL, FLOW_TO(2), FLOW_SHORT },
		{ "b", never, NULL, NULL, FLOW_TO(2), FLOW_SHORT },
		{ "c", NULL, NULL, NULL, 0, FLOW_SHORT },
	};
	static const struct step no_way_out[] = {
		{ "a", never, NULL, NULL, FLOW_TO(1) | FLOW_TO(2), FLOW_SHORT },
		{ "b", never, NULL, NULL, FLOW_TO(1), FLOW_SHORT },
		{ "c", NULL, NULL, NULL, 0, FLOW_SHORT },
	};
	static const struct step no_name[] = {
		{ "a", never, NULL, NULL, FLOW_TO(1), FLOW_SHORT },
		{ NULL, NULL, NULL, NULL, 0, FLOW_SHORT },
	};
	static const struct step no_ask[] = {
		{ "a", NULL, NULL, NULL, FLOW_TO(1), FLOW_SHORT },
		{ "b", NULL, NULL, NULL, 0, FLOW_SHORT },
	};
	static const struct flow_table tables[] = {
		{ .name = "t", .steps = no_way_in, .count = 3, .done = 2 },
		{ .name = "t", .steps = no_way_out, .count = 3, .done = 2 },
		{ .name = "t", .steps = no_name, .count = 2, .done = 1 },
		{ .name = "t", .steps = no_ask, .count = 2, .done = 1 },
	};
	static const char *const words[] = { "b: no way in", "b: no way out",
		                             "no name", "nothing to ask" };
	struct err e;
	(void)state;

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		assert_int_equal(flow_check(&tables[i], &e), -1);
		assert_non_null(strstr(e.text, words[i]));
	}
}

/* ---- a small flow ---- */

enum { ONE, TWO, END };

struct small {
	struct flow flow;
	struct flows *f;
	int asked[2], heard, fails, saves;
	bool wait, save_fails;
	struct err why;
};

static int ask_one(struct flow *f, struct err *e)
{
	struct small *s = f->self;

	s->asked[ONE]++;
	if (s->fails-- > 0) {
		*e = s->why;
		return e->code;
	}
	f->next = TWO;
	return s->wait ? FLOW_WAIT : FLOW_SKIP;
}

static int ask_two(struct flow *f, struct err *e)
{
	struct small *s = f->self;

	(void)e;
	s->asked[TWO]++;
	f->next = END;
	return FLOW_SKIP;
}

static void small_save(struct flow *f)
{
	struct small *s = f->self;
	struct err e;

	s->saves++;
	err_set(&e, ERR_NOSPACE, "disk full");
	flow_saved(f, s->save_fails ? e.code : 0, s->save_fails ? &e : NULL);
}

static void small_done(struct flow *f, int rc, const struct err *e)
{
	flows_ended(((struct small *)f->self)->f, rc, e);
}

static const struct step SMALL_STEPS[] = {
	[ONE] = { "one", ask_one, NULL, NULL, FLOW_TO(TWO), FLOW_SHORT },
	[TWO] = { "two", ask_two, NULL, NULL, FLOW_TO(END), FLOW_SHORT },
	[END] = { "end", NULL, NULL, NULL, 0, FLOW_SHORT },
};

static const struct flow_table SMALL = { .name = "small",
	                                 .steps = SMALL_STEPS,
	                                 .count = 3,
	                                 .done = END,
	                                 .save = small_save,
	                                 .done_fn = small_done };

static void start(struct small *s, struct flows *f)
{
	s->f = f;
	s->flow.self = s;
	s->flow.loop = f->d->b->loop;
	log_init(&s->flow.log, &f->d->log, "small", NULL);
	flow_start(&s->flow, &SMALL, ONE);
	assert_int_equal(s->asked[ONE], 0);
}

static void each_transition_is_logged_and_saved(void **state)
{
	struct flows *f = *state;
	struct small s = { 0 };

	start(&s, f);
	assert_int_equal(flows_wait(f), 0);
	assert_int_equal(s.saves, 2);
	assert_int_equal(s.asked[TWO], 1);
	flows_logged(f, "small one->two took=");
	flows_logged(f, "small two->end took=");
	flow_end(&s.flow);
	flow_end(&s.flow);
}

static void what_may_pass_is_tried_again(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 2 };

	err_set(&s.why, ERR_RETRY, "the network is down");
	start(&s, f);
	assert_int_equal(flows_wait(f), 0);
	assert_int_equal(s.asked[ONE], 3);
	assert_int_equal(flows_lines(f, "small retry state=one"), 2);
	flow_end(&s.flow);
}

static void words_of_a_ca_say_nothing_for_us(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 1 };

	err_set(&s.why, ERR_RETRY, "down\" took=0ms serial=\"1");
	start(&s, f);
	assert_int_equal(flows_wait(f), 0);
	flows_logged(f, "error=\"down\\\" took=0ms serial=\\\"1\"");
	flow_end(&s.flow);
}

static void what_will_not_pass_ends_the_flow_at_once(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 1 };

	err_set(&s.why, ERR_DENIED, "no");
	start(&s, f);
	flows_wait(f);
	flows_failed_with(f, ERR_DENIED, "one: no");
	assert_int_equal(s.asked[ONE], 1);
	flow_end(&s.flow);
}

static void a_step_has_an_end_however_often_it_may_be_tried(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 1000 };

	err_set(&s.why, ERR_RETRY, "down");
	start(&s, f);
	flows_turns(f, 20);
	flows_pushed = 40000;
	flows_wait(f);
	flows_failed_with(f, ERR_RETRY, "one: down");
	flow_end(&s.flow);
}

static void a_retry_time_beyond_the_limit_ends_the_step(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 1 };

	err_set(&s.why, ERR_RETRY, "maintenance");
	s.why.retry_at = now_wall() + 3600000;
	start(&s, f);
	flows_wait(f);
	flows_failed_with(f, ERR_RETRY, "maintenance");
	assert_true(f->e.retry_at == s.why.retry_at);
	flow_end(&s.flow);
}

static void a_save_that_fails_ends_the_flow(void **state)
{
	struct flows *f = *state;
	struct small s = { .save_fails = true };

	start(&s, f);
	flows_wait(f);
	flows_failed_with(f, ERR_NOSPACE, "disk full");
	assert_int_equal(s.asked[TWO], 0);
	flow_end(&s.flow);
}

static void a_flow_that_waits_goes_on_when_it_is_told(void **state)
{
	struct flows *f = *state;
	struct small s = { .wait = true };
	struct err e;

	start(&s, f);
	flows_turns(f, 10);
	assert_int_equal(f->ends, 0);
	err_set(&e, ERR_RETRY, "try again");
	flow_fail(&s.flow, &e);
	flows_turns(f, 400);
	assert_int_equal(s.asked[ONE], 2);
	flow_go_on(&s.flow, TWO);
	assert_int_equal(flows_wait(f), 0);
	flow_end(&s.flow);
}

static void a_flow_that_is_ended_says_nothing_more(void **state)
{
	struct flows *f = *state;
	struct small s = { .fails = 5 };

	err_set(&s.why, ERR_RETRY, "down");
	start(&s, f);
	flow_end(&s.flow);
	flows_turns(f, 5);
	assert_int_equal(s.asked[ONE], 0);
	start(&s, f);
	flows_turns(f, 5);
	flow_end(&s.flow); /* while it waits to try again */
	flows_turns(f, 5);
	assert_int_equal(f->ends, 0);
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_table_is_sound),
		cmocka_unit_test(every_state_is_found_by_its_name_and_drawn),
		cmocka_unit_test(every_state_but_the_end_has_a_limit_and_asks),
		cmocka_unit_test(unsound_tables_are_refused),
		T(each_transition_is_logged_and_saved),
		T(what_may_pass_is_tried_again),
		T(words_of_a_ca_say_nothing_for_us),
		T(what_will_not_pass_ends_the_flow_at_once),
		T(a_step_has_an_end_however_often_it_may_be_tried),
		T(a_retry_time_beyond_the_limit_ends_the_step),
		T(a_save_that_fails_ends_the_flow),
		T(a_flow_that_waits_goes_on_when_it_is_told),
		T(a_flow_that_is_ended_says_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
