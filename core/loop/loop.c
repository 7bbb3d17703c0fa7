/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop itself: libuv's, plus three things that it lacks.
 *
 * Posting. libuv's async handle merges wake-ups, so functions posted by other
 * threads wait in a queue of ours. The async handle is not counted as alive
 * (else no loop would ever end); loop_run looks at the queue when libuv says
 * that nothing is left.
 *
 * Counting. Every operation and resource is counted while it lives, by whoever
 * starts it. libuv's own handles would not do: one HTTP call has several or
 * none, and a closed one lingers for a turn.
 *
 * Watching. Every callback is timed, because one that blocks holds up all
 * certificates. The cost is two reads of the clock.
 */
#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/turn.h"

enum { SIGNALS = 8 };

struct post {
	struct post *next;
	loop_fn *fn;
	void *arg;
};

struct signal_slot {
	uv_signal_t uv;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t guard; /* bounds a single turn */
	struct signal_slot signals[SIGNALS];
	size_t signal_count;
	int live;
	bool stopped;

	loop_slow_fn *slow_fn;
	void *slow_arg;
	uint64_t slow_ns;

	pthread_mutex_t lock; /* of the queue below */
	struct post *posts, **last;
};

void turn_must(int rc, const char *doing)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "fatal: event loop: %s: %s\n", doing, uv_strerror(rc));
	abort();
}

uv_loop_t *turn_uv(struct loop *loop)
{
	return &loop->uv;
}

void turn_hold(struct loop *loop)
{
	loop->live++;
}

void turn_release(struct loop *loop)
{
	loop->live--;
}

uint64_t turn_begin(void)
{
	return uv_hrtime();
}

void turn_end(struct loop *loop, const char *what, uint64_t began)
{
	uint64_t took = uv_hrtime() - began;

	if (loop->slow_fn && took >= loop->slow_ns)
		loop->slow_fn(loop->slow_arg, what, (int64_t)(took / 1000000));
}

void loop_on_slow(struct loop *loop, int64_t ms, loop_slow_fn *fn, void *arg)
{
	loop->slow_fn = fn;
	loop->slow_arg = arg;
	loop->slow_ns = ms > 0 ? (uint64_t)ms * 1000000 : 0;
}

int loop_live(const struct loop *loop)
{
	return loop->live;
}

/* --- posting ------------------------------------------------------------ */

static struct post *take_posts(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct post *list = loop->posts;
	loop->posts = NULL;
	loop->last = &loop->posts;
	pthread_mutex_unlock(&loop->lock);
	return list;
}

/* What is posted meanwhile waits for the next turn. */
static bool run_posts(struct loop *loop)
{
	struct post *list = take_posts(loop), *next;
	bool some = list != NULL;

	for (; list; list = next) {
		next = list->next;
		uint64_t began = turn_begin();
		list->fn(list->arg);
		turn_end(loop, "post", began);
		free(list);
	}
	return some;
}

static void on_wake(uv_async_t *wake)
{
	run_posts(wake->data);
}

void loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
	struct post *post = mem_alloc(sizeof *post);

	*post = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	*loop->last = post;
	loop->last = &post->next;
	/* Within the lock: whoever sees the post run may free the loop. */
	uv_async_send(&loop->wake);
	pthread_mutex_unlock(&loop->lock);
}

/* --- signals ------------------------------------------------------------ */

static void on_signal(uv_signal_t *uv, int signum)
{
	struct signal_slot *slot = uv->data;
	(void)signum;

	if (!slot->fn)
		return;
	uint64_t began = turn_begin();
	slot->fn(slot->arg);
	turn_end(slot->loop, "signal", began);
}

static struct signal_slot *find_signal(struct loop *loop, int signum)
{
	for (size_t i = 0; i < loop->signal_count; i++)
		if (loop->signals[i].uv.signum == signum)
			return &loop->signals[i];
	return NULL;
}

static struct signal_slot *new_signal(struct loop *loop)
{
	struct signal_slot *slot = find_signal(loop, 0); /* stopped */

	if (slot)
		return slot;
	turn_must(loop->signal_count < SIGNALS ? 0 : UV_ENOMEM, "signals");
	slot = &loop->signals[loop->signal_count++];
	slot->loop = loop;
	turn_must(uv_signal_init(&loop->uv, &slot->uv), "signal");
	slot->uv.data = slot;
	uv_unref((uv_handle_t *)&slot->uv);
	return slot;
}

void loop_signal(struct loop *loop, int signum, loop_fn *fn, void *arg)
{
	struct signal_slot *slot = find_signal(loop, signum);

	if (!fn) {
		if (slot)
			uv_signal_stop(&slot->uv);
		return;
	}
	if (!slot) {
		slot = new_signal(loop);
		turn_must(uv_signal_start(&slot->uv, on_signal, signum),
		          "signal");
	}
	slot->fn = fn;
	slot->arg = arg;
}

/* --- running ------------------------------------------------------------ */

static void on_guard(uv_timer_t *guard)
{
	(void)guard; /* it has woken the loop up; that was all */
}

struct loop *loop_new(void)
{
	struct loop *loop = mem_alloc(sizeof *loop);

	signal(SIGPIPE, SIG_IGN);
	loop->last = &loop->posts;
	pthread_mutex_init(&loop->lock, NULL);
	turn_must(uv_loop_init(&loop->uv), "new");
	turn_must(uv_async_init(&loop->uv, &loop->wake, on_wake), "async");
	loop->wake.data = loop;
	uv_unref((uv_handle_t *)&loop->wake);
	turn_must(uv_timer_init(&loop->uv, &loop->guard), "timer");
	return loop;
}

static void free_posts(struct loop *loop)
{
	struct post *list = take_posts(loop), *next;

	for (; list; list = next) {
		next = list->next;
		free(list);
	}
}

int loop_free(struct loop *loop)
{
	if (!loop)
		return 0;
	/* Handles that are closing need a turn to let go of their memory. */
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	int left = loop->live;
	for (struct post *p = loop->posts; p; p = p->next)
		left++;
	if (left)
		return left;
	for (size_t i = 0; i < loop->signal_count; i++)
		uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
	uv_close((uv_handle_t *)&loop->guard, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	turn_must(uv_loop_close(&loop->uv), "close");
	free_posts(loop);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return 0;
}

void loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		if (loop->stopped || !run_posts(loop))
			break;
	}
	loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
	uv_stop(&loop->uv);
}

/* The guard repeats: one that is due before libuv polls would not end the poll
 * that follows. */
void loop_run_once(struct loop *loop, int64_t ms)
{
	if (ms <= 0) {
		uv_run(&loop->uv, UV_RUN_NOWAIT);
		return;
	}
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->guard, on_guard, (uint64_t)ms, (uint64_t)ms);
	uv_run(&loop->uv, UV_RUN_ONCE);
	uv_timer_stop(&loop->guard);
}

bool loop_run_until(struct loop *loop, bool (*pred)(void *arg), void *arg,
                    int64_t ms)
{
	uint64_t end = uv_hrtime() / 1000000 + (uint64_t)(ms > 0 ? ms : 0);

	while (!pred(arg)) {
		uint64_t now = uv_hrtime() / 1000000;
		if (now >= end)
			return false;
		loop_run_once(loop, (int64_t)(end - now));
	}
	return true;
}

void loop_pool_end(void)
{
	uv_library_shutdown();
}
