/* SPDX-License-Identifier: Apache-2.0 */
/* loop/: turns, calls later, posting, pool work, signals, descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/now.h"
#include "loop/after.h"
#include "loop/fdwatch.h"
#include "loop/loop.h"
#include "loop/work.h"

static struct loop *loop;

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	return 0;
}

/* Every test proves that it left nothing on the loop. */
static int teardown(void **state)
{
	(void)state;
	return loop_free(loop);
}

static void nap(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	nanosleep(&t, NULL);
}

static void count(void *arg)
{
	++*(int *)arg;
}

static bool is_set(void *arg)
{
	return *(int *)arg > 0;
}

static void an_empty_loop_ends(void **state)
{
	(void)state;
	loop_run(loop);
	assert_int_equal(loop_live(loop), 0);
}

static void after_never_fires_within_the_call(void **state)
{
	int n = 0;
	(void)state;

	after_start(loop, 0, count, &n);
	after_start(loop, -5, count, &n);
	assert_int_equal(n, 0);
	assert_int_equal(loop_live(loop), 2);
	loop_run(loop);
	assert_int_equal(n, 2);
	assert_int_equal(loop_live(loop), 0);
}

static char order[16];

static void note_a(void *arg)
{
	(void)arg;
	order[strlen(order)] = 'a';
}

static void note_b(void *arg)
{
	(void)arg;
	order[strlen(order)] = 'b';
}

static void afters_come_in_the_order_of_time(void **state)
{
	(void)state;
	memset(order, 0, sizeof order);
	int64_t began = now_mono();
	after_start(loop, 30, note_b, NULL);
	after_start(loop, 10, note_a, NULL);
	loop_run(loop);
	assert_string_equal(order, "ab");
	assert_true(now_mono() - began >= 29);
}

static void after_canceled_does_not_fire(void **state)
{
	int n = 0;
	struct after *a = after_start(loop, 1, count, &n), *none = NULL;
	(void)state;

	after_cancel(&a);
	assert_null(a);
	after_cancel(&a);
	after_cancel(&none);
	nap(5);
	loop_run(loop);
	assert_int_equal(n, 0);
}

static struct after *victim;

static void kill_victim(void *arg)
{
	(void)arg;
	after_cancel(&victim);
}

static void after_may_be_canceled_when_it_is_due(void **state)
{
	int n = 0;
	(void)state;

	after_start(loop, 1, kill_victim, NULL);
	victim = after_start(loop, 1, count, &n);
	nap(5);
	loop_run(loop);
	assert_int_equal(n, 0);
}

static void hold_and_start(void *arg)
{
	nap(40); /* the loop's clock is now behind */
	*(int64_t *)arg = now_mono();
	after_start(loop, 20, note_a, NULL);
}

static void after_counts_from_now_and_not_from_the_turn(void **state)
{
	int64_t began = 0;
	(void)state;

	after_start(loop, 0, hold_and_start, &began);
	loop_run(loop);
	assert_true(now_mono() - began >= 19);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void stop_leaves_the_rest(void **state)
{
	int n = 0;
	struct after *late = after_start(loop, 60000, count, &n);
	(void)state;

	after_start(loop, 1, stop, NULL);
	loop_run(loop);
	assert_int_equal(n, 0);
	loop_stop(loop); /* before it runs counts as well */
	loop_run(loop);
	after_cancel(&late);
}

static void free_counts_what_was_left(void **state)
{
	int n = 0;
	struct after *late = after_start(loop, 60000, count, &n);
	(void)state;

	assert_int_equal(loop_free(loop), 1);
	after_cancel(&late);
}

/* --- posting ------------------------------------------------------------ */

static void post_again(void *arg)
{
	if (++*(int *)arg < 3)
		loop_post(loop, post_again, arg);
}

static void posts_run_even_if_nothing_else_lives(void **state)
{
	int n = 0;
	(void)state;

	loop_post(loop, post_again, &n);
	assert_int_equal(n, 0);
	loop_run(loop);
	assert_int_equal(n, 3);
}

enum { THREADS = 8, POSTS = 2000 };

struct poster {
	pthread_t thread;
	int last, wrong;
};

struct message {
	struct poster *from;
	int number;
};

static int arrived;

static void on_message(void *arg)
{
	struct message *m = arg;

	if (m->number != m->from->last + 1)
		m->from->wrong++;
	m->from->last = m->number;
	arrived++;
	free(m);
}

static void *post_many(void *arg)
{
	for (int i = 1; i <= POSTS; i++) {
		struct message *m = malloc(sizeof *m);
		*m = (struct message){ .from = arg, .number = i };
		loop_post(loop, on_message, m);
	}
	return NULL;
}

static bool all_arrived(void *arg)
{
	(void)arg;
	return arrived == THREADS * POSTS;
}

static void posts_of_many_threads_arrive_in_their_order(void **state)
{
	struct poster posters[THREADS] = { { .last = 0 } };
	(void)state;

	arrived = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&posters[i].thread, NULL, post_many, &posters[i]);
	assert_true(loop_run_until(loop, all_arrived, NULL, 30000));
	for (int i = 0; i < THREADS; i++) {
		pthread_join(posters[i].thread, NULL);
		assert_int_equal(posters[i].wrong, 0);
	}
}

