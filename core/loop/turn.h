/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "loop/loop.h"

/*
 * What only the files of this folder may know of the loop: the libuv loop
 * itself, the count of live things, and the watch over callbacks.
 */
uv_loop_t *turn_uv(struct loop *loop);

/* Each thing on the loop is counted from its start to its end. */
void turn_hold(struct loop *loop);
void turn_release(struct loop *loop);

/* Around each call into somebody else's code. `what` is a literal. */
uint64_t turn_begin(void);
void turn_end(struct loop *loop, const char *what, uint64_t began);

/* `rc` of a libuv call that can only fail for want of memory or descriptors
 * while the program starts: ends the process with one line. */
void turn_must(int rc, const char *doing);
