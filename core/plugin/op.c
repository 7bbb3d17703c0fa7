/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: one question to a plugin, its memory, its deadline, its answer.
 *
 * The table of handles is one for the process, because a handle must mean the
 * same wherever it comes from: the functions of the host table get nothing but
 * a handle. A handle is slot and generation; when an op is freed its slot's
 * generation moves, so a handle that outlived its op finds nothing. The loop's
 * thread alone changes the table, under the lock; it reads without, and other
 * threads (`log`, `post`, and `alloc` of a job) read with the lock held.
 *
 * The states are drawn in op.h. Every way out of LIVE is op_answer or op_end.
 */
#include "plugin/op.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "loop/after.h"
#include "plugin/option.h"
#include "plugin/plugins.h"

enum {
	HELD_MS = 20, /* a plugin may not hold the loop for longer */
	DEADLINE_MS = 60000,
	MEM_CALL = 1 << 20,
	MEM_STORE = 64 << 20,
	OUT_CALL = 64 << 10,
	COOKIE_MAX = 4096,
	OUT_STORE = 64 << 20,
	OWN_MAX = 4 << 20, /* arguments: a value and its words */
};

struct slot {
	struct op *op;
	uint32_t generation;
	uint32_t next_free; /* index + 1 */
};

static struct {
	pthread_mutex_t lock;
	struct slot *slots;
	uint32_t count, room, first_free;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- handles ---- */

static int slot_take(struct op *op)
{
	uint32_t at;

	pthread_mutex_lock(&table.lock);
	if (table.first_free) {
		at = table.first_free - 1;
		table.first_free = table.slots[at].next_free;
	} else if (op->kind != OP_CHILD || table.count < OP_MAX) {
		if (table.count == table.room) {
			table.room = table.room ? table.room * 2 : 64;
			table.slots = mem_grow(table.slots, table.room,
					       sizeof *table.slots);
		}
		at = table.count++;
		table.slots[at] = (struct slot){ .generation = 1 };
	} else {
		pthread_mutex_unlock(&table.lock);
		return -1;
	}
	table.slots[at].op = op;
	op->handle.id = (uint64_t)table.slots[at].generation << 32 | (at + 1);
	pthread_mutex_unlock(&table.lock);
	return 0;
}

static void slot_give(struct op *op)
{
	uint32_t at = (uint32_t)op->handle.id - 1;

	pthread_mutex_lock(&table.lock);
	table.slots[at].op = NULL;
	if (++table.slots[at].generation == 0)
		table.slots[at].generation = 1;
	table.slots[at].next_free = table.first_free;
	table.first_free = at + 1;
	pthread_mutex_unlock(&table.lock);
}

struct op *op_find(acme_op handle)
{
	uint32_t at = (uint32_t)handle.id - 1;

