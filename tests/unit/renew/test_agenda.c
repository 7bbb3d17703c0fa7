/* SPDX-License-Identifier: Apache-2.0 */
/* The agenda, by chance: whatever is set, moved and dropped, the earliest is
 * first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "renew/agenda.h"

enum { MANY = 300 };

/* A small generator of our own: the same run each time. */
static uint32_t chance_state;

static uint32_t chance(uint32_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 17;
	chance_state ^= chance_state << 5;
	return chance_state % below;
}

static void check(const struct agenda *a, struct appointment *all)
{
	const struct appointment *first = NULL;
	size_t in = 0;

	for (size_t i = 0; i < MANY; i++) {
		if (!all[i].place)
			continue;
		in++;
		assert_ptr_equal(a->heap[all[i].place], &all[i]);
		if (!first || all[i].at < first->at)
			first = &all[i];
	}
	assert_int_equal(a->count, in);
	if (first)
		assert_true(agenda_next(a)->at == first->at);
	else
		assert_null(agenda_next(a));
	for (size_t i = 2; i <= a->count; i++)
		assert_true(a->heap[i / 2]->at <= a->heap[i]->at);
}

static void the_earliest_is_first_whatever_happens(void **state)
{
	static struct appointment all[MANY];
	(void)state;

	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct agenda a = { 0 };
		chance_state = seed * 7919;
		for (int step = 0; step < 2000; step++) {
			struct appointment *p = &all[chance(MANY)];
			if (chance(3))
				agenda_set(&a, p, (int64_t)chance(50) - 10);
			else
				agenda_drop(&a, p);
			if (step % 16 == 0)
				check(&a, all);
		}
		check(&a, all);
		agenda_clear(&a);
		for (size_t i = 0; i < MANY; i++)
			assert_int_equal(all[i].place, 0);
	}
}

static void taking_one_after_another_sorts(void **state)
{
	static struct appointment all[MANY];
	struct agenda a = { 0 };
	int64_t last = INT64_MIN;
	(void)state;

	chance_state = 42;
	for (size_t i = 0; i < MANY; i++)
		agenda_set(&a, &all[i], (int64_t)chance(1000000) * 1000000007);
	for (size_t i = 0; i < MANY; i++) {
		struct appointment *p = agenda_next(&a);
		assert_true(p->at >= last);
		last = p->at;
		agenda_drop(&a, p);
		agenda_drop(&a, p);
	}
	assert_null(agenda_next(&a));
	agenda_clear(&a);
	agenda_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_is_first_whatever_happens),
		cmocka_unit_test(taking_one_after_another_sorts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
