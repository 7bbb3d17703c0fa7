/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of other people on the loop. Thin over uv_poll, which is
 * level-triggered; what it adds is errors as values and one word for trouble:
 * whatever goes wrong with the descriptor is reported as ready, so that its
 * owner finds out by reading or writing. libuv stops polling after an error,
 * which may be a passing one (a UDP socket's); we go on until canceled.
 */
#include "loop/fdwatch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/turn.h"

struct fdwatch {
	uv_poll_t uv;
	struct loop *loop;
	int fd;
	int bits;
	fdwatch_fn *fn;
	void *arg;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static unsigned events_of(int bits)
{
	unsigned events = 0;

	if (bits & UV_READABLE)
		events |= FDWATCH_READ;
	if (bits & UV_WRITABLE)
		events |= FDWATCH_WRITE;
	return events;
}

static void on_ready(uv_poll_t *uv, int status, int bits)
{
	struct fdwatch *watch = uv->data; /* lives until this turn ends */
	unsigned events = events_of(status < 0 ? watch->bits : bits);

	if (!events)
		return;
	uint64_t began = turn_begin();
	watch->fn(watch->arg, watch->fd, events);
	turn_end(watch->loop, "fdwatch", began);
	if (status < 0 && !uv_is_closing((uv_handle_t *)uv))
		uv_poll_start(uv, watch->bits, on_ready);
}

static int init_error(int fd, int rc, struct err *e)
{
	if (rc == UV_EEXIST)
		return err_set(e, ERR_CONFLICT,
		               "descriptor %d is watched already", fd);
	return err_set(e, ERR_INVALID, "descriptor %d cannot be watched: %s",
	               fd, uv_strerror(rc));
}

int fdwatch_start(struct loop *loop, int fd, unsigned events, fdwatch_fn *fn,
                  void *arg, struct fdwatch **out, struct err *e)
{
	struct fdwatch *watch = mem_alloc(sizeof *watch);
	int bits = 0;

	if (events & FDWATCH_READ)
		bits |= UV_READABLE;
	if (events & FDWATCH_WRITE)
		bits |= UV_WRITABLE;
	*watch = (struct fdwatch){
		.loop = loop,
		.fd = fd,
		.bits = bits,
		.fn = fn,
		.arg = arg,
	};
	int rc = fd < 0 ? UV_EBADF :
	                  uv_poll_init(turn_uv(loop), &watch->uv, fd);
	if (rc < 0) {
		free(watch);
		return init_error(fd, rc, e);
	}
	watch->uv.data = watch;
	uv_poll_start(&watch->uv, bits, on_ready);
	turn_hold(loop);
	*out = watch;
	return 0;
}

void fdwatch_cancel(struct fdwatch **watch)
{
	if (!*watch)
		return;
	uv_close((uv_handle_t *)&(*watch)->uv, on_closed);
	turn_release((*watch)->loop);
	*watch = NULL;
}
