/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: who asks, may he, and who answers.
 *
 * Every peer is somebody: root and our own user own the agent, users named in
 * the configuration declare, members of the workers' groups ask. Everybody
 * else is refused before a byte of his is read. The uid comes from the kernel;
 * the overflow uid (what a foreign user namespace looks like) is nobody, ever.
 *
 * A request becomes a `call`. Its handler answers at once or later; a client
 * that leaves only unlinks its calls, what was begun goes on. So a call
 * belongs to its handler, a connection to the stream, and nothing points from
 * a call to the control itself.
 *
 * Workers are the least trusted: short lines, small answers, a bounded number
 * of requests for each connection, so that one that never reads what it asked
 * for cannot make us hold much.
 */
#include "control/control.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/now.h"
#include "control/request.h"
#include "loop/stream.h"
#include "json/json.h"

enum {
	LINE_MAX_WORKER = 4096,
	REPLY_MAX = 64 << 20,
	CALLS_MAX = 64,        /* unanswered, for each connection */
	WORKER_REQUESTS = 100, /* for each connection */
	RATE_BURST = 200,      /* requests at once */
	RATE_EACH_MS = 5,      /* then one in this time */
	CONNECTIONS = 256,
	WORKERS_MAX = CONNECTIONS / 2, /* of these; the rest is the owner's */
	OVERFLOW_ID = 65534,
};

struct conn {
	struct control *control;
	struct stream *stream;
	struct control_peer peer;
	struct conn *next, **prev;
	struct call *calls;
	unsigned pending, requests;
	int64_t allowance_at; /* when the bucket was last looked at */
	int64_t allowance;    /* requests that may come now */
	bool watching;
};

struct call {
	struct control_call open; /* first: what the handler sees */
	struct conn *conn;        /* NULL: the client has gone */
	struct call *next, **prev;
	struct request request;
};

struct control {
	struct control_options options;
	struct stream_listener *listener;
	struct conn *conns;
	uid_t *users;
	gid_t *groups;
	size_t nusers, ngroups, watchers, workers;
	int64_t refused_at;
};

/* Answers */

static json_t *error_object(const struct err *e, const char *code)
{
	char at[NOW_TEXT];
	json_t *error = json_pack("{s:s}", "code", code);

	json_object_set_new(error, "message", json_lossy(e->text));
	if (e->problem[0])
		json_object_set_new(error, "problem", json_string(e->problem));
	if (e->retry_at)
		json_object_set_new(error, "retry_at",
				    json_string(now_text(e->retry_at, 0, at)));
	return error;
}

/* Sends an object and drops it. */
static void send_object(struct stream *s, json_t *message)
{
	struct buf text = BUF_INIT(REPLY_MAX);
	struct err e = { 0 };

	if (!json_text(message, &text, &e))
		stream_send(s, buf_str(&text));
	else
		stream_drop(s);
	buf_free(&text);
	json_decref(message);
}

static void reply_error(struct conn *conn, json_t *id, const struct err *e,
			const char *code)
{
	send_object(conn->stream, json_pack("{s:O,s:o}", "id", id, "error",
					    error_object(e, code)));
}

static void call_free(struct call *call)
{
	if (call->conn) {
		*call->prev = call->next;
		if (call->next)
			call->next->prev = call->prev;
		call->conn->pending--;
	}
	request_free(&call->request);
	free(call);
}

void control_done(struct control_call *open, json_t *result)
{
	struct call *call = (struct call *)open;

	if (call->conn)
		send_object(call->conn->stream,
			    json_pack("{s:O,s:o}", "id", call->request.id,
				      "result",
				      result ? result : json_object()));
	else
		json_decref(result);
	call_free(call);
}

void control_fail(struct control_call *open, const struct err *e)
{
	struct call *call = (struct call *)open;

	if (call->conn)
		reply_error(call->conn, call->request.id, e,
			    err_code_name(e->code));
	call_free(call);
}

/* What control answers itself */

static int ping(void *arg, struct control_call *call, json_t **result,
		struct err *e)
{
	(void)arg, (void)call, (void)e;
	*result = json_pack("{s:s}", "version", ACME_VERSION);
	return 0;
}

static int watch(void *arg, struct control_call *open, json_t **result,
		 struct err *e)
{
	struct conn *conn = ((struct call *)open)->conn;

	(void)arg, (void)result, (void)e;
	if (!conn->watching)
		conn->control->watchers++;
	conn->watching = true;
	return 0;
}

/* Dispatch */