	if ((uint32_t)handle.id == 0 || at >= table.count ||
	    table.slots[at].generation != (uint32_t)(handle.id >> 32))
		return NULL;
	return table.slots[at].op;
}

struct op *op_lock(acme_op handle)
{
	pthread_mutex_lock(&table.lock);
	return op_find(handle);
}

void op_unlock(void)
{
	pthread_mutex_unlock(&table.lock);
}

/* ---- birth and death ---- */

static struct op **list_of(struct op *op)
{
	return op->parent ? &op->parent->children : &op->inst->ops;
}

static void link_op(struct op *op)
{
	struct op **head = list_of(op);

	op->next = *head;
	if (op->next)
		op->next->prev = op;
	*head = op;
	if (op->parent)
		op->parent->pins++;
	else
		op->inst->busy++;
}

static void unlink_op(struct op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		*list_of(op) = op->next;
	if (op->next)
		op->next->prev = op->prev;
}

struct op *op_new(struct instance *inst, enum op_kind kind, struct op *parent,
		  const char *verb)
{
	struct op *op = mem_alloc(sizeof *op);
	bool store = inst->plugin->storage && kind != OP_ROOT;

	op->kind = kind;
	op->inst = inst;
	op->parent = parent;
	op->verb = verb;
	op->mem = ARENA_INIT(store ? MEM_STORE : MEM_CALL);
	op->own = ARENA_INIT(OWN_MAX);
	op->out = ARENA_INIT(store ? OUT_STORE : OUT_CALL);
	op->started = now_mono();
	if (slot_take(op) < 0) {
		free(op);
		return NULL;
	}
	/* a child's lines are its parent's */
	if (kind == OP_CALL || kind == OP_WATCH)
		log_init(&op->log, &inst->log, NULL, "call=%s op=%u", verb,
			 (unsigned)op->handle.id);
	else
		log_init(&op->log, parent ? &parent->log : &inst->log, NULL,
			 NULL);
	if (kind != OP_ROOT)
		link_op(op);
	return op;
}

static void begin(struct op *op)
{
	op->waiting = false;
	op_enter(op);
	op->begin(op);
	op_leave(op, op->verb);
}

/* The oldest op that waits for this scope may begin. */
static void next_of_scope(struct instance *inst, const char *scope)
{
	struct op *oldest = NULL;

	for (struct op *o = inst->ops; o; o = o->next)
		if (o->waiting && o->state == OP_LIVE && o->scope &&
		    !strcmp(o->scope, scope))
			oldest = o;
	if (oldest)
		begin(oldest);
}

static void op_free(struct op *op)
{
	struct instance *inst = op->inst;
	struct op *parent = op->parent;
	struct arena own = op->own;
	const char *scope = op->waiting ? NULL : op->scope;
	enum op_kind kind = op->kind;

	after_cancel(&op->deadline);
	after_cancel(&op->delivery);
	after_cancel(&op->changes);
	if (kind != OP_ROOT)
		unlink_op(op);
	slot_give(op);
	arena_wipe(&op->mem);
	arena_wipe(&op->out);
	free(op->entries);
	free(op);
	if (kind == OP_CALL || kind == OP_WATCH) {
		if (scope)
			next_of_scope(inst, scope);
		inst->busy--;
		instance_settle(inst);
	}
	arena_wipe(&own);
	if (parent)
		op_unpin(parent);
	if (kind == OP_ROOT)
		instance_gone(inst);
}

/* Frees it if it may go. */
static void settle(struct op *op)
{
	if (op->pins)
		return;
	if (op->kind == OP_CHILD && op->state == OP_LIVE && !op->services)
		op->state = OP_ENDED;
	if (op->state == OP_ENDED)
		op_free(op);
	else if (op->kind == OP_ROOT)
		instance_settle(op->inst);
}

void op_pin(struct op *op)
{
	op->pins++;
}

void op_unpin(struct op *op)
{
	op->pins--;
	settle(op);
}

/* ---- calling the plugin ---- */

void op_enter(struct op *op)
{
	struct instance *inst = op->inst;

	op_pin(op);
	if (inst->depth++ == 0)
		inst->entered = now_mono();
}

void op_leave(struct op *op, const char *what)
{
	struct instance *inst = op->inst;

	if (--inst->depth == 0) {
		int64_t took = now_mono() - inst->entered;
		if (took > HELD_MS)
			log_warn(&op->log, "plugin held the loop",
				 "in=%s took=%lldms", what, (long long)took);
		while (inst->lent_count)
			secret_free(&inst->lent[--inst->lent_count]);
	}
	op_unpin(op);
}

/* ---- ways out of LIVE ---- */

void op_drop(struct op *op)
{
	struct op *next;

	host_drop(op);
	for (struct op *child = op->children; child; child = next) {
		next = child->next;
		op_end(child);
	}
}

void op_end(struct op *op)
{
	if (op->state == OP_LIVE) {
		op->state = OP_ENDED;
		op_pin(op);
		op_drop(op);
		op_unpin(op);
	}
}

static void deliver_changes(struct op *op)
{
	struct op_entry *entries = op->entries;
	struct arena out = op->out;
	size_t count = op->count;

	op->entries = NULL;
	op->count = op->room = 0;
	op->out = ARENA_INIT(out.max);
	for (size_t i = 0; i < count && op->change; i++)
		op->change(op->arg, &entries[i]);
	arena_wipe(&out);
	free(entries);
}

static void on_changes(void *arg)
{
	struct op *op = arg;

	op->changes = NULL;
	op_pin(op);
	deliver_changes(op);
	op_unpin(op);
}

static void tell(struct op *op)
{
	struct op_result res = {
		.code = op->code,
		.retry_ms = op->retry_ms,
		.text = op->text,
		.entries = op->entries,
		.count = op->count,
		.cursor = op->cursor,
		.point = op->point,
		.took_ms = (uint32_t)(now_mono() - op->started),
	};

	if (op->challenge) {
		if (op->count)
			res.cookie = op->entries[op->count - 1].value;
		res.count = 0;
	}
	op->fn(op->arg, &res);
}

/* That we ended it. */
static void tell_plugin(struct op *op)
{
	if (!op->inst->plugin->cancel)
		return;
	op_enter(op);
	op->inst->plugin->cancel(op->inst->self, op->handle);
	op_leave(op, "cancel");
}

static void on_delivery(void *arg)
{
	struct op *op = arg;

	op->delivery = NULL;
	op_pin(op);
	if (op->refused)
		tell_plugin(op);
	if (op->kind == OP_WATCH && op->count)
		deliver_changes(op);
	op->state = OP_ENDED;
	if (op->fn)
		tell(op);
	op_unpin(op);
}

void op_answer(struct op *op, enum err_code code, uint32_t retry_ms,
	       struct str text)
{
	if (op->state != OP_LIVE)
		return;
	op->state = OP_ANSWERED;
	op->code = code;
	op->retry_ms = retry_ms;
	size_t len =
	    text.len < sizeof op->text ? text.len : sizeof op->text - 1;
	if (len)
		memcpy(op->text, text.ptr, len);
	op->text[len] = '\0';
	for (char *c = op->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	instance_scrub(op->inst, op->text);
	after_cancel(&op->deadline);
	after_cancel(&op->changes);
	op_pin(op);
	op_drop(op);
	op->delivery = after_start(op->inst->plugins->loop, 0, on_delivery, op);
	op_unpin(op);
}

void op_abort(struct op *op, enum err_code code, const char *text)
{
	bool begun = !op->waiting;

	if (op->state != OP_LIVE)
		return;
	op_pin(op);
	op->aborted = true;
	op_answer(op, code, 0, str_of(text));
	if (begun)
		tell_plugin(op);
	op_unpin(op);
}

void op_cancel(acme_op handle)
{
	struct op *op = op_find(handle);

	if (!op || op->kind == OP_ROOT || op->kind == OP_CHILD)
		return;
	op->fn = NULL;
	op->change = NULL;
	op_abort(op, ERR_CANCELED, "canceled");
}

/* ---- starting ---- */

static void on_deadline(void *arg)
{
	struct op *op = arg;
	char text[64];

	op->deadline = NULL;
	snprintf(text, sizeof text, "no answer within %u ms", op->deadline_ms);
	op_abort(op, ERR_RETRY, text);
}

struct op *op_call(struct instance *inst, enum op_kind kind, const char *verb,
		   uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op = op_new(inst, kind, NULL, verb);

	op->fn = fn;
	op->arg = arg;
	op->deadline_ms = deadline_ms ? deadline_ms : DEADLINE_MS;
	if (kind == OP_CALL)
		op->deadline = after_start(inst->plugins->loop, op->deadline_ms,
					   on_deadline, op);
	if (inst->closing)
		op_answer(op, ERR_CANCELED, 0, STR("instance is closing"));
	return op;
}

void op_start(struct op *op)
{
	if (op->state != OP_LIVE)
		return;
	for (struct op *o = op->scope ? op->inst->ops : NULL; o; o = o->next)
		if (o != op && o->scope && !strcmp(o->scope, op->scope) &&
		    (!o->waiting || o->state == OP_LIVE)) {
			op->waiting = true;
			return;
		}
	begin(op);
}

acme_str op_copy(struct op *op, struct str s)
{
	char *copy = s.ptr ? arena_strndup(&op->own, s) : NULL;

	if (s.ptr && !copy)
		op_answer(op, ERR_INVALID, 0, STR("arguments are too large"));
	return (acme_str){ copy, copy ? s.len : 0 };
}

/* ---- what the plugin says ---- */

static int keep(struct op *op, acme_str s, struct str *out, struct err *e)
{
	char *copy =
	    arena_strndup(&op->out, (struct str){ s.ptr, s.ptr ? s.len : 0 });

	if (!copy)
		return err_set(e, ERR_BROKEN, "%s: emitted over %zu bytes",
			       op->verb, op->out.max);
	*out = (struct str){ copy, s.ptr ? s.len : 0 };
	return 0;
}

int op_emit(struct op *op, const acme_entry *theirs, struct err *e)
{
	acme_entry entry;
	struct op_entry new = { 0 };

	memset(&entry, 0, sizeof entry);
	memcpy(&entry, theirs,
	       theirs->size < sizeof entry ? theirs->size : sizeof entry);
	if (op->challenge && entry.value.len > COOKIE_MAX)
		return err_set(e, ERR_BROKEN,
			       "emitted a cookie of over %d bytes", COOKIE_MAX);
	if (keep(op, entry.key, &new.key, e) < 0 ||
	    keep(op, entry.value, &new.value, e) < 0 ||
	    keep(op, entry.version, &new.version, e) < 0)
		return e->code;
	if (entry.flags & ACME_ENTRY_END) {
		op->cursor = new.key;
		op->point = new.version;
		return 0;
	}
	new.flags = entry.flags &(ACME_ENTRY_DELETED | ACME_ENTRY_RESYNC);
	if (op->count == op->room) {
		op->room = op->room ? op->room * 2 : 8;
		op->entries =
		    mem_grow(op->entries, op->room, sizeof *op->entries);
	}
	op->entries[op->count++] = new;
	if (op->kind == OP_WATCH && !op->changes)
		op->changes =
		    after_start(op->inst->plugins->loop, 0, on_changes, op);
	return 0;
}

enum err_code op_code_of(acme_status status)
{
	switch (status) {
	case ACME_OK:
		return ERR_OK;
	case ACME_RETRY:
		return ERR_RETRY;
	case ACME_ABSENT:
		return ERR_ABSENT;
	case ACME_CONFLICT:
		return ERR_CONFLICT;
	case ACME_DENIED:
		return ERR_DENIED;
	case ACME_INVALID:
		return ERR_INVALID;
	case ACME_CANCELED:
		return ERR_CANCELED;
	case ACME_DECLINED:
		return ERR_DECLINED;
	case ACME_NOSPACE:
		return ERR_NOSPACE;
	case ACME_BROKEN:
	default:
		return ERR_BROKEN;
	}
}
