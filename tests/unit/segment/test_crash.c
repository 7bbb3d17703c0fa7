/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/: the writer is ended at each step in turn.
 *
 * The sources are included with SEGMENT_STEP defined, so every store, write,
 * allocation and sync of a scenario is counted; a child process runs the
 * scenario and ends with _exit before the n-th, for every n. After each end a
 * reader that starts then must find all that was acknowledged before, and so
 * must the next writer, which publishes, collects and leaves nothing behind.
 */
static void step(void);
#define SEGMENT_STEP() step()

#include "../../../core/segment/batch.c"
#include "../../../core/segment/open.c"
#include "../../../core/segment/rebuild.c"
#include "../../../core/segment/room.c"
#include "../../../core/segment/segment.c"
#include "../../../core/segment/space.c"

#include "fixture.h"

#include <sys/wait.h>

static long steps, stop_at;

static void step(void)
{
	if (++steps == stop_at)
		_exit(42);
}

/* What a reader must find afterwards: at least these versions. */
struct progress {
	uint64_t a, b, c; /* acknowledged; 0: need not be there */
	int token;
};

static struct progress *shared; /* written by the child after each success */

/* Every kind of publication, one after another. */
static void scenario(struct segment *s, struct fixture *f)
{
	struct progress *p = shared;

	fixture_must(f, put(s, "a", 2, &f->e));
	p->a = 2;
	fixture_must(f, put(s, "b", 1, &f->e));
	p->b = 1;
	fixture_must(f, segment_put_token(s, STR("t"), STR("t.k"), &f->e));
	p->token = 1;
	fixture_must(f, segment_begin_rebuild(s, &f->e));
	fixture_must(f, put(s, "a", 3, &f->e));
	fixture_must(f, segment_end_rebuild(s, NULL, NULL, &f->e));
	p->a = 3;
	p->b = 0;
	fixture_must(f, segment_remove_cert(s, STR("b"), &f->e));
	fixture_must(f, segment_collect(s, 1, &f->e));
	fixture_must(f, put(s, "c", 1, &f->e));
	p->c = 1;
	p->token = 0;
	fixture_must(f, segment_remove_token(s, STR("t"), &f->e));
	fixture_must(f, segment_grow(s, &s->active, 1, &f->e));
	fixture_must(f, segment_collect(s, 2, &f->e));
	fixture_must(f, put(s, "a", 4, &f->e));
	p->a = 4;
}

static void check(const struct acme_segment *s, long at)
{
	int64_t a = serves(s, "a"), b = serves(s, "b"), c = serves(s, "c");
	unsigned char buf[256];
	struct acme_segment_record r;
	enum acme_segment_result token = acme_segment_find(
	    s, ACME_SEGMENT_TOKEN, "t", 1, buf, sizeof buf, &r);

	if (a < (int64_t)shared->a || b < (int64_t)shared->b ||
	    c < (int64_t)shared->c || b < 0 || c < 0 ||
	    (shared->token && token != ACME_SEGMENT_OK))
		fail_msg("step %ld: a=%lld b=%lld c=%lld token=%s", at,
			 (long long)a, (long long)b, (long long)c,
			 acme_segment_result_text(token));
	if (shared->a)
		assert_string_equal(leads(s, "w.a.test"), "a");
}

/* In a child: prepares (unless it is to be ended while opening) and runs. */
static void child(struct fixture *f, long at, int durable, int from_nothing)
{
	struct segment_opts o = SEGMENT_OPTS;

	o.grace_ms = 0;
	o.flags = durable ? SEGMENT_DURABLE : 0;
	steps = 0;
	stop_at = from_nothing ? at : 0;
	if (segment_open(f->path, &o, &f->seg, &f->e) < 0)
		_exit(1);
	if (!from_nothing) {
		if (put(f->seg, "a", 1, &f->e) < 0)
			_exit(1);
		shared->a = 1;
		steps = 0;
		stop_at = at;
		scenario(f->seg, f);
	}
	_exit(0);
}

static int run_child(struct fixture *f, long at, int durable, int from_nothing)
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof *shared);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(f, at, durable, from_nothing);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The next writer: all is there, new things can be published, old keys go. */
static void next_writer(struct fixture *f, long at)
{
	char key[32];

	fixture_open(f, 0);
	check(segment_reader(f->seg), at);
	fixture_must(f, put(f->seg, "a", 9, &f->e));
	fixture_must(f, segment_collect(f->seg, 10, &f->e));
	fixture_must(f, segment_collect(f->seg, 20, &f->e));
	assert_int_equal(serves(segment_reader(f->seg), "a"), 9);
	for (int v = 1; v < 9; v++) {
		snprintf(key, sizeof key, "key a %d;", v);
		if (file_holds(f->path, key))
			fail_msg("step %ld: %s is left", at, key);
	}
	segment_close(f->seg);
	f->seg = NULL;
}

static void sweep(struct fixture *f, int durable)
{
	struct acme_segment r;
	long at = 1;
	int rc;

	do {
		unlink(f->path);
		rc = run_child(f, at, durable, 0);
		assert_true(rc == 42 || rc == 0);
		assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_OK);
		check(&r, at);
		end_reader(&r);
		next_writer(f, at);
		at++;
	} while (rc == 42);
	print_message("# %ld steps\n", at - 2);
	assert_true(at > 60);
}

static void an_end_at_any_step_loses_nothing(void **state)
{
	sweep(*state, 0);
}

static void nor_does_one_in_durable_mode(void **state)
{
	sweep(*state, 1);
}

static void an_end_while_the_file_is_made_leaves_one_that_can_be(void **state)
{
	struct fixture *f = *state;
	struct acme_segment r;
	long at = 1;
	int rc;

	do {
		unlink(f->path);
		rc = run_child(f, at++, 0, 1);
		assert_true(rc == 42 || rc == 0);
		int attached = fresh_reader(&r, f->path);
		if (attached == ACME_SEGMENT_OK)
			end_reader(&r);
		else
			assert_int_equal(attached, ACME_SEGMENT_NOT_READY);
		next_writer(f, at);
	} while (rc == 42);
	assert_true(at > 9);
}

static int share(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : 0;
}

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_end_at_any_step_loses_nothing),
		T(nor_does_one_in_durable_mode),
		T(an_end_while_the_file_is_made_leaves_one_that_can_be),
	};

	return cmocka_run_group_tests(tests, share, NULL);
}
