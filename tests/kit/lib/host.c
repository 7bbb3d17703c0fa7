/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host table. Each function first finds out who calls, on which thread and
 * for which operation, and what of that is against the rules; then it does what
 * the agent would do. A handle is the number of the kit and that of the
 * operation, both never used again in this process.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum {
	MEM_CALL = 1 << 20,
	MEM_STORE = 64 << 20,
	COOKIE_MAX = 4096,
	KITS = 64,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kit *kits[KITS];
static uint32_t serials;

/* The operation whose job runs on this thread. */
static _Thread_local uint64_t job_of;

void host_job(acme_op op)
{
	job_of = op.id;
}

static kit *kit_of(acme_op op)
{
	kit *found = NULL;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < KITS; i++)
		if (kits[i] && kits[i]->root &&
		    kits[i]->root->op.id >> 32 == op.id >> 32)
			found = kits[i];
	pthread_mutex_unlock(&lock);
	return found;
}

void host_enlist(kit *k)
{
	pthread_mutex_lock(&lock);
	k->next_id = (uint64_t)++serials << 32 | 1;
	for (int i = 0; i < KITS; i++)
		if (!kits[i]) {
			kits[i] = k;
			break;
		}
	pthread_mutex_unlock(&lock);
}

void host_strike(kit *k)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < KITS; i++)
		if (kits[i] == k)
			kits[i] = NULL;
	pthread_mutex_unlock(&lock);
}

/* ---- who calls ---- */

static bool on_loop(kit *k, const char *what)
{
	if (k && pthread_equal(k->loop, pthread_self()))
		return true;
	if (k)
		kit_found(k, "thread-two", "%s was called on another thread",
			  what);
	return false;
}

static void too_late(kit *k, const struct kit_call *c, const char *what)
{
	bool answer = !strcmp(what, "done");

	if (!c)
		kit_found(k, "op-handle", "%s on no operation that ever was",
			  what);
	else if (c->tell_cancel)
		; /* refused within this call: whatever it says */
	else if (c->canceled)
		kit_found(k, answer ? "op-deadline" : "op-handle",
			  "%s on %s, which the host had ended", what, c->verb);
	else if (answer && c->kind != CALL_CHILD)
		kit_found(k, "op-one-done", "second done on %s", c->verb);
	else
		kit_found(k, "op-handle", "%s on %s, which has ended", what,
			  c->verb);
}

/* The operation if it may ask for something now. */
static struct kit_call *caller(const char *what, acme_op op)
{
	kit *k = kit_of(op);
	struct kit_call *c;

	if (!on_loop(k, what))
		return NULL;
	c = call_find(k, op);
	if (c && c->live)
		return c;
	too_late(k, c, what);
	return NULL;
}

static struct kit_call *speaker(struct kit_call *c)
{
	return c && c->kind == CALL_CHILD ? c->parent : c;
}

/* The operation that a callback is for: on root and watch a fresh child. */
static struct kit_call *owner(struct kit_call *c)
{
	if (c->kind == CALL_ONE || c->kind == CALL_CHILD)
		return c;
	return call_new(c->k, CALL_CHILD, c, c->verb);
}

static bool refused(struct kit_call *c)
{
	if (!kit_fails(c->k, KIT_FAIL_SERVICE))
		return false;
	call_refuse(c, "refused by the test");
	return true;
}

/* ---- any thread ---- */

static void no_secret(kit *k, const char *rule, const char *where, acme_str s)
{
	const char *name = kit_secret_in(k, s);

	if (name)
		kit_found(k, rule, "the secret '%s' stands in %s", name, where);
}

static void host_log(acme_op op, acme_level level, acme_str s)
{
	kit *k = kit_of(op);

	if (!k)
		return;
	if (!s.ptr)
		s.len = 0;
	no_secret(k, "secret-log", "the log", s);
	pthread_mutex_lock(&k->lock);
	text_add(&k->log, "%d %.*s\n", (int)level, ACME_ARG(s));
	pthread_mutex_unlock(&k->lock);
}

