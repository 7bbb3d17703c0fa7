/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "loop/loop.h"

/*
 * Calls back whenever a descriptor is ready, again and again until it is
 * canceled (level-triggered). The descriptor stays the caller's; cancel the
 * watch before closing it. One watch for each descriptor. An error or hang-up
 * is reported as readiness for all that was asked: the next read or write says
 * what happened. Regular files cannot be watched.
 */
enum fdwatch_event {
	FDWATCH_READ = 1,
	FDWATCH_WRITE = 2,
};

struct fdwatch;
typedef void fdwatch_fn(void *arg, int fd, unsigned events);

/* `events` is FDWATCH_READ, FDWATCH_WRITE or both. Sets *out, or fails with
 * ERR_INVALID (not a descriptor, or none that can be watched), ERR_CONFLICT
 * (watched already). */
int fdwatch_start(struct loop *loop, int fd, unsigned events, fdwatch_fn *fn,
                  void *arg, struct fdwatch **out, struct err *e);
void fdwatch_cancel(struct fdwatch **watch);
