/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table: what a plugin may ask of us. The contract is acme/host.h; how
 * it is kept against stale handles and wrong threads, service.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "loop/after.h"
#include "loop/fdwatch.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "plugin/option.h"
#include "plugin/plugins.h"
#include "plugin/service.h"

enum { LOG_MAX = 1024 };

/* ---- any thread ---- */

static enum log_level level_of(acme_level level)
{
	switch (level) {
	case ACME_LOG_DEBUG:
		return LOG_LEVEL_DEBUG;
	case ACME_LOG_INFO:
		return LOG_LEVEL_INFO;
	case ACME_LOG_NOTICE:
		return LOG_LEVEL_NOTICE;
	case ACME_LOG_ERROR:
		return LOG_LEVEL_ERROR;
	case ACME_LOG_WARN:
	default:
		return LOG_LEVEL_WARN;
	}
}

static void host_log(acme_op handle, acme_level level, acme_str text)
{
	char line[LOG_MAX + 1], quoted[LOG_MAX * 2];
	size_t len = text.ptr ? text.len : 0;

	if (len > LOG_MAX)
		len = LOG_MAX;
	if (len)
		memcpy(line, text.ptr, len);
	line[len] = '\0';
	struct op *op = op_lock(handle);
	if (op)
		instance_scrub(op->inst, line);
	log_quote(line, strlen(line), quoted, sizeof quoted);
	log_write(op ? &op->log : NULL, level_of(level), "says", "text=%s",
		  quoted);
	op_unlock();
}

struct post {
	acme_op handle;
	acme_then *fn;
	void *arg;
};

static void on_post(void *arg)
{
	struct post post = *(struct post *)arg;
	struct op *op = op_find(post.handle);

	free(arg);
	if (!op || op->state != OP_LIVE || !(op = service_host(op)))
		return;
	op_enter(op);
	post.fn(op->inst->self, op->handle, post.arg);
	op_leave(op, "post");
}

static void host_post(acme_op handle, acme_then *fn, void *arg)
{
	struct op *op = op_lock(handle);

	if (op && fn) {
		struct post *post = mem_alloc(sizeof *post);
		*post = (struct post){ handle, fn, arg };
		loop_post(op->inst->plugins->loop, on_post, post);
	}
	op_unlock();
}

/* Also from a job, whose op cannot go away while it runs. */
static void *host_alloc(acme_op handle, size_t size)
{
	struct op *op = op_lock(handle);
	void *memory = op ? arena_alloc(&op->mem, size) : NULL;

	op_unlock();
	return memory;
}

/* ---- what the operator wrote ---- */

static int64_t host_now(acme_op handle)
{
	(void)handle;
	return now_wall();
}

static const struct option_value *option(acme_op handle, const char *name,
					 uint32_t types)
{
	const struct option_value *value = NULL;
	struct op *op =
	    service_on_loop("option", handle) ? op_find(handle) : NULL;

	if (op)
		value = options_get(op->inst->options, name, types);
	if (!value)
		log_warn(op ? &op->log : NULL, "plugin fault",
			 "what=\"asks for an option that it does not have, or "
			 "in a wrong type\" option=%.63s",
			 name ? name : "");
	return value;
}

#define TEXT_TYPES                                                             \
	(1u << ACME_STR | 1u << ACME_URL | 1u << ACME_PATH | 1u << ACME_LIST)
#define NUMBER_TYPES                                                           \
	(1u << ACME_INT | 1u << ACME_BOOL | 1u << ACME_TIME | 1u << ACME_SIZE)

static acme_str host_option_str(acme_op handle, const char *name)
{
	const struct option_value *v = option(handle, name, TEXT_TYPES);

	if (!v || !v->text)
		return (acme_str){ NULL, 0 };
	return (acme_str){ v->text, strlen(v->text) };
}

static int64_t host_option_int(acme_op handle, const char *name)
{
	const struct option_value *v = option(handle, name, NUMBER_TYPES);

	return v ? v->number : 0;
}

