/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The event loop: one thread runs everything, and nothing on it may block.
 *
 * Two kinds of thing live on a loop: what was started and ends by itself
 * (after, work, http_call), and what stays until it is closed (fdwatch,
 * stream_listener, http_client). For all of them:
 *
 * 1. A callback never runs within the call that starts its operation.
 * 2. When a one-shot callback runs, its handle is already gone: forget the
 *    pointer there.
 * 3. `x_cancel(&handle)` frees the handle, sets it to NULL, accepts NULL, may
 *    be called from any callback of the loop, and afterwards the callback does
 *    not run any more.
 * 4. `arg` is yours; the loop never frees it.
 * 5. Everything belongs to the loop's thread, but loop_post.
 * 6. Whoever frees the loop has ended everything on it: loop_free counts.
 */
struct loop;

typedef void loop_fn(void *arg);

/* Never NULL: without an event loop the process ends. Ignores SIGPIPE in the
 * whole process. */
struct loop *loop_new(void);

/* Finishes what is closing, then frees the loop. Returns how many things were
 * still there (0 in a program without mistakes; their memory is then left to
 * the leak checker, which names who started them). Accepts NULL. */
int loop_free(struct loop *loop);

/* Until loop_stop, or until nothing is left that could call back. Signals and
 * an idle http_client do not keep it running. */
void loop_run(struct loop *loop);
/* At the end of the present turn; also before loop_run, which then ends. */
void loop_stop(struct loop *loop);

/* Runs what is ready, waiting for it at most `ms`. */
void loop_run_once(struct loop *loop, int64_t ms);
/* For tests: turns until `pred` is true; false after `ms`. */
bool loop_run_until(struct loop *loop, bool (*pred)(void *arg), void *arg,
                    int64_t ms);

/* Runs `fn` on the loop in a later turn, in the order of posting. The only
 * function that other threads (and pool jobs) may call. The loop must outlive
 * them. */
void loop_post(struct loop *loop, loop_fn *fn, void *arg);

/* Runs `fn` on the loop each time the signal came. `fn` NULL: as before. Ends
 * with the loop. */
void loop_signal(struct loop *loop, int signum, loop_fn *fn, void *arg);

/* Who is told when a callback held the loop for `ms` or longer; `what` is the
 * kind of callback ("after", "http", ...), `took` milliseconds. */
typedef void loop_slow_fn(void *arg, const char *what, int64_t took);
void loop_on_slow(struct loop *loop, int64_t ms, loop_slow_fn *fn, void *arg);

/* How many things are on the loop now, as loop_free counts them. */
int loop_live(const struct loop *loop);

/* Ends the threads of the pool; the last thing a process does with loops. */
void loop_pool_end(void);
