/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop. Each turn delivers one callback: what was posted, what a tape
 * answers, a job that has ended, a descriptor that is ready; when there is none
 * of these the clock goes on to the next timer. Time passes only so; jobs and
 * descriptors are waited for really.
 */
#include "inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BACKGROUND_MS = 60000, /* how far timers of watches may run ahead */
	TURNS_MAX = 200000,
	JOB_MS = 30000,
	GRACE_MS = 200, /* for a thread of the plugin's own */
	POLL_MAX = 64,
};

void kit_wake(kit *k)
{
	char byte = 0;

	if (write(k->wake[1], &byte, 1) < 0 && errno != EAGAIN)
		abort();
}

/* ---- services ---- */

struct service *service_new(struct kit_call *c, enum service_kind kind,
			    void *arg)
{
	struct service *s = kit_mem(sizeof *s), **at = &c->k->services;

	s->kind = kind;
	s->call = c;
	s->arg = arg;
	s->fd = -1;
	c->services++;
	while (*at)
		at = &(*at)->next;
	*at = s;
	return s;
}

static void *run_job(void *arg)
{
	struct service *s = arg;
	kit *k = s->call->k;

	host_job(s->call->op);
	s->job(s->call->op, s->arg);
	pthread_mutex_lock(&k->lock);
	s->finished = true;
	pthread_mutex_unlock(&k->lock);
	kit_wake(k);
	return NULL;
}

void service_job(struct service *s)
{
	s->call->jobs++;
	if (pthread_create(&s->thread, NULL, run_job, s) != 0)
		abort();
}

void service_drop(struct service *s)
{
	s->dropped = true;
	s->call->services--;
}

static bool finished(struct service *s)
{
	kit *k = s->call->k;

	pthread_mutex_lock(&k->lock);
	bool yes = s->finished;
	pthread_mutex_unlock(&k->lock);
	return yes;
}

/* Takes away what was dropped and holds nothing any more. */
static void reap(kit *k)
{
	struct service **at = &k->services, *s;

	while ((s = *at)) {
		if (!s->dropped || (s->kind == SERVICE_WORK && !finished(s))) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		if (s->kind == SERVICE_WORK) {
			pthread_join(s->thread, NULL);
			s->call->jobs--;
		}
		answer_free(&s->answer);
		free(s);
	}
}

static bool jobs_run(kit *k)
{
	for (struct service *s = k->services; s; s = s->next)
		if (s->kind == SERVICE_WORK)
			return true;
	return false;
}

/* Waits for a wake-up or a watched descriptor. */
static bool wait_for(kit *k, int ms)
{
	struct pollfd fds[POLL_MAX] = { { .fd = k->wake[0],
					  .events = POLLIN } };
	nfds_t count = 1;
	char bytes[64];

	for (struct service *s = k->services; s && count < POLL_MAX;
	     s = s->next)
		if (s->kind == SERVICE_FD && !s->dropped)
			fds[count++] = (struct pollfd){
				.fd = s->fd,
				.events = (short)((s->events & ACME_FD_READ
						       ? POLLIN
						       : 0) |
						  (s->events & ACME_FD_WRITE
						       ? POLLOUT
						       : 0))
			};
	if (poll(fds, count, ms) <= 0)
		return false;
	while (read(k->wake[0], bytes, sizeof bytes) > 0)
		continue;
	return true;
}

void kit_join(kit *k)
{
	reap(k);
	while (jobs_run(k)) {
		wait_for(k, 10);
		reap(k);
	}
}

/* ---- deliveries ---- */

/* On root and watch each callback is for a child of its own. */
static struct kit_call *receiver(struct kit_call *c)
{
	if (c->kind == CALL_ONE || c->kind == CALL_CHILD)
		return c;
	return call_new(c->k, CALL_CHILD, c, c->verb);
}

static bool deliver_post(kit *k)
{
	pthread_mutex_lock(&k->lock);
	struct service *s = k->posts;
	if (s)
		k->posts = s->next;
	pthread_mutex_unlock(&k->lock);
	if (!s)
		return false;
	if (s->call && s->call->live) {
		struct kit_call *c = receiver(s->call);
		kit_enter(k, c, "post");
		s->then(k->self, c->op, s->arg);
		kit_leave(k);
	}
	free(s);
	return true;
}

static acme_str place(char **at, const char *s)
{
	size_t len = s ? strlen(s) : 0;
	acme_str out = { *at, len };

	if (len)
		memcpy(*at, s, len);
	*at += len;
	return out;
}

static uint32_t status_of(uint32_t code)
{
	if (code >= 200 && code < 300)
		return ACME_OK;
	if (code == 0 || code == 408 || code == 425 || code == 429 ||
	    code >= 500)
		return ACME_RETRY;
	if (code == 404 || code == 410)
		return ACME_ABSENT;
	if (code == 401 || code == 403 || code == 407)
		return ACME_DENIED;
	return code == 409 || code == 412 ? ACME_CONFLICT : ACME_INVALID;
}

static uint32_t retry_of(const struct answer *a)
{
	for (size_t i = 0; i < a->header_count; i++)
		if (!strncmp(a->headers[i], "Retry-After:", 12))
			return (uint32_t)strtoul(a->headers[i] + 12, NULL, 10) *
			       1000;
	return 0;
}

