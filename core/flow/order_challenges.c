/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The challenges of an order: its authorizations side by side, the saving of
 * what they choose to present (one write for all that want one), and the
 * cleanup of what was presented.
 */
#include "flow/order_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/after.h"

enum { CLEANUP_MS = 60 * 1000 };

/* ------------------------------------------------- the record, saved */

static void save_next(struct order *o);

static void saved(void *arg, int rc, const struct err *e, struct str value,
                  struct str version)
{
	struct order *o = arg;
	bool transition = o->transition;

	(void)value;
	(void)version;
	o->save = NULL;
	o->transition = false;
	for (size_t i = 0; i < o->record.authz_count && o->children; i++) {
		struct child *c = &o->children[i];
		if (!c->saving)
			continue;
		c->saving = false;
		authorization_saved(c->authorization, rc, e);
	}
	if (transition) {
		flow_saved(&o->flow, rc, e);
		return;
	}
	save_next(o);
}

static void save_record(struct order *o)
{
	struct buf text = BUF_INIT(RECORD_MAX);
	struct err e;

	free(o->record.state);
	o->record.state = mem_strdup(ORDER_FLOW.steps[o->flow.state].name);
	o->dirty = false; /* a save that fails ends the order */
	if (order_record_write(&o->record, &text) == 0) {
		o->save = store_put(o->env->store, o->record_key,
		                    buf_str(&text), EXPECT_ANY, saved, o);
	} else {
		err_set(&e, ERR_NOSPACE, "the order's record is over %d bytes",
		        RECORD_MAX);
		saved(o, e.code, &e, STR(""), STR(""));
	}
	buf_free(&text);
}

/* One write for all children that want one by now. */
static void save_next(struct order *o)
{
	bool wanted = false;

	if (o->save || !o->children)
		return;
	for (size_t i = 0; i < o->record.authz_count; i++) {
		struct child *c = &o->children[i];
		c->saving = c->wants_save;
		c->wants_save = false;
		wanted = wanted || c->saving;
	}
	if (wanted)
		save_record(o);
}

static void child_wants_save(void *arg, struct authorization *a)
{
	struct child *c = arg;

	(void)a;
	c->wants_save = true;
	save_next(c->order);
}

/*
 * What an order needs to go on after a crash is its key, its URL, what was
 * presented, and that it is at its end; all else the CA tells again. So only a
 * transition that adds to these is written: each write waits for a disk, or for
 * another machine.
 */
void order_save(struct flow *f)
{
	struct order *o = f->self;

	if (!o->dirty && f->state >= ORDER_AUTHORIZE &&
	    f->state < ORDER_EXPLAIN) {
		flow_saved(f, 0, NULL);
		return;
	}
	o->transition = true;
	/* At its end, and where it begins anew, there is nothing to keep. */
	if (f->state == ORDER_DONE || f->state == ORDER_KEY)
		o->save = store_del(o->env->store, o->record_key, saved, o);
	else
		save_record(o);
}

/* ---------------------------------------------------------- authorize */

void order_free_children(struct order *o)
{
	for (size_t i = 0; i < o->record.authz_count && o->children; i++) {
		authorization_free(o->children[i].authorization);
		if (o->children[i].cleanup.id)
			op_cancel(o->children[i].cleanup);
	}
	free(o->children);
	o->children = NULL;
	o->busy = 0;
}

static void make_children(struct order *o)
{
	order_free_children(o);
	o->children = mem_array(o->record.authz_count, sizeof *o->children);
	for (size_t i = 0; i < o->record.authz_count; i++) {
		o->children[i].order = o;
		o->children[i].record = &o->record.authz[i];
	}
	o->child_error = (struct err){ 0 };
}

/* All children have ended; on a turn of its own, since the order may be freed
 * in here and a child's end is called from many places. */
static void settled(void *arg)
{
	struct order *o = arg;
	struct err copy = o->child_error;

	o->settle = NULL;
	if (copy.code)
		flow_fail(&o->flow, &copy);
	else
		flow_go_on(&o->flow, ORDER_READY);
}

static void authorized(void *arg, int rc, const struct err *e)
{
	struct child *c = arg;
	struct order *o = c->order;

	/* What must be given up outweighs what may be tried again. */
	if (rc < 0 && (!o->child_error.code ||
	               o->child_error.code == ERR_RETRY))
		o->child_error = *e;
	if (--o->busy == 0)
		o->settle = after_start(o->flow.loop, 0, settled, o);
}

int order_ask_authorize(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	if (o->record.authz_count == 0) {
		f->next = ORDER_READY;
		return FLOW_SKIP;
	}
	make_children(o);
	o->busy = o->record.authz_count;
	for (size_t i = 0; i < o->record.authz_count; i++) {
		struct child *c = &o->children[i];
		struct authorization_setup set = {
			.env = o->env,
			.ca = f->ca,
			.log = &f->log,
			.record = c->record,
			.challenges = &o->spec.challenges,
			.save = child_wants_save,
			.fn = authorized,
			.arg = c,
		};
		c->authorization = authorization_start(&set);
	}
	return FLOW_WAIT;
}

/* -------------------------------------------------------------- cleanup */

static void cleanup_answered(void *arg, const struct op_result *res)
{
	struct child *c = arg;
	struct order *o = c->order;
	struct err e = { 0 };

	c->cleanup = (acme_op){ 0 };
	if (authorization_answer(o->env, c->record, res, &e) < 0) {
		err_in(&e, "%s", c->record->identifier);
		log_err(&o->flow.log, LOG_LEVEL_WARN, "cleanup failed", &e);
	}
	if (--o->busy == 0)
		flow_go_on(&o->flow, order_after_cleanup(o));
}

/* True if there was something to ask. */
static bool clean(struct child *c)
{
	struct order *o = c->order;
	const struct authz_record *r = c->record;
	struct instance *inst =
		r->instance ? o->env->instance(o->env->arg, r->instance) : NULL;
	struct challenge_words words;
	bool asked = false;

	if (!inst)
		return false;
	if (authorization_challenge(r, ca_key(o->flow.ca), &words)) {
		c->cleanup = instance_cleanup(inst, &words.challenge,
		                              CLEANUP_MS, cleanup_answered, c);
		asked = true;
	}
	buf_free(&words.key_authorization);
	return asked;
}

int order_ask_cleanup(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	make_children(o);
	for (size_t i = 0; i < o->record.authz_count; i++)
		if (clean(&o->children[i]))
			o->busy++;
	f->next = order_after_cleanup(o);
	return o->busy ? FLOW_WAIT : FLOW_SKIP;
}
