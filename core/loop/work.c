/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs on libuv's thread pool. The struct belongs to the pool until the job is
 * over, whatever the caller does; canceling only notes that nobody wants the
 * result. Until then it counts as alive, since its memory is in use.
 */
#include "loop/work.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/turn.h"

struct work {
	uv_work_t uv;
	struct loop *loop;
	loop_fn *job, *then, *drop;
	void *arg;
	bool canceled; /* loop thread only */
};

static void on_pool(uv_work_t *uv)
{
	struct work *work = uv->data;

	work->job(work->arg);
}

static void on_loop(uv_work_t *uv, int status)
{
	struct work *work = uv->data;
	loop_fn *fn = work->canceled ? work->drop : work->then;
	(void)status; /* UV_ECANCELED only comes to those we canceled */

	turn_release(work->loop);
	if (fn) {
		uint64_t began = turn_begin();
		fn(work->arg);
		turn_end(work->loop, "work", began);
	}
	free(work);
}

struct work *work_start(struct loop *loop, loop_fn *job, loop_fn *then,
                        loop_fn *drop, void *arg)
{
	struct work *work = mem_alloc(sizeof *work);

	*work = (struct work){
		.loop = loop,
		.job = job,
		.then = then,
		.drop = drop,
		.arg = arg,
	};
	work->uv.data = work;
	turn_must(uv_queue_work(turn_uv(loop), &work->uv, on_pool, on_loop),
	          "work");
	turn_hold(loop);
	return work;
}

void work_cancel(struct work **work)
{
	if (!*work)
		return;
	(*work)->canceled = true;
	uv_cancel((uv_req_t *)&(*work)->uv); /* takes it out if not begun */
	*work = NULL;
}
