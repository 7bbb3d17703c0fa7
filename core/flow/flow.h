/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/ca.h"
#include "loop/after.h"
#include "loop/loop.h"

/*
 * A flow is one run through a table of steps, and this is the driver of all of
 * them: accounts, orders, authorizations, revocations.
 *
 * A step is a pair of pure halves of an exchange. `ask` says what to send (or
 * that it waits for something else), `hear` reads the answer and names the next
 * state. Neither waits, retries, logs or saves; the driver does, and it changes
 * a flow's state in one place only, flow_goto. So a flow can be read, tested
 * and drawn from its table alone.
 *
 * Threads: the loop's. A flow is embedded in the object that it is about
 * (`self`), which must outlive it up to `done`.
 */
struct flow;

/* What `ask` wants. Negative: an `enum err_code`, with the error set. */
enum flow_ask {
	FLOW_SEND, /* a signed POST of f->ask to the CA */
	FLOW_WAIT, /* somebody calls flow_go_on or flow_fail later */
	FLOW_SKIP, /* nothing to do here: f->next is where to go on */
};

/* How long a step may take in all, and how it waits between tries. */
enum flow_limit {
	FLOW_SHORT, /* one exchange: tries for half a minute */
	FLOW_POLL,  /* the same question until the state changes: 5 minutes */
	FLOW_LONG,  /* waits for others, which have limits of their own */
};

#define FLOW_TO(state) (1u << (state))

struct step {
	const char *name;
	int (*ask)(struct flow *f, struct err *e);
	/* The next state, this one again (a poll), or a negative code. */
	int (*hear)(struct flow *f, const struct ca_answer *a, struct err *e);
	/* A failure that leads somewhere: the next state, or negative for the
	 * usual way (retries, then the end). May be NULL. */
	int (*fault)(struct flow *f, const struct err *e);
	uint32_t may; /* where it may go: FLOW_TO(..) | FLOW_TO(..) */
	enum flow_limit limit;
};

struct flow_table {
	const char *name;
	const struct step *steps;
	int count;
	int done; /* the state in which it ends well */
	/* Makes the state durable, then calls flow_saved; NULL: never saved. */
	void (*save)(struct flow *f);
	/* The end: 0, or the error. The flow may be freed within the call. */
	void (*done_fn)(struct flow *f, int rc, const struct err *e);
};

enum { FLOW_MEM = 1 << 20, FLOW_STEP_MEM = 256 << 10 };

struct flow {
	/* for the steps */
	void *self;
	struct ca *ca;
	struct loop *loop;
	struct ca_request ask; /* filled by `ask`, from step_mem or static */
	int next;              /* filled by `ask` with FLOW_SKIP */
	struct arena mem;      /* lives as long as the flow */
	struct arena step_mem; /* one request and its answer */
	struct log log;
	/* the driver's */
	const struct flow_table *table;
	int state;
	struct call *call;
	struct after *after;
	unsigned tries, polls, hops;
	int64_t entered, started; /* monotonic */
	struct err trouble; /* why a step is tried again; code 0: it is not */
	bool running; /* between flow_start and the end */
};

/* Begins in `state`; nothing happens before the next turn of the loop. The
 * fields "for the steps" are set by the caller, memory limits by us. */
void flow_start(struct flow *f, const struct flow_table *table, int state);

/* A step that waits is over: on to `next`, or it has failed. A failure of class
 * RETRY is tried again by asking again, within the step's limit. */
void flow_go_on(struct flow *f, int next);
void flow_fail(struct flow *f, const struct err *e);

/* For `ask`: the built payload into the request, in the step's memory; frees
 * `body`. Returns FLOW_SEND, or `rc` if that is negative. */
struct buf;
int flow_payload(struct flow *f, struct buf *body, int rc);

/* The answer to `save`; `rc` negative ends the flow with `e`. */
void flow_saved(struct flow *f, int rc, const struct err *e);

/* Drops what is pending, without done_fn, and frees both arenas; for shutdown,
 * for parents, and for the end of every flow. May be called twice. */
void flow_end(struct flow *f);

/* The table as a Mermaid graph, for docs/flows.md and `--flows`. */
void flow_draw(const struct flow_table *table, struct buf *out);

/* The state of this name, or -1. */
int flow_state(const struct flow_table *table, const char *name);

/* Proves the table: names, ways in and out. 0, or -1 with a text. */
int flow_check(const struct flow_table *table, struct err *e);
