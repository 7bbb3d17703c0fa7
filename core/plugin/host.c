/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table: what a plugin may ask of us.
 *
 * Each function gets a handle from foreign code. It may be stale, made up, or
 * used on the wrong thread; so each begins with live(), which knows, logs, and
 * turns the call into nothing. What is asked for becomes a `struct service` in
 * the list of its op: dropping the list is all that cancellation needs.
 *
 * A service asked for on a long-lived op (root, watch) belongs to a fresh child
 * of it, so that memory of one callback does not pile up on the parent.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "loop/after.h"
#include "loop/fdwatch.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "plugin/op.h"
#include "plugin/option.h"
#include "plugin/plugins.h"

enum {
	LOG_MAX = 1024,
	HTTP_DEFAULT_MS = 30000,
	HTTP_DEFAULT_BODY = 1 << 20,
	HTTP_LARGEST_BODY = 64 << 20,
	HTTP_HEADERS = 64,
	EXCERPT = 160, /* of an answer's body, in its error */
};

enum service_kind { SERVICE_AFTER, SERVICE_WORK, SERVICE_FD, SERVICE_HTTP };

struct service {
	struct service *prev, *next;
	struct op *op;
	enum service_kind kind;
	int fd;
	union {
		struct after *after;
		struct work *work;
		struct fdwatch *fdwatch;
		struct http_call *http;
	} is;
	union {
		acme_then *then;
		acme_fd_then *fd_then;
		acme_http_then *http_then;
	} fn;
	acme_job *job;
	void *arg;
};

/* ---- whose turn is it, and is it allowed ---- */

static pthread_t here;

void host_here(void)
{
	here = pthread_self();
}

/* A plugin that does this once may do it in a loop. */
static void complain(const char *service, acme_op handle, const char *what)
{
	static uint64_t last;

	if (last == handle.id)
		return;
	last = handle.id;
	log_warn(NULL, "plugin fault", "service=%s op=%u what=\"%s\"", service,
	         (unsigned)handle.id, what);
}

static int on_loop(const char *service, acme_op handle)
{
	if (pthread_equal(here, pthread_self()))
		return 1;
	log_error(NULL, "plugin fault",
	          "service=%s op=%u what=\"called on another thread\"",
	          service, (unsigned)handle.id);
	return 0;
}

/* The op if it may use services now, else NULL. */
static struct op *live(const char *service, acme_op handle)
{
	struct op *op;

	if (!on_loop(service, handle))
		return NULL;
	op = op_find(handle);
	if (op && op->state == OP_LIVE)
		return op;
	if (!op || !op->aborted)
		complain(service, handle, "the operation has ended");
	return NULL;
}

/* The op that an answer is for: a child speaks for its parent. */
static struct op *speaker(struct op *op)
{
	return op && op->kind == OP_CHILD ? op->parent : op;
}

/* The host cannot do it: that is the answer then. */
static void refuse(struct op *op, enum err_code code, const char *text)
{
	op = speaker(op);
	if (op->kind != OP_ROOT) {
		op->aborted = true; /* its own done will come, and be right */
		op_answer(op, code, 0, str_of(text));
		return;
	}
	log_error(&op->log, "plugin fault", "what=\"%s\"", text);
}

/* ---- services as a list ---- */

static struct service *service_new(struct op *op, enum service_kind kind,
                                   void *arg)
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

static void service_unlink(struct service *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->op->services = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

static void service_drop(struct service *s)
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
static struct op *host_of_service(struct op *op)
{
	if (op->kind != OP_ROOT && op->kind != OP_WATCH)
		return op;
	struct op *child = op_new(op->inst, OP_CHILD, op, op->verb);
	if (!child)
		refuse(op, ERR_RETRY, "too many operations in flight");
	return child;
}

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
	if (!op || op->state != OP_LIVE || !(op = host_of_service(op)))
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
	struct op *op = on_loop("option", handle) ? op_find(handle) : NULL;

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
	inst->lent = mem_grow(inst->lent, inst->lent_count + 1,
	                      sizeof *inst->lent);
	inst->lent[inst->lent_count++] = copy;
	return (acme_str){ copy.ptr, copy.len };
}

/* ---- the answer ---- */

static void host_emit(acme_op handle, const acme_entry *entry)
{
	struct op *op = speaker(live("emit", handle));
	struct err e;

	if (!op)
		return;
	if (op->kind == OP_ROOT)
		complain("emit", handle, "an instance has nothing to emit");
	else if (op_emit(op, entry, &e) < 0)
		refuse(op, e.code, e.text);
}

static void done_in_open(struct op *root, acme_status status, acme_str text)
{
	struct instance *inst = root->inst;

	if (!inst->opening || inst->open_said) {
		complain("done", root->handle, "an instance is not answered");
		return;
	}
	inst->open_said = true;
	err_set(&inst->open_err, op_code_of(status), "%.*s", ACME_ARG(text));
	instance_scrub(inst, inst->open_err.text);
}

static void host_done(acme_op handle, acme_status status, uint32_t retry_ms,
                      acme_str text)
{
	struct op *op = speaker(live("done", handle));

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
	struct op *op = live("after", handle);

	if (!op || !fn || !(op = host_of_service(op)))
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
	struct op *op = live("work", handle);

	if (!op || !job || !(op = host_of_service(op)))
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
	struct op *op = host_of_service(s->op);

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
	struct op *op = live("watch_fd", handle);
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
		refuse(op, ERR_BROKEN, e.text);
	}
}

/* ---- http ---- */