static void host_post(acme_op op, acme_then *fn, void *arg)
{
	kit *k = kit_of(op);
	struct service *s;

	if (!k || !fn)
		return;
	s = kit_mem(sizeof *s);
	s->kind = SERVICE_POST;
	s->then = fn;
	s->arg = arg;
	pthread_mutex_lock(&k->lock);
	s->call = call_find(k, op);
	struct service **at = &k->posts;
	while (*at)
		at = &(*at)->next;
	*at = s;
	pthread_mutex_unlock(&k->lock);
	kit_wake(k);
}

static void *host_alloc(acme_op op, size_t size)
{
	kit *k = kit_of(op);
	struct kit_call *c;
	bool here = k && pthread_equal(k->loop, pthread_self());
	void *p = NULL;

	if (!k || (!here && job_of != op.id)) {
		if (k)
			kit_found(k, "thread-two",
				  "alloc was called on another thread");
		return NULL;
	}
	pthread_mutex_lock(&k->lock);
	c = call_find(k, op);
	size_t most = k->plugin.storage && c && c->kind != CALL_ROOT
			  ? MEM_STORE
			  : MEM_CALL;
	bool alive = c && !c->over; /* as long as its memory */
	if (alive && size <= most - c->mem_size &&
	    !kit_fails(k, KIT_FAIL_ALLOC)) {
		char what[64];
		c->mem_size += size;
		snprintf(what, sizeof what, "memory of %s", c->verb);
		p = lents_add(&c->mem, size, "own-alloc", what);
	}
	pthread_mutex_unlock(&k->lock);
	if (!alive)
		too_late(k, c, "alloc");
	return p;
}

/* ---- options ---- */

static int64_t host_now(acme_op op)
{
	kit *k = kit_of(op);

	return on_loop(k, "now") ? k->now : 0;
}

static struct option *option(acme_op op, const char *name, uint32_t types,
			     const char *what)
{
	kit *k = kit_of(op);
	struct option *o;

	if (!on_loop(k, what))
		return NULL;
	o = option_find(k, name);
	if (o && (types & 1u << o->is->type))
		return o;
	kit_found(k, "own-schema", o ? "%s: '%s' is of another type"
				     : "%s: there is no option '%s'",
		  what, name ? name : "(null)");
	return NULL;
}

#define TEXTS                                                                  \
	(1u << ACME_STR | 1u << ACME_URL | 1u << ACME_PATH | 1u << ACME_LIST)
#define NUMBERS                                                                \
	(1u << ACME_INT | 1u << ACME_BOOL | 1u << ACME_TIME | 1u << ACME_SIZE)

static acme_str lend(struct lents *to, const char *text, bool ended,
		     const char *what)
{
	size_t len = strlen(text);
	char *p = lents_add(to, len + (ended ? 1 : 0), "own-options", what);

	memcpy(p, text, len);
	return (acme_str){ p, len };
}

static acme_str host_option_str(acme_op op, const char *name)
{
	const struct option *o = option(op, name, TEXTS, "option_str");
	kit *k = kit_of(op);

	if (!o || !o->text)
		return (acme_str){ NULL, 0 };
	return lend(&k->option_text, o->text, o->is->type == ACME_PATH,
		    "the text of an option");
}

static int64_t host_option_int(acme_op op, const char *name)
{
	const struct option *o = option(op, name, NUMBERS, "option_int");

	return o ? o->number : 0;
}

static int host_option_bool(acme_op op, const char *name)
{
	const struct option *o =
	    option(op, name, 1u << ACME_BOOL, "option_bool");

	return o ? o->number != 0 : 0;
}

static const acme_str *host_option_list(acme_op op, const char *name,
					size_t *count)
{
	const struct option *o =
	    option(op, name, 1u << ACME_LIST, "option_list");

	*count = o ? o->list_count : 0;
	return o ? o->list : NULL;
}

