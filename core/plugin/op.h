/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"
#include "plugin/instance.h"

/*
 * Inside core/plugin only: operations and instances as the host sees them.
 *
 *   root    one for each instance, from open to close
 *   call    a question of the agent's; ends with one answer
 *   watch   a call that goes on until it breaks or is cancelled
 *   child   one callback on a root or watch, and what follows from it
 *
 *            done, deadline, cancel            next turn, fn(result)
 *   LIVE  ------------------------> ANSWERED ------------------------> ENDED
 *
 * In LIVE the plugin may use services. On the way out of LIVE all of them are
 * dropped. An op that has ended is freed when nothing pins it: a job that runs,
 * a child, or a frame of ours that is calling the plugin.
 */
struct after;
struct service;

enum op_kind { OP_ROOT, OP_CALL, OP_WATCH, OP_CHILD };
enum op_state { OP_LIVE, OP_ANSWERED, OP_ENDED };

struct op {
	acme_op handle;
	enum op_kind kind;
	enum op_state state;
	const char *verb; /* "present" */
	struct instance *inst;
	struct op *prev,
	    *next; /* of the instance's ops, or parent's children */
	struct op *parent, *children;
	struct service *services;
	unsigned pins;
	struct log log;
	struct arena mem; /* what the plugin allocated */
	struct arena own; /* copies of arguments */
	struct arena out; /* what was emitted */

	struct op_entry *entries;
	size_t count, room;
	struct str cursor, point;

	enum err_code code;
	uint32_t retry_ms;
	char text[512];

	struct after *deadline, *delivery, *changes;
	op_fn *fn;
	watch_fn *change;
	void *arg;
	int64_t started;
	uint32_t deadline_ms;

	acme_challenge *challenge; /* of present and cleanup */
	const char *scope;         /* must not run beside another of this one */
	bool waiting;              /* for the scope; not begun yet */
	bool aborted;              /* by us: a late done is no fault */
	bool refused;              /* a service was; cancel follows */
	void (*begin)(struct op *op);
	const void *params; /* of begin; in `own` */
};

struct instance {
	struct plugins *plugins;
	const struct plugin *plugin;
	char *name;
	struct log log;
	struct options *options;
	struct instance_hooks hooks;
	void *self;
	struct op *root;
	struct op *ops; /* calls and watches, the newest first */
	size_t busy;

	/* the call that the plugin is in now */
	unsigned depth;
	int64_t entered;
	struct secret *lent; /* secrets to wipe when it returns */
	size_t lent_count;

	bool opening, open_said, failed;
	struct err open_err;
	bool closing, root_ended;
	struct after *drain, *closer;
	instance_closed_fn *closed;
	void *closed_arg;
};

/* ---- op.c ---- */

enum { OP_MAX = 65536 }; /* in flight, in the whole process */

/* NULL only for a child, when there are too many. Linked to its instance or
 * parent. */
struct op *op_new(struct instance *inst, enum op_kind kind, struct op *parent,
		  const char *verb);

/* The op of a handle, any state; NULL if it was freed. The loop's thread. */
struct op *op_find(acme_op handle);

/* For other threads: with the lock held until op_unlock. */
struct op *op_lock(acme_op handle);
void op_unlock(void);

/* Around each call of a function of the plugin. */
void op_enter(struct op *op);
void op_leave(struct op *op, const char *what);

void op_pin(struct op *op);
void op_unpin(struct op *op);

/* Leaves LIVE with this answer, to be delivered in the next turn. */
void op_answer(struct op *op, enum err_code code, uint32_t retry_ms,
	       struct str text);

/* op_answer, and the plugin is told to forget it. */
void op_abort(struct op *op, enum err_code code, const char *text);

/* Drops what is pending on it and ends its children. */
void op_drop(struct op *op);

/* Ends a root or child: no answer. */
void op_end(struct op *op);

/* Starts a call: now, or when its scope is free. */
void op_start(struct op *op);

/* Appends what was emitted; ERR_BROKEN over the bound. */
int op_emit(struct op *op, const acme_entry *entry, struct err *e);

/* A call or watch, with fn; one that already failed if the instance closes.
 * `deadline_ms` 0: one minute; none for a watch. */
struct op *op_call(struct instance *inst, enum op_kind kind, const char *verb,
		   uint32_t deadline_ms, op_fn *fn, void *arg);

/* Copies into op->own, NUL-terminated; a NULL pointer stays one. */
acme_str op_copy(struct op *op, struct str s);

enum err_code op_code_of(acme_status status);

/* ---- instance.c ---- */

/* Replaces the instance's secrets in `text` by "***". */
void instance_scrub(const struct instance *inst, char *text);

/* Something of the instance ended: if it is closing, go on with that. */
void instance_settle(struct instance *inst);

/* The root was freed: the end of the instance. */
void instance_gone(struct instance *inst);

/* ---- host.c, service.c ---- */

extern const acme_host HOST;

/* Drops all that is pending; callbacks do not run. Jobs end by themselves. */
void host_drop(struct op *op);
/* Is this the loop's thread? Set by plugins_new. */
void host_here(void);