/* --- work --------------------------------------------------------------- */

struct job {
	pthread_t thread;
	int done, then, drop, posted;
	int sleep_ms;
};

static void job_posted(void *arg)
{
	struct job *j = arg;
	j->posted++;
}

static void run_job(void *arg)
{
	struct job *j = arg;

	nap(j->sleep_ms);
	j->thread = pthread_self();
	loop_post(loop, job_posted, j);
	j->done++;
}

static void job_then(void *arg)
{
	struct job *j = arg;
	j->then++;
}

static void job_drop(void *arg)
{
	struct job *j = arg;
	j->drop++;
}

static void work_runs_elsewhere_and_then_here(void **state)
{
	struct job j = { .sleep_ms = 5 };
	(void)state;

	work_start(loop, run_job, job_then, job_drop, &j);
	loop_run(loop);
	assert_int_equal(j.done, 1);
	assert_int_equal(j.then, 1);
	assert_int_equal(j.drop, 0);
	assert_int_equal(j.posted, 1);
	assert_false(pthread_equal(j.thread, pthread_self()));
}

static void work_canceled_while_it_runs_is_dropped_after_it(void **state)
{
	struct job j = { .sleep_ms = 30 };
	struct work *w = work_start(loop, run_job, job_then, job_drop, &j);
	(void)state;

	nap(10);
	work_cancel(&w);
	work_cancel(&w);
	assert_null(w);
	assert_int_equal(j.drop, 0);
	assert_int_equal(loop_live(loop), 1);
	loop_run(loop);
	assert_int_equal(j.done, 1);
	assert_int_equal(j.then, 0);
	assert_int_equal(j.drop, 1);
}

static void work_canceled_in_the_queue_never_begins(void **state)
{
	struct job jobs[64];
	struct work *work[64];
	int done = 0;
	(void)state;

	memset(jobs, 0, sizeof jobs);
	for (int i = 0; i < 64; i++) {
		jobs[i].sleep_ms = 5;
		work[i] = work_start(loop, run_job, job_then, job_drop,
		                     &jobs[i]);
	}
	for (int i = 0; i < 64; i++)
		work_cancel(&work[i]);
	loop_run(loop);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(jobs[i].then, 0);
		assert_int_equal(jobs[i].drop, 1);
		done += jobs[i].done;
	}
	assert_true(done < 64);
}

/* --- signals, slow callbacks -------------------------------------------- */

static void a_signal_calls_back_and_can_be_taken_back(void **state)
{
	int usr1 = 0, usr2 = 0;
	(void)state;

	loop_signal(loop, SIGUSR1, count, &usr1);
	loop_signal(loop, SIGUSR2, count, &usr2);
	raise(SIGUSR1);
	assert_true(loop_run_until(loop, is_set, &usr1, 2000));
	assert_int_equal(usr2, 0);
	loop_signal(loop, SIGUSR1, NULL, NULL);
	loop_signal(loop, SIGUSR2, NULL, NULL);
	loop_signal(loop, SIGUSR1, count, &usr2);
	raise(SIGUSR1);
	assert_true(loop_run_until(loop, is_set, &usr2, 2000));
	loop_run(loop); /* signals do not keep it */
}

static int64_t slow_took;
static const char *slow_what;

static void on_slow(void *arg, const char *what, int64_t took)
{
	(void)arg;
	slow_took = took;
	slow_what = what;
}

