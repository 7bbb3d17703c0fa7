/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plugins have asked for and not got yet.
 *
 * Each function of the host table gets a handle from foreign code. It may be
 * stale, made up, or used on the wrong thread; so each begins with service_op,
 * which knows, logs, and turns the call into nothing. What is asked for becomes
 * a `struct service` in the list of its op: dropping the list is all that
 * cancellation needs.
 *
 * A service asked for on a long-lived op (root, watch) belongs to a fresh child
 * of it, so that memory of one callback does not pile up on the parent.
 */
#include "plugin/service.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/after.h"
#include "loop/fdwatch.h"
#include "loop/http.h"
#include "loop/work.h"

/* ---- whose turn is it, and is it allowed ---- */

static pthread_t here;

void host_here(void)
{
	here = pthread_self();
}

/* A plugin that does this once may do it in a loop. */
void service_complain(const char *service, acme_op handle, const char *what)
{
	static uint64_t last;

	if (last == handle.id)
		return;
	last = handle.id;
	log_warn(NULL, "plugin fault", "service=%s op=%u what=\"%s\"", service,
		 (unsigned)handle.id, what);
}

int service_on_loop(const char *service, acme_op handle)
{
	if (pthread_equal(here, pthread_self()))
		return 1;
	log_error(NULL, "plugin fault",
		  "service=%s op=%u what=\"called on another thread\"", service,
		  (unsigned)handle.id);
	return 0;
}

/* The op if it may use services now, else NULL. */
struct op *service_op(const char *service, acme_op handle)
{
	struct op *op;

	if (!service_on_loop(service, handle))
		return NULL;
	op = op_find(handle);
	if (op && op->state == OP_LIVE)
		return op;
	if (!op || !op->aborted)
		service_complain(service, handle, "the operation has ended");
	return NULL;
}

/* The op that an answer is for: a child speaks for its parent. */
struct op *service_speaker(struct op *op)
{
	return op && op->kind == OP_CHILD ? op->parent : op;
}

/* The host cannot do it: that is the answer then. */
void service_refuse(struct op *op, enum err_code code, const char *text)
{
	op = service_speaker(op);
	if (op->kind != OP_ROOT) {
		op->refused = op->aborted = true; /* its own done may come */
		op_answer(op, code, 0, str_of(text));
		return;
	}
	log_error(&op->log, "plugin fault", "what=\"%s\"", text);
}

/* ---- services as a list ---- */

struct service *service_new(struct op *op, enum service_kind kind, void *arg)
{
	struct service *s = mem_alloc(sizeof *s);

	s->op = op;
	s->kind = kind;
	s->arg = arg;
	s->next = op->services;
	if (s->next)
		s->next->prev = s;
	op->services = s;
	return s;
}

void service_unlink(struct service *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->op->services = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

void service_drop(struct service *s)
{
	service_unlink(s);
	switch (s->kind) {
	case SERVICE_AFTER:
		after_cancel(&s->is.after);
		break;
	case SERVICE_FD:
		fdwatch_cancel(&s->is.fdwatch);
		break;
	case SERVICE_HTTP:
		http_cancel(&s->is.http);
		break;
	case SERVICE_WORK:
		work_cancel(&s->is.work);
		return; /* work_dropped frees it, after the job */
	}
	free(s);
}

void host_drop(struct op *op)
{
	while (op->services)
		service_drop(op->services);
}

/* The op that a new service belongs to. */
struct op *service_host(struct op *op)
{
	if (op->kind != OP_ROOT && op->kind != OP_WATCH)
		return op;
	struct op *child = op_new(op->inst, OP_CHILD, op, op->verb);
	if (!child)
		service_refuse(op, ERR_RETRY, "too many operations in flight");
	return child;
}