struct method {
	const char *name;
	enum control_who who;
	control_fn *own;
	size_t offset; /* in struct control_ops, when it is not our own */
};

#define OP(name) NULL, offsetof(struct control_ops, name)

/* clang-format off */
static const struct method METHODS[] = {
	{ "ping",    CONTROL_WORKER,   ping, 0 },
	{ "ask",     CONTROL_WORKER,   OP(ask) },
	{ "status",  CONTROL_WORKER,   OP(status) },
	{ "declare", CONTROL_DECLARER, OP(declare) },
	{ "plugins", CONTROL_OWNER,    OP(plugins) },
	{ "issue",   CONTROL_OWNER,    OP(issue) },
	{ "renew",   CONTROL_OWNER,    OP(renew) },
	{ "revoke",  CONTROL_OWNER,    OP(revoke) },
	{ "reload",  CONTROL_OWNER,    OP(reload) },
	{ "watch",   CONTROL_OWNER,    watch, 0 },
};
/* clang-format on */

static const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++)
		if (!strcmp(METHODS[i].name, name))
			return &METHODS[i];
	return NULL;
}

/* Who handles this, or NULL with the error answered. */
static control_fn *choose(struct conn *conn, const struct request *r)
{
	const struct method *method = method_find(r->method);
	control_fn *fn = method ? method->own : NULL;
	struct err e = { 0 };

	if (method && !fn)
		memcpy(&fn,
		       (const char *)conn->control->options.ops +
			   method->offset,
		       sizeof(fn));
	if (!method || !fn) {
		err_set(&e, ERR_INVALID, "%s: there is no such method",
			r->method);
		reply_error(conn, r->id, &e, "unsupported");
		return NULL;
	}
	if (conn->peer.who < method->who)
		err_set(&e, ERR_DENIED, "%s: not for uid %lu", r->method,
			(unsigned long)conn->peer.uid);
	else if (conn->peer.who < CONTROL_DECLARER && fn != ping &&
		 !json_is_string(json_object_get(r->params, "name")))
		err_set(&e, ERR_DENIED, "%s: give a name", r->method);
	else if (conn->pending >= CALLS_MAX)
		err_set(&e, ERR_LIMITED, "%d requests wait for an answer",
			CALLS_MAX);
	if (!e.code)
		return fn;
	reply_error(conn, r->id, &e, err_code_name(e.code));
	return NULL;
}

/* Takes the request. */
static void dispatch(struct conn *conn, struct request *r)
{
	control_fn *fn = choose(conn, r);
	struct err e = { 0 };
	json_t *result = NULL;
	void *arg = conn->control->options.arg;

	if (!fn) {
		request_free(r);
		return;
	}
	struct call *call = mem_alloc(sizeof(*call));
	call->request = *r;
	call->open = (struct control_call){ r->method, r->params, conn->peer };
	call->conn = conn;
	call->next = conn->calls;
	call->prev = &conn->calls;
	if (call->next)
		call->next->prev = &call->next;
	conn->calls = call;
	conn->pending++;
	int rc = fn(arg, &call->open, &result, &e);
	if (rc == CONTROL_LATER)
		return;
	if (rc == 0)
		control_done(&call->open, result);
	else
		control_fail(&call->open, &e);
}

/* A token bucket; true if this request may come now. */
static bool allowed(struct conn *conn)
{
	int64_t now = now_mono();
	int64_t earned = (now - conn->allowance_at) / RATE_EACH_MS;

	if (earned > 0) {
		conn->allowance += earned;
		conn->allowance_at += earned * RATE_EACH_MS;
	}
	if (conn->allowance > RATE_BURST)
		conn->allowance = RATE_BURST;
	if (conn->allowance <= 0)
		return false;
	conn->allowance--;
	return true;
}

static void on_line(void *arg, struct stream *s, struct str line)
{
	struct conn *conn = stream_get(s);
	struct request request;
	struct err e = { 0 };
	bool worker = conn->peer.who == CONTROL_WORKER;

	(void)arg;
	if (worker && conn->requests++ == WORKER_REQUESTS) {
		stream_close(s); /* he may come again */
		return;
	}
	int rc = request_parse(line, &request, &e);
	if (!rc && !allowed(conn))
		rc = err_set(&e, ERR_LIMITED, "too many requests");
	if (rc) {
		reply_error(conn, request.id, &e, err_code_name(rc));
		request_free(&request);
	} else {
		dispatch(conn, &request);
	}
}

/* Peers */

