/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/: one writer that publishes, rebuilds, wipes and punches without any
 * grace time, and readers that look all the while (the case that the grace
 * time makes rare is here the common one); and writers that are killed.
 */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/now.h"

enum { NAMES = 8, READERS = 3 };

struct race {
	const char *path;
	uint64_t acked[NAMES];      /* atomic: published up to this version */
	int stop;                   /* atomic */
	unsigned long looks, again; /* atomic */
	int failed;                 /* atomic: 1 + what was wrong */
};

static void name_of(unsigned i, char out[8])
{
	snprintf(out, 8, "n%u", i);
}

/* A look must give at least what was acknowledged before it, whole. */
static void look(struct race *race, const struct acme_segment *s, unsigned i)
{
	uint64_t least = __atomic_load_n(&race->acked[i], __ATOMIC_ACQUIRE);
	char name[8];

	name_of(i, name);
	int64_t got = serves(s, name);
	__atomic_add_fetch(&race->looks, 1, __ATOMIC_RELAXED);
	if (got == -1 - ACME_SEGMENT_AGAIN)
		__atomic_add_fetch(&race->again, 1, __ATOMIC_RELAXED);
	else if (got < 0)
		__atomic_store_n(&race->failed, (int)got, __ATOMIC_RELAXED);
	else if (got >= 0 && (uint64_t)got < least)
		__atomic_store_n(&race->failed, 1, __ATOMIC_RELAXED);
}

static void walk(const struct acme_segment *s)
{
	struct acme_segment_cursor c = { 0 };
	struct acme_segment_record r;
	unsigned char buf[4096];

	while (acme_segment_next(s, &c, buf, sizeof buf, &r) == ACME_SEGMENT_OK)
		;
}

static void *reader(void *arg)
{
	struct race *race = arg;
	struct acme_segment s;
	int fd = open(race->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || acme_segment_attach(&s, fd) != ACME_SEGMENT_OK) {
		race->failed = 3;
		return NULL;
	}
	for (unsigned i = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED);
	     i++) {
		look(race, &s, i % NAMES);
		if (i % 64 == 0)
			walk(&s);
	}
	acme_segment_detach(&s);
	close(fd);
	return NULL;
}

static void write_much(struct fixture *f, struct race *race, int64_t until)
{
	char name[8];

	for (unsigned i = 0; now_mono() < until; i++) {
		uint64_t version = i / NAMES + 1;

		name_of(i % NAMES, name);
		fixture_must(f, put(f->seg, name, version, &f->e));
		__atomic_store_n(&race->acked[i % NAMES], version,
				 __ATOMIC_RELEASE);
		fixture_must(f, segment_put_token(f->seg, str_of(name),
						  STR("x"), &f->e));
		fixture_must(f,
			     segment_remove_token(f->seg, str_of(name), &f->e));
		if (i % 50 == 0) {
			fixture_must(f, segment_begin_rebuild(f->seg, &f->e));
			fixture_must(
			    f, segment_end_rebuild(f->seg, NULL, NULL, &f->e));
		}
		fixture_must(f, segment_collect(f->seg, now_mono(), &f->e));
	}
}

static void readers_see_whole_and_recent_certificates(void **state)
{
	struct fixture *f = *state;
	struct race race = { .path = f->path };
	pthread_t thread[READERS];

	fixture_open(f, 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(
		    pthread_create(&thread[i], NULL, reader, &race), 0);
	write_much(f, &race, now_mono() + 1500);
	__atomic_store_n(&race.stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	print_message("# %lu looks, %lu again, version %llu\n", race.looks,
		      race.again, (unsigned long long)race.acked[0]);
	assert_int_equal(race.failed, 0);
	assert_true(race.looks > 100);
	assert_true(race.again * 20 < race.looks);
}

/* ---- killed writers -------------------------------------------------------
 */

static void writer_process(struct fixture *f, struct race *race, unsigned turn)
{
	struct segment_opts o = SEGMENT_OPTS;
	struct segment *s;
	char name[8];

	o.grace_ms = 0;
	while (segment_open(f->path, &o, &s, &f->e) < 0)
		if (f->e.code != ERR_CONFLICT)
			_exit(1);
	for (unsigned i = 0;; i++) {
		uint64_t version = turn * 1000000u + i / NAMES + 1;

		name_of(i % NAMES, name);
		if (put(s, name, version, &f->e) < 0)
			_exit(2);
		__atomic_store_n(&race->acked[i % NAMES], version,
				 __ATOMIC_RELEASE);
		if (i % 23 == 22 &&
		    (segment_begin_rebuild(s, &f->e) < 0 ||
		     segment_end_rebuild(s, NULL, NULL, &f->e) < 0))
			_exit(3);
		if (segment_collect(s, now_mono(), &f->e) < 0)
			_exit(4);
	}
}

static void a_killed_writer_takes_nothing_with_it(void **state)
{
	struct fixture *f = *state;
	struct race *race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct acme_segment s;
	unsigned turn;
	int status;

	fixture_open(f, 0);
	segment_close(f->seg);
	f->seg = NULL;
	for (turn = 1; turn <= 40; turn++) {
		fflush(NULL);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			writer_process(f, race, turn);
		usleep(3000 + turn * 411);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(fresh_reader(&s, f->path), ACME_SEGMENT_OK);
		for (unsigned i = 0; i < NAMES; i++)
			look(race, &s, i);
		end_reader(&s);
		assert_int_equal(race->failed, 0);
		assert_int_equal(race->again, 0);
	}
	assert_true(race->acked[0] > 1000000);
	munmap(race, sizeof *race);
}

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(readers_see_whole_and_recent_certificates),
		T(a_killed_writer_takes_nothing_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