/* The answer in bytes that are lent. */
static const acme_http_response *lend_answer(kit *k, const struct answer *a)
{
	char words[64];
	size_t size = sizeof(acme_http_response) +
		      a->header_count * sizeof(acme_str) + sizeof words +
		      (a->words ? strlen(a->words) : 0) +
		      (a->body ? strlen(a->body) : 0);

	for (size_t i = 0; i < a->header_count; i++)
		size += strlen(a->headers[i]);
	acme_http_response *r =
	    lents_add(&k->borrowed, size, "own-callback",
		      "the answer that a callback of http received");
	acme_str *headers = (acme_str *)(r + 1);
	char *at = (char *)(headers + a->header_count);
	r->size = sizeof *r;
	r->code = a->code;
	r->status = status_of(a->code);
	r->retry_ms = retry_of(a);
	snprintf(words, sizeof words, "HTTP %u", a->code);
	r->error = place(&at, a->code ? words : a->words);
	for (size_t i = 0; i < a->header_count; i++)
		headers[i] = place(&at, a->headers[i]);
	r->headers = headers;
	r->header_count = a->header_count;
	r->body = place(&at, a->body);
	return r;
}

static void deliver(struct service *s)
{
	struct kit_call *c = s->call;
	kit *k = c->k;

	if (s->kind == SERVICE_FD) {
		struct kit_call *to = receiver(c);
		kit_enter(k, to, "watch_fd");
		s->fd_then(k->self, to->op, s->arg, s->fd, s->events);
		kit_leave(k);
		return;
	}
	kit_enter(k, c,
		  s->kind == SERVICE_HTTP    ? "http"
		  : s->kind == SERVICE_AFTER ? "after"
					     : "work");
	service_drop(s);
	if (s->kind == SERVICE_HTTP)
		s->http_then(k->self, c->op, s->arg,
			     lend_answer(k, &s->answer));
	else if (s->then)
		s->then(k->self, c->op, s->arg);
	kit_leave(k);
}

static bool fd_ready(const struct service *s)
{
	short events = (short)((s->events & ACME_FD_READ ? POLLIN : 0) |
			       (s->events & ACME_FD_WRITE ? POLLOUT : 0));
	struct pollfd fd = { .fd = s->fd, .events = events };

	return poll(&fd, 1, 0) > 0;
}

static bool deliver_ready(kit *k)
{
	for (struct service *s = k->services; s; s = s->next)
		if (!s->dropped &&
		    ((s->kind == SERVICE_HTTP) ||
		     (s->kind == SERVICE_WORK && finished(s)) ||
		     (s->kind == SERVICE_FD && fd_ready(s)))) {
			deliver(s);
			return true;
		}
	return false;
}

/* The host's refusal becomes known to the plugin. */
static bool tell_refused(kit *k)
{
	for (struct kit_call *c = k->calls; c; c = c->next) {
		if (!c->tell_cancel)
			continue;
		c->tell_cancel = false;
		kit_enter(k, c, "cancel");
		if (k->plugin.cancel)
			k->plugin.cancel(k->self, c->op);
		kit_leave(k);
		return true;
	}
	return false;
}

static void advance_to(kit *k, int64_t mono)
{
	if (mono > k->mono) {
		k->now += mono - k->mono;
		k->mono = mono;
	}
}

static bool pass_time(kit *k)
{
	struct service *first = NULL;
	struct kit_call *late = NULL;

	for (struct service *s = k->services; s; s = s->next)
		if (s->kind == SERVICE_AFTER && !s->dropped &&
		    s->due <= k->horizon && (!first || s->due < first->due))
			first = s;
	for (struct kit_call *c = k->calls; c; c = c->next)
		if (c->kind == CALL_ONE && c->live && c->services &&
		    c->deadline <= k->horizon &&
		    (!late || c->deadline < late->deadline))
			late = c;
	if (late && (!first || late->deadline < first->due)) {
		advance_to(k, late->deadline);
		kit_found(k, "op-one-done", "%s: no done before its deadline",
			  late->verb);
		call_end(late);
		return true;
	}
	if (!first)
		return false;
	advance_to(k, first->due);
	deliver(first);
	return true;
}

static bool is_pending(const kit *k)
{
	for (struct kit_call *c = k->calls; c; c = c->next)
		if (c->kind == CALL_ONE && c->live)
			return true;
	return false;
}

/* ---- turns ---- */

int kit_step(kit *k)
{
	reap(k);
	if (tell_refused(k))
		return 1;
	if (k->newest && k->newest->live && kit_fails(k, KIT_FAIL_CANCEL)) {
		call_end(k->newest);
		return 1;
	}
	if (deliver_post(k) || deliver_ready(k))
		return 1;
	if (jobs_run(k)) {
		if (wait_for(k, JOB_MS))
			return 1;
		kit_found(k, "thread-job", "a job did not end within %d s",
			  JOB_MS / 1000);
		return 0;
	}
	if (pass_time(k))
		return 1;
	return is_pending(k) && wait_for(k, GRACE_MS);
}

void kit_run(kit *k)
{
	int turns = 0;

	k->horizon = k->mono + BACKGROUND_MS;
	while (turns++ < TURNS_MAX && kit_step(k))
		continue;
	if (turns >= TURNS_MAX)
		kit_found(k, "op-one-done", "the plugin never comes to rest");
	for (struct kit_call *c = k->calls; c; c = c->next)
		if (c->kind == CALL_ONE && c->live) {
			kit_found(k, "op-one-done", "%s never called done",
				  c->verb);
			call_end(c);
		}
	kit_join(k);
	kit_enter(k, k->root, "turn"); /* takes back what is over now */
	kit_leave(k);
}

int64_t kit_advance(kit *k, uint32_t ms)
{
	int64_t to = k->mono + ms;
	int turns = 0;

	k->horizon = to;
	while (turns++ < TURNS_MAX && kit_step(k))
		continue;
	advance_to(k, to);
	return k->now;
}