static acme_status status_of(int code)
{
	if (code >= 200 && code < 300)
		return ACME_OK;
	if (code == 408 || code == 425 || code == 429 || code >= 500)
		return ACME_RETRY;
	if (code == 404 || code == 410)
		return ACME_ABSENT;
	if (code == 401 || code == 403 || code == 407)
		return ACME_DENIED;
	if (code == 409 || code == 412)
		return ACME_CONFLICT;
	return ACME_INVALID;
}

static acme_status status_of_err(const struct err *e)
{
	switch (e->code) {
	case ERR_INVALID:
		return ACME_INVALID;
	case ERR_DENIED:
		return ACME_DENIED;
	case ERR_CANCELED:
		return ACME_CANCELED;
	case ERR_OK:
	case ERR_RETRY:
	case ERR_ABSENT:
	case ERR_CONFLICT:
	case ERR_BROKEN:
	case ERR_LIMITED:
	case ERR_NOSPACE:
	case ERR_DECLINED:
	default:
		return ACME_RETRY;
	}
}

/* "HTTP 403: {"message":"token not valid"}": the provider's own words, unless
 * they are a page for browsers. */
static void word_of_answer(const struct http_response *res, char *out,
                           size_t size)
{
	struct str body = str_trim(res->body);
	int cut = (int)(body.len < EXCERPT ? body.len : EXCERPT);

	if (body.len == 0 || body.ptr[0] == '<' || res->status < 300)
		snprintf(out, size, "HTTP %d", res->status);
	else
		snprintf(out, size, "HTTP %d: %.*s", res->status, cut,
		         body.ptr);
}

static void fill_answer(const struct http_response *res,
                        acme_http_response *out, acme_str *headers, char *words,
                        size_t size)
{
	const char *line;
	size_t at = 0, count = 0;

	while (count < HTTP_HEADERS &&
	       (line = http_header_next(res, NULL, &at)))
		headers[count++] = acme_text(line);
	word_of_answer(res, words, size);
	out->code = (uint32_t)res->status;
	out->status = (uint32_t)status_of(res->status);
	if (res->retry_after_ms > 0)
		out->retry_ms = res->retry_after_ms < UINT32_MAX
		                        ? (uint32_t)res->retry_after_ms
		                        : UINT32_MAX;
	out->body = (acme_str){ res->body.ptr, res->body.len };
	out->headers = headers;
	out->header_count = count;
}

static void on_http(void *arg, const struct http_response *res,
                    const struct err *e)
{
	struct service *s = arg;
	struct op *op = s->op;
	acme_http_then *fn = s->fn.http_then;
	void *fn_arg = s->arg;
	acme_str headers[HTTP_HEADERS];
	char words[64 + EXCERPT];
	acme_http_response out = { .size = sizeof out };

	if (res) {
		fill_answer(res, &out, headers, words, sizeof words);
		out.error = acme_text(words);
	} else {
		out.status = (uint32_t)status_of_err(e);
		out.error = acme_text(e->text);
	}
	op_enter(op);
	service_unlink(s);
	free(s);
	fn(op->inst->self, op->handle, fn_arg, &out);
	op_leave(op, "http");
}

static char *text_of(struct arena *a, acme_str s)
{
	if (s.len && (!s.ptr || memchr(s.ptr, '\0', s.len)))
		return NULL;
	return arena_strndup(a, (struct str){ s.ptr, s.len });
}

/* What the loop's client wants, in `a`; NULL if the plugin asks nonsense. */
static const struct http_request *request_of(struct arena *a,
                                             const acme_http_request *r)
{
	struct http_request *out = arena_alloc(a, sizeof *out);
	char **headers;

	if (!out || r->header_count > HTTP_HEADERS ||
	    !(headers = arena_alloc(a, (r->header_count + 1) *
	                                       sizeof *headers)))
		return NULL;
	for (size_t i = 0; i < r->header_count; i++)
		if (!(headers[i] = text_of(a, r->headers[i])))
			return NULL;
	out->url = text_of(a, r->url);
	out->method = r->method.len ? text_of(a, r->method) : NULL;
	if (!out->url || (r->method.len && !out->method))
		return NULL;
	out->headers = (const char *const *)headers;
	out->body = (struct str){ r->body.ptr, r->body.len };
	out->timeout_ms = r->timeout_ms ? r->timeout_ms : HTTP_DEFAULT_MS;
	out->max_body = r->body_max ? r->body_max : HTTP_DEFAULT_BODY;
	if (out->max_body > HTTP_LARGEST_BODY)
		out->max_body = HTTP_LARGEST_BODY;
	return out;
}

static void host_http(acme_op handle, const acme_http_request *theirs,
                      acme_http_then *fn, void *arg)
{
	struct op *op = live("http", handle);
	struct arena a = ARENA_INIT(1 << 20);
	acme_http_request r;

	if (!op || !fn || !(op = host_of_service(op)))
		return;
	memset(&r, 0, sizeof r);
	memcpy(&r, theirs, theirs->size < sizeof r ? theirs->size : sizeof r);
	const struct http_request *req = request_of(&a, &r);
	struct http_client *client = op->inst->plugins->http;
	op_pin(op);
	if (!req || !client) {
		refuse(op, ERR_BROKEN,
		       req ? "there is no HTTP client"
		           : "http: not a request (NUL byte, or too large)");
	} else {
		struct service *s = service_new(op, SERVICE_HTTP, arg);
		s->fn.http_then = fn;
		s->is.http = http_start(client, req, on_http, s);
	}
	op_unpin(op);
	arena_wipe(&a);
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
	struct op *op = live("publish", handle);
	const struct instance_hooks *hooks = op ? &op->inst->hooks : NULL;
	struct err e = { 0 };

	if (!op)
		return;
	const char *fault = foreign(op, kind, name, value);
	if (fault) {
		refuse(op, ERR_BROKEN, fault);
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
		refuse(op, e.code, e.text);
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