static acme_str host_secret(acme_op op, const char *name)
{
	const struct option *o = option(op, name, 1u << ACME_SECRET, "secret");
	kit *k = kit_of(op);

	if (!o || !o->text || !k->depth)
		return (acme_str){ NULL, 0 };
	return lend(&k->secrets, o->text, true, "a secret");
}

/* ---- the answer ---- */

static void host_emit(acme_op op, const acme_entry *theirs)
{
	struct kit_call *c = speaker(caller("emit", op));
	acme_entry e = { 0 };

	if (!c)
		return;
	kit *k = c->k;
	if (theirs->size < offsetof(acme_entry, version)) {
		kit_found(k, "version-size", "%s: emit of a struct of size %u",
			  c->verb, (unsigned)theirs->size);
		call_refuse(c, "emit: no size");
		return;
	}
	memcpy(&e, theirs, theirs->size < sizeof e ? theirs->size : sizeof e);
	if (c->kind == CALL_ROOT) {
		kit_found(k, "op-handle", "emit on the root");
		return;
	}
	if (k->plugin.challenge && !k->plugin.storage) {
		no_secret(k, "secret-cookie", "a cookie", e.value);
		if (e.value.len > COOKIE_MAX) {
			kit_found(k, "op-cookie", "a cookie of %zu bytes",
				  e.value.len);
			call_refuse(c, "the cookie is too large");
			return;
		}
	}
	call_emit(c, &e);
}

static void done_in_open(kit *k, acme_str text)
{
	if (!k->opening)
		kit_found(k, "op-handle", "done on the root outside open");
	else if (k->open_said)
		kit_found(k, "op-one-done", "second done in open");
	k->open_said = true;
	snprintf(k->open_text, sizeof k->open_text, "%.*s", ACME_ARG(text));
}

static void host_done(acme_op op, acme_status status, uint32_t retry_ms,
		      acme_str text)
{
	struct kit_call *c = speaker(caller("done", op));

	if (!c)
		return;
	no_secret(c->k, "secret-log", "the text of done",
		  (acme_str){ text.ptr, text.ptr ? text.len : 0 });
	if ((uint32_t)status > ACME_NOSPACE) {
		kit_found(c->k, "version-unknown",
			  "%s: done with status %u, which is none", c->verb,
			  (unsigned)status);
		status = ACME_BROKEN;
	}
	if (c->kind == CALL_ROOT)
		done_in_open(c->k, text);
	else if (!c->live)
		too_late(c->k, c, "done");
	else
		call_answer(c, (uint32_t)status, retry_ms, text);
}

/* ---- services ---- */

static void host_after(acme_op op, uint32_t ms, acme_then *fn, void *arg)
{
	struct kit_call *c = caller("after", op);

	if (!c || !fn || refused(c))
		return;
	struct service *s = service_new(owner(c), SERVICE_AFTER, arg);
	s->then = fn;
	s->due = c->k->mono + ms;
}

static void host_work(acme_op op, acme_job *job, acme_then *fn, void *arg)
{
	struct kit_call *c = caller("work", op);

	if (!c || !job || refused(c))
		return;
	struct service *s = service_new(owner(c), SERVICE_WORK, arg);
	s->job = job;
	s->then = fn;
	service_job(s);
}

static struct service *watched(const struct kit_call *c, int fd)
{
	for (struct service *s = c->k->services; s; s = s->next)
		if (s->kind == SERVICE_FD && !s->dropped && s->fd == fd &&
		    (s->call == c || s->call == c->parent))
			return s;
	return NULL;
}

static void host_watch_fd(acme_op op, int fd, uint32_t events,
			  acme_fd_then *fn, void *arg)
{
	struct kit_call *c = caller("watch_fd", op);
	struct service *s = c ? watched(c, fd) : NULL;

	if (!c)
		return;
	if (s && !events) {
		service_drop(s);
		return;
	}
	if (!events || !fn || refused(c))
		return;
	if (fd < 0) {
		call_refuse(c, "watch_fd: a bad descriptor");
		return;
	}
	if (!s)
		s = service_new(c, SERVICE_FD, arg);
	s->fd = fd;
	s->events = events;
	s->fd_then = fn;
	s->arg = arg;
}