static enum control_who who_is(const struct control *c,
			       const struct stream_peer *peer)
{
	if (peer->uid == OVERFLOW_ID)
		return CONTROL_NOBODY;
	if (peer->uid == 0 || peer->uid == geteuid())
		return CONTROL_OWNER;
	for (size_t i = 0; i < c->nusers; i++)
		if (peer->uid == c->users[i])
			return CONTROL_DECLARER;
	for (size_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] != OVERFLOW_ID &&
		    stream_peer_in(peer, c->groups[i]))
			return CONTROL_WORKER;
	return CONTROL_NOBODY;
}

/* One line a second is enough to see that somebody tries. */
static void log_refused(struct control *c, const struct stream_peer *peer)
{
	int64_t now = now_mono();

	if (c->refused_at && now - c->refused_at < 1000)
		return;
	c->refused_at = now;
	log_warn(c->options.log, "control refused", "uid=%lu gid=%lu pid=%ld",
		 (unsigned long)peer->uid, (unsigned long)peer->gid,
		 (long)peer->pid);
}

static bool on_open(void *arg, struct stream *s, const struct stream_peer *peer)
{
	struct control *c = arg;
	enum control_who who = who_is(c, peer);

	if (who == CONTROL_NOBODY) {
		log_refused(c, peer);
		return false;
	}
	if (who == CONTROL_WORKER && c->workers == WORKERS_MAX)
		return false;
	c->workers += who == CONTROL_WORKER;
	struct conn *conn = mem_alloc(sizeof(*conn));
	conn->control = c;
	conn->stream = s;
	conn->peer = (struct control_peer){ peer->uid, peer->gid, who };
	conn->allowance = RATE_BURST;
	conn->allowance_at = now_mono();
	conn->next = c->conns;
	conn->prev = &c->conns;
	if (conn->next)
		conn->next->prev = &conn->next;
	c->conns = conn;
	stream_set(s, conn);
	if (who == CONTROL_WORKER)
		stream_limit(s, LINE_MAX_WORKER);
	return true;
}

static void on_end(void *arg, struct stream *s, const char *why)
{
	struct control *c = arg;
	struct conn *conn = stream_get(s);

	(void)why;
	for (struct call *call = conn->calls; call; call = call->next)
		call->conn = NULL;
	if (conn->watching)
		c->watchers--;
	c->workers -= conn->peer.who == CONTROL_WORKER;
	*conn->prev = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	free(conn);
}

static const struct stream_ops STREAM_OPS = { on_open, on_line, on_end };

/* Life */

int control_open(struct control **out, const struct control_options *options,
		 struct err *e)
{
	struct control *c = mem_alloc(sizeof(*c));
	struct stream_options stream = {
		.path = options->path,
		.mode = 0666, /* who may ask is decided by uid */
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.max_line = REQUEST_MAX,
		.max_queue = REPLY_MAX,
		.max_connections = CONNECTIONS,
		.max_per_uid = CONNECTIONS / 2,
	};

	c->options = *options;
	if (stream_listen(options->loop, &stream, &STREAM_OPS, c, &c->listener,
			  e)) {
		free(c);
		return err_in(e, "control socket");
	}
	*out = c;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	stream_listener_close(&control->listener);
	free(control->users);
	free(control->groups);
	free(control);
}

void control_allow(struct control *control, const uid_t *users, size_t nusers,
		   const gid_t *groups, size_t ngroups)
{
	free(control->users);
	free(control->groups);
	control->users = mem_array(nusers + 1, sizeof(*users));
	control->groups = mem_array(ngroups + 1, sizeof(*groups));
	for (size_t i = 0; i < nusers; i++)
		control->users[i] = users[i];
	for (size_t i = 0; i < ngroups; i++)
		control->groups[i] = groups[i];
	control->nusers = nusers;
	control->ngroups = ngroups;
}

/* Events */

void control_event(struct control *control, const char *name, json_t *values)
{
	struct buf text = BUF_INIT(1 << 20);
	struct err e = { 0 };
	char at[NOW_TEXT];
	json_t *event;

	if (!control->watchers) {
		json_decref(values);
		return;
	}
	event = json_pack("{s:s,s:s}", "event", name, "at",
			  now_text(now_wall(), 1, at));
	if (values)
		json_object_update_missing(event, values);
	json_decref(values);
	if (!json_text(event, &text, &e))
		for (struct conn *i = control->conns; i; i = i->next)
			if (i->watching)
				stream_send(i->stream, buf_str(&text));
	json_decref(event);
	buf_free(&text);
}

bool control_watched(const struct control *control)
{
	return control->watchers > 0;
}
