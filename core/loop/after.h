/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "loop/loop.h"

/*
 * One call, later. The time is monotonic: a clock that is set does not matter.
 * With 0 (or less) the call comes in the next turn, never within after_start.
 * See loop.h for the rules of handles.
 */
struct after;

struct after *after_start(struct loop *loop, int64_t ms, loop_fn *fn,
                          void *arg);
void after_cancel(struct after **after);
