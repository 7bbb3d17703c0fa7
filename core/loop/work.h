/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop/loop.h"

/*
 * A job that blocks or computes, on a thread of a small pool, and what follows
 * on the loop.
 *
 * `job(arg)` runs on the pool; of the loop it may only use loop_post. Then
 * exactly one of `then(arg)` and `drop(arg)` runs on the loop: `drop` when the
 * work was canceled, after the job is over (or at once in a later turn if it
 * had not begun), so it is the place to free `arg`. `drop` may be NULL when
 * there is nothing to free.
 *
 * A job that runs cannot be stopped; until it is over it keeps the loop alive.
 */
struct work;

struct work *work_start(struct loop *loop, loop_fn *job, loop_fn *then,
                        loop_fn *drop, void *arg);
void work_cancel(struct work **work);
