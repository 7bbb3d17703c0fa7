/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/: whatever a writer does between any two reads of one look-up.
 *
 * The reader's pread is replaced, so that a whole action of the writer happens
 * before the n-th read; for every n and every action, with no grace time at
 * all, the look-up must give a whole certificate that is at least as new as
 * the one published before it began.
 */
#include <unistd.h>

static ssize_t read_at(int fd, void *buf, size_t len, off_t at);
#define pread read_at

#include "fixture.h"

#undef pread

static struct fixture *fix;
static void (*action)(void);
static int reads, act_at;

static ssize_t read_at(int fd, void *buf, size_t len, off_t at)
{
	if (++reads == act_at && action) {
		void (*now)(void) = action;
		action = NULL;
		now();
	}
	return pread(fd, buf, len, at);
}

static uint64_t version;

static void nothing(void)
{
}

static void collect(void)
{
	static int64_t now;

	fixture_must(fix, segment_collect(fix->seg, ++now, &fix->e));
}

static void replace(void)
{
	fixture_must(fix, put(fix->seg, "a", ++version, &fix->e));
}

static void replace_and_wipe(void)
{
	replace();
	collect();
}

static void rebuild_and_wipe(void)
{
	fixture_must(fix, segment_begin_rebuild(fix->seg, &fix->e));
	fixture_must(fix, segment_end_rebuild(fix->seg, NULL, NULL, &fix->e));
	collect();
}

/* The second space lies where the first was: root is what it used to be. */
static void rebuild_twice(void)
{
	uint32_t root = segment_reader(fix->seg)->header->root;

	rebuild_and_wipe();
	replace();
	rebuild_and_wipe();
	replace();
	if (segment_reader(fix->seg)->header->root != root)
		fail_msg("the case that is to be tested does not occur");
}

static void replace_in_a_rebuild(void)
{
	fixture_must(fix, segment_begin_rebuild(fix->seg, &fix->e));
	replace();
	fixture_must(fix, segment_end_rebuild(fix->seg, NULL, NULL, &fix->e));
	collect();
}

static void grow(void)
{
	static unsigned n;
	char name[16];

	for (unsigned i = 0; i < 160; i++) {
		snprintf(name, sizeof name, "g%u", n++);
		fixture_must(fix, put(fix->seg, name, 1, &fix->e));
	}
	collect();
}

static void end_and_start_the_writer(void)
{
	segment_close(fix->seg);
	fixture_open(fix, 0);
	replace_and_wipe();
}

/* "a", "b" and a few more stand in the first space of a new file. */
static void prepare(struct acme_segment *s)
{
	char name[16];

	segment_close(fix->seg);
	unlink(fix->path);
	fixture_open(fix, 0);
	version = 1;
	fixture_must(fix, put(fix->seg, "b", 1, &fix->e));
	fixture_must(fix, put(fix->seg, "a", 1, &fix->e));
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "c%u", i);
		fixture_must(fix, put(fix->seg, name, 1, &fix->e));
	}
	collect();
	assert_int_equal(fresh_reader(s, fix->path), ACME_SEGMENT_OK);
}

static void (*const actions[])(void) = {
	nothing,
	replace,
	rebuild_twice,
	replace_and_wipe,
	grow,
	replace_in_a_rebuild,
	rebuild_and_wipe,
	end_and_start_the_writer,
};

/* Runs `look` with each action before each of its reads. */
static void sweep(void **state, void (*look)(const struct acme_segment *, int))
{
	struct acme_segment s;

	fix = *state;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		int at = 1, acted;
		do {
			prepare(&s);
			reads = 0;
			act_at = at;
			action = actions[i];
			look(&s, (int)i);
			acted = action == NULL;
			action = NULL;
			end_reader(&s);
			at++;
		} while (acted);
		assert_true(at > 4);
	}
}

static void look_for_a(const struct acme_segment *s, int which)
{
	int64_t got = serves(s, "a");

	if (got < 1 || (uint64_t)got > version)
		fail_msg("action %d before read %d: %lld", which, act_at,
			 (long long)got);
	if (strcmp(leads(s, "x.a.test"), "a") != 0)
		fail_msg("action %d before read %d: no name", which, act_at);
}

static void a_look_up_is_right_whatever_happens_meanwhile(void **state)
{
	sweep(state, look_for_a);
}

static void look_for_none(const struct acme_segment *s, int which)
{
	(void)which;
	assert_int_equal(serves(s, "none"), 0);
	assert_string_equal(leads(s, "none.test"), "");
	assert_string_equal(leads(s, "www.a.test"), "a");
}

static void what_is_absent_stays_absent(void **state)
{
	sweep(state, look_for_none);
}

/* A walk either ends having seen all, or says that it must start anew. */
static void walk(const struct acme_segment *s, int which)
{
	struct acme_segment_cursor c = { 0 };
	struct acme_segment_record r;
	enum acme_segment_result rc;
	unsigned char buf[4096];
	int certs = 0, turns = 0;

	while ((rc = acme_segment_next(s, &c, buf, sizeof buf, &r)) !=
	       ACME_SEGMENT_ABSENT) {
		if (rc == ACME_SEGMENT_AGAIN && turns++ < 3) {
			memset(&c, 0, sizeof c);
			certs = 0;
			continue;
		}
		if (rc != ACME_SEGMENT_OK)
			fail_msg("action %d before read %d: %s", which, act_at,
				 acme_segment_result_text(rc));
		certs += r.kind == ACME_SEGMENT_CERT;
	}
	if (certs < 22)
		fail_msg("action %d before read %d: %d", which, act_at, certs);
}

static void a_walk_sees_all_or_starts_anew(void **state)
{
	sweep(state, walk);
}

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_look_up_is_right_whatever_happens_meanwhile),
		T(what_is_absent_stays_absent),
		T(a_walk_sees_all_or_starts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