static bool http_fault(kit *k, struct answer *a)
{
	static const uint32_t codes[] = { 0, 500, 429, 403, 404 };
	uint32_t what = k->fail;

	if (what < KIT_FAIL_HTTP || what > KIT_FAIL_HTTP_404 ||
	    !kit_fails(k, what))
		return false;
	a->code = codes[what - KIT_FAIL_HTTP];
	if (a->code)
		a->body = kit_strdup(acme_text("{}"));
	else
		a->words = kit_strdup(acme_text("connection reset"));
	return true;
}

static void ask(struct kit_call *c, const acme_http_request *r,
		struct answer *a)
{
	struct kit_call *top = speaker(c);
	char why[KIT_WORDS];
	kit *k = c->k;

	if (http_fault(k, a)) {
		k->failed_delete = acme_eq(r->method, acme_text("DELETE"));
		return;
	}
	if (!k->tape) {
		a->words = kit_strdup(acme_text("connection refused"));
		return;
	}
	if (tape_ask(k, r, a, why, sizeof why))
		return;
	if (!k->failed) /* after a fault it may well ask something else */
		kit_found(k,
			  !strcmp(top->verb, "cleanup") ? "challenge-cleanup"
							: "challenge-tape",
			  "%s: %s", top->verb, why);
	a->words = kit_strdup(acme_text("not on the tape"));
}

static void host_http(acme_op op, const acme_http_request *theirs,
		      acme_http_then *fn, void *arg)
{
	struct kit_call *c = caller("http", op);
	acme_http_request r;

	if (!c || !fn || refused(c))
		return;
	memset(&r, 0, sizeof r);
	memcpy(&r, theirs, theirs->size < sizeof r ? theirs->size : sizeof r);
	if (theirs->size < offsetof(acme_http_request, timeout_ms)) {
		kit_found(c->k, "version-size",
			  "%s: http with a struct of size %u", c->verb,
			  (unsigned)theirs->size);
		call_refuse(c, "http: no size");
		return;
	}
	struct service *s = service_new(owner(c), SERVICE_HTTP, arg);
	s->http_then = fn;
	ask(c, &r, &s->answer);
}

/* ---- publish ---- */

static void keep(kit *k, const char *token, acme_str value)
{
	for (int i = 0; i < KIT_PUBLISHED; i++) {
		char **slot = k->published[i];
		if (slot[0] && !strcmp(slot[0], token)) {
			free(slot[0]);
			free(slot[1]);
			slot[0] = slot[1] = NULL;
		}
	}
	for (int i = 0; i < KIT_PUBLISHED && value.ptr; i++)
		if (!k->published[i][0]) {
			k->published[i][0] = kit_strdup(acme_text(token));
			k->published[i][1] = kit_strdup(value);
			return;
		}
}

static void host_publish(acme_op op, uint32_t kind, acme_str name,
			 acme_str value)
{
	struct kit_call *c = speaker(caller("publish", op));

	if (!c || refused(c))
		return;
	if (kind != ACME_PUBLISH_TOKEN || !*c->token ||
	    !acme_eq(name, acme_text(c->token)) ||
	    (value.ptr && !acme_eq(value, acme_text(c->key_authorization)))) {
		kit_found(c->k, "publish-own",
			  "%s publishes what is not its challenge's", c->verb);
		call_refuse(c, "publish: not of this operation");
		return;
	}
	keep(c->k, c->token, value);
}

const char *kit_published(const kit *k, const char *token)
{
	for (int i = 0; i < KIT_PUBLISHED; i++)
		if (k->published[i][0] && !strcmp(k->published[i][0], token))
			return k->published[i][1];
	return NULL;
}

void host_fill(kit *k)
{
	k->host = (acme_host){
		.size = sizeof k->host,
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
}
