/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls later: a libuv timer in a struct of its own for each. libuv keeps them
 * in a heap, so a hundred thousand are fine. The struct outlives the handle
 * that the caller knew by the one turn that closing takes.
 */
#include "loop/after.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/turn.h"

struct after {
	uv_timer_t uv;
	struct loop *loop;
	loop_fn *fn;
	void *arg;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void end(struct after *after)
{
	uv_close((uv_handle_t *)&after->uv, on_closed);
	turn_release(after->loop);
}

static void on_time(uv_timer_t *uv)
{
	struct after *after = uv->data;

	end(after);
	uint64_t began = turn_begin();
	after->fn(after->arg);
	turn_end(after->loop, "after", began);
}

struct after *after_start(struct loop *loop, int64_t ms, loop_fn *fn, void *arg)
{
	struct after *after = mem_alloc(sizeof *after);

	*after = (struct after){ .loop = loop, .fn = fn, .arg = arg };
	uv_timer_init(turn_uv(loop), &after->uv);
	after->uv.data = after;
	/* The loop's idea of now dates from the begin of the turn; a callback
	 * that took long would make this one come early. */
	uv_update_time(turn_uv(loop));
	uv_timer_start(&after->uv, on_time, ms > 0 ? (uint64_t)ms : 0, 0);
	turn_hold(loop);
	return after;
}

void after_cancel(struct after **after)
{
	if (!*after)
		return;
	end(*after);
	*after = NULL;
}