static void hold(void *arg)
{
	nap(*(int *)arg);
}

static void a_callback_that_holds_the_loop_is_reported(void **state)
{
	int quick = 1, slow = 40;
	(void)state;

	slow_what = NULL;
	loop_on_slow(loop, 20, on_slow, NULL);
	after_start(loop, 0, hold, &quick);
	loop_run(loop);
	assert_null(slow_what);
	after_start(loop, 0, hold, &slow);
	loop_run(loop);
	assert_string_equal(slow_what, "after");
	assert_true(slow_took >= 39);
}

/* --- descriptors -------------------------------------------------------- */

struct reader {
	struct fdwatch *watch;
	int calls, fd;
	unsigned events;
	char last;
};

static void on_readable(void *arg, int fd, unsigned events)
{
	struct reader *r = arg;

	r->calls++;
	r->fd = fd;
	r->events = events;
	if (read(fd, &r->last, 1) <= 0)
		fdwatch_cancel(&r->watch);
}

static void a_descriptor_calls_back_until_its_end(void **state)
{
	struct reader r = { .calls = 0 };
	struct fdwatch *second = NULL;
	struct err e;
	int p[2];
	(void)state;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(fdwatch_start(loop, p[0], FDWATCH_READ, on_readable,
	                               &r, &r.watch, &e), 0);
	assert_int_equal(fdwatch_start(loop, p[0], FDWATCH_READ, on_readable,
	                               &r, &second, &e), ERR_CONFLICT);
	loop_run_once(loop, 0);
	assert_int_equal(r.calls, 0);
	assert_int_equal(write(p[1], "xy", 2), 2);
	close(p[1]);
	loop_run(loop);
	assert_int_equal(r.calls, 3); /* x, y, end */
	assert_int_equal(r.events, FDWATCH_READ);
	assert_int_equal(r.last, 'y');
	assert_null(r.watch);
	close(p[0]);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	struct fdwatch *w = NULL;
	struct err e;
	char path[] = "/tmp/acme-loop-XXXXXX";
	int fd = mkstemp(path);
	(void)state;

	unlink(path);
	assert_int_equal(fdwatch_start(loop, fd, FDWATCH_READ, on_readable,
	                               NULL, &w, &e), ERR_INVALID);
	assert_int_equal(fdwatch_start(loop, -1, FDWATCH_READ, on_readable,
	                               NULL, &w, &e), ERR_INVALID);
	assert_null(w);
	fdwatch_cancel(&w);
	close(fd);
}

static void on_writable(void *arg, int fd, unsigned events)
{
	struct reader *r = arg;

	r->events |= events;
	if (++r->calls == 3) { /* again and again, also after an error */
		fdwatch_cancel(&r->watch);
		close(fd);
	}
}

static void an_error_is_readiness_and_does_not_end_the_watch(void **state)
{
	struct reader r = { .calls = 0 };
	struct err e;
	int p[2];
	(void)state;

	assert_int_equal(pipe(p), 0);
	close(p[0]); /* nobody will ever read */
	assert_int_equal(fdwatch_start(loop, p[1], FDWATCH_WRITE, on_writable,
	                               &r, &r.watch, &e), 0);
	loop_run(loop);
	assert_int_equal(r.calls, 3);
	assert_int_equal(r.events, FDWATCH_WRITE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_loop_ends),
		TEST(after_never_fires_within_the_call),
		TEST(afters_come_in_the_order_of_time),
		TEST(after_canceled_does_not_fire),
		TEST(after_may_be_canceled_when_it_is_due),
		TEST(after_counts_from_now_and_not_from_the_turn),
		TEST(stop_leaves_the_rest),
		TEST(free_counts_what_was_left),
		TEST(posts_run_even_if_nothing_else_lives),
		TEST(posts_of_many_threads_arrive_in_their_order),
		TEST(work_runs_elsewhere_and_then_here),
		TEST(work_canceled_while_it_runs_is_dropped_after_it),
		TEST(work_canceled_in_the_queue_never_begins),
		TEST(a_signal_calls_back_and_can_be_taken_back),
		TEST(a_callback_that_holds_the_loop_is_reported),
		TEST(a_descriptor_calls_back_until_its_end),
		TEST(what_cannot_be_watched_is_refused),
		TEST(an_error_is_readiness_and_does_not_end_the_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
