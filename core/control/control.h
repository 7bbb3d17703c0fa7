/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"

/*
 * The control socket: one line of JSON for each message (docs/control.md).
 *
 *   {"id":1,"method":"status","params":{}}
 *   {"id":1,"result":{}}  or  {"id":1,"error":{"code":"absent","message":"..."}}
 *
 * It knows who is asking and who may ask what; what an answer contains is the
 * business of the handlers, which the agent injects. `ping` and `watch` are
 * answered here. Everything on the loop thread.
 */
struct control;
struct loop;

/* What a peer may do; each includes those before it. */
enum control_who {
	CONTROL_NOBODY,
	CONTROL_WORKER,   /* ping, ask, status of a name: an nginx's group */
	CONTROL_DECLARER, /* declare: users named in an [nginx] section */
	CONTROL_OWNER,    /* everything: root and the agent's own user */
};

struct control_peer {
	uid_t uid;
	gid_t gid;
	enum control_who who;
};

/* One request that was accepted. Borrowed by a handler until it returns, or,
 * when it returned CONTROL_LATER, until it was completed. */
struct control_call {
	const char *method;
	json_t *params; /* always an object; the call's own */
	struct control_peer peer;
};

/*
 * Returns 0 with a new reference in `*result` (NULL: an empty object), a
 * negative code with `e` filled, or CONTROL_LATER: then exactly one of
 * control_done and control_fail follows, at any time, also when the client or
 * the whole control has gone meanwhile (that only frees the call).
 */
enum { CONTROL_LATER = 1 };
typedef int control_fn(void *arg, struct control_call *call, json_t **result,
                       struct err *e);

/* Takes `result` (NULL: an empty object). */
void control_done(struct control_call *call, json_t *result);
void control_fail(struct control_call *call, const struct err *e);

/* NULL members answer "not supported". Params and results: docs/control.md. */
struct control_ops {
	control_fn *status;
	control_fn *plugins;
	control_fn *issue;   /* {"name"} */
	control_fn *renew;   /* {"name"} or {"all":true}; "wait" */
	control_fn *revoke;  /* {"name"} or {"certificate":PEM}; "reason" */
	control_fn *reload;
	control_fn *declare; /* {"owner","certificates":[...]} */
	control_fn *ask;     /* {"name","client"} */
};

struct control_options {
	struct loop *loop;
	const struct log *log;
	const char *path; /* of the socket; at most 107 bytes */
	const struct control_ops *ops; /* live as long as the control */
	void *arg;
};

/* Listens. A stale socket is replaced; one that answers is ERR_CONFLICT. */
int control_open(struct control **out, const struct control_options *options,
                 struct err *e);
/* Removes the socket, drops all clients; calls still to be completed stay
 * valid. The memory goes when the loop has turned. NULL is fine. */
void control_close(struct control *control);

/* Who else than root and ourselves may come; replaces what was set before. The
 * arrays are copied. Users declare, groups (of workers) ask. */
void control_allow(struct control *control, const uid_t *users, size_t nusers,
                   const gid_t *groups, size_t ngroups);

/* Sends {"event":NAME,"at":TIME, and the members of `values`} to all that
 * watch; takes `values` (an object or NULL). A watcher that does not read is
 * dropped. */
void control_event(struct control *control, const char *name, json_t *values);
/* Is anybody watching? Spares making values for nobody. */
bool control_watched(const struct control *control);