static int host_option_bool(acme_op handle, const char *name)
{
	const struct option_value *v = option(handle, name, 1u << ACME_BOOL);

	return v ? v->number != 0 : 0;
}

static const acme_str *host_option_list(acme_op handle, const char *name,
					size_t *count)
{
	const struct option_value *v = option(handle, name, 1u << ACME_LIST);

	*count = v ? v->list_count : 0;
	return v ? v->list : NULL;
}

static acme_str host_secret(acme_op handle, const char *name)
{
	const struct option_value *v = option(handle, name, 1u << ACME_SECRET);
	struct op *op = v ? op_find(handle) : NULL;
	struct secret copy;
	struct err e;

	if (!op || !v->given || op->inst->depth == 0)
		return (acme_str){ NULL, 0 };
	if (secret_copy(&copy, v->secret.ptr, v->secret.len, &e) < 0) {
		log_error(&op->log, "plugin secret", "error=\"%s\"", e.text);
		return (acme_str){ NULL, 0 };
	}
	struct instance *inst = op->inst;
	inst->lent =
	    mem_grow(inst->lent, inst->lent_count + 1, sizeof *inst->lent);
	inst->lent[inst->lent_count++] = copy;
	return (acme_str){ copy.ptr, copy.len };
}

/* ---- the answer ---- */

static void host_emit(acme_op handle, const acme_entry *entry)
{
	struct op *op = service_speaker(service_op("emit", handle));
	struct err e;

	if (!op)
		return;
	if (op->kind == OP_ROOT)
		service_complain("emit", handle,
				 "an instance has nothing to emit");
	else if (op_emit(op, entry, &e) < 0)
		service_refuse(op, e.code, e.text);
}

static void done_in_open(struct op *root, acme_status status, acme_str text)
{
	struct instance *inst = root->inst;

	if (!inst->opening || inst->open_said) {
		service_complain("done", root->handle,
				 "an instance is not answered");
		return;
	}
	inst->open_said = true;
	err_set(&inst->open_err, op_code_of(status), "%.*s", ACME_ARG(text));
	instance_scrub(inst, inst->open_err.text);
}

static void host_done(acme_op handle, acme_status status, uint32_t retry_ms,
		      acme_str text)
{
	struct op *op = service_speaker(service_op("done", handle));

	if (!op)
		return;
	if (op->kind == OP_ROOT)
		done_in_open(op, status, text);
	else
		op_answer(op, op_code_of(status), retry_ms,
			  (struct str){ text.ptr, text.ptr ? text.len : 0 });
}

/* ---- after ---- */

static void call_then(struct service *s, const char *what)
{
	struct op *op = s->op;
	acme_then *fn = s->fn.then;
	void *arg = s->arg;

	op_enter(op);
	service_unlink(s);
	free(s);
	if (fn)
		fn(op->inst->self, op->handle, arg);
	op_leave(op, what);
}

static void on_after(void *arg)
{
	call_then(arg, "after");
}

static void host_after(acme_op handle, uint32_t ms, acme_then *fn, void *arg)
{
	struct op *op = service_op("after", handle);

	if (!op || !fn || !(op = service_host(op)))
		return;
	struct service *s = service_new(op, SERVICE_AFTER, arg);
	s->fn.then = fn;
	s->is.after = after_start(op->inst->plugins->loop, ms, on_after, s);
}

/* ---- work ---- */

static void run_job(void *arg)
{
	struct service *s = arg;

	s->job(s->op->handle, s->arg);
}

static void on_work(void *arg)
{
	struct service *s = arg;
	struct op *op = s->op;

	call_then(s, "work");
	op_unpin(op);
}

static void on_work_dropped(void *arg)
{
	struct service *s = arg;
	struct op *op = s->op;

	free(s);
	op_unpin(op);
}

static void host_work(acme_op handle, acme_job *job, acme_then *fn, void *arg)
{
	struct op *op = service_op("work", handle);

	if (!op || !job || !(op = service_host(op)))
		return;
	struct service *s = service_new(op, SERVICE_WORK, arg);
	s->fn.then = fn;
	s->job = job;
	op_pin(op);
	s->is.work = work_start(op->inst->plugins->loop, run_job, on_work,
				on_work_dropped, s);
}

/* ---- watch_fd ---- */

static void on_fd(void *arg, int fd, unsigned events)
{
	struct service *s = arg;
	acme_fd_then *fn = s->fn.fd_then;
	void *fn_arg = s->arg;
	struct op *op = service_host(s->op);

	if (!op)
		return;
	op_enter(op);
	fn(op->inst->self, op->handle, fn_arg, fd, events);
	op_leave(op, "watch_fd");
}

static struct service *watched(struct op *op, int fd)
{
	for (; op; op = op->parent)
		for (struct service *s = op->services; s; s = s->next)
			if (s->kind == SERVICE_FD && s->fd == fd)
				return s;
	return NULL;
}

/* The watch stays with the op that it was first asked for on, so a callback
 * may change what it waits for. */
static void host_watch_fd(acme_op handle, int fd, uint32_t events,
			  acme_fd_then *fn, void *arg)
{
	struct op *op = service_op("watch_fd", handle);
	struct service *old = op ? watched(op, fd) : NULL;
	struct err e;

	if (!op)
		return;
	if (old) {
		op = old->op;
		service_drop(old);
	}
	if (!(events & (ACME_FD_READ | ACME_FD_WRITE)) || !fn)
		return;
	struct service *s = service_new(op, SERVICE_FD, arg);
	s->fd = fd;
	s->fn.fd_then = fn;
	unsigned which = (events & ACME_FD_READ ? FDWATCH_READ : 0u) |
			 (events & ACME_FD_WRITE ? FDWATCH_WRITE : 0u);
	if (fdwatch_start(op->inst->plugins->loop, fd, which, on_fd, s,
			  &s->is.fdwatch, &e) < 0) {
		service_unlink(s);
		free(s);
		service_refuse(op, ERR_BROKEN, e.text);
	}
}

/* ---- publish ---- */

/* Nothing but its own challenge: a plugin cannot answer for other names. */
static const char *foreign(const struct op *op, uint32_t kind, acme_str name,
			   acme_str value)
{
	const acme_challenge *c = op->challenge;

	if (!c || c->type != ACME_HTTP_01)
		return "publish: the operation is for no http-01 challenge";
	if (kind != ACME_PUBLISH_TOKEN)
		return "publish: unknown kind";
	if (!acme_eq(name, c->token) ||
	    (value.ptr && !acme_eq(value, c->key_authorization)))
		return "publish: not the operation's own token";
	return NULL;
}

static void host_publish(acme_op handle, uint32_t kind, acme_str name,
			 acme_str value)
{
	struct op *op = service_op("publish", handle);
	const struct instance_hooks *hooks = op ? &op->inst->hooks : NULL;
	struct err e = { 0 };

	if (!op)
		return;
	const char *fault = foreign(op, kind, name, value);
	if (fault) {
		service_refuse(op, ERR_BROKEN, fault);
		return;
	}
	if (!hooks->publish)
		err_set(&e, ERR_BROKEN, "nobody can publish tokens");
	else
		hooks->publish(hooks->arg, kind,
			       (struct str){ name.ptr, name.len },
			       (struct str){ value.ptr, value.len }, &e);
	if (e.code != ERR_OK) {
		err_in(&e, "publish");
		service_refuse(op, e.code, e.text);
	}
}

const acme_host HOST = {
	.size = sizeof HOST,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = ACME_ABI_MINOR,
	.log = host_log,
	.post = host_post,
	.alloc = host_alloc,
	.now = host_now,
	.option_str = host_option_str,
	.option_int = host_option_int,
	.option_bool = host_option_bool,
	.option_list = host_option_list,
	.secret = host_secret,
	.emit = host_emit,
	.done = host_done,
	.after = host_after,
	.work = host_work,
	.watch_fd = host_watch_fd,
	.http = host_http,
	.publish = host_publish,
};
