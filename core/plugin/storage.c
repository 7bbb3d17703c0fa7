/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a storage plugin. Keys and values are held against the contract of
 * acme/storage.h here, in both directions: a plugin gets no key that it could
 * not store, and what it gives back is as long as it may be.
 */
#include <stdio.h>
#include <string.h>

#include "plugin/op.h"

enum { KEY_DEPTH = 16, KEY_PART = 200 };

struct params {
	acme_str key, value, version;
	uint32_t ms;
	acme_list list;
};

static bool part_ok(const char *part, size_t len)
{
	if (len == 0 || len > KEY_PART ||
	    (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.'))))
		return false;
	for (size_t i = 0; i < len; i++)
		if (part[i] < 0x20 || part[i] > 0x7e)
			return false;
	return true;
}

static bool key_ok(struct str key)
{
	size_t depth = 0;

	if (key.len == 0 || key.len > ACME_KEY_MAX)
		return false;
	for (size_t from = 0, i = 0; i <= key.len; i++)
		if (i == key.len || key.ptr[i] == '/') {
			if (!part_ok(key.ptr + from, i - from))
				return false;
			from = i + 1;
			depth++;
		}
	return depth <= KEY_DEPTH;
}

static struct op *call(struct instance *i, enum op_kind kind, const char *verb,
		       void (*begin)(struct op *op), uint32_t deadline_ms,
		       op_fn *fn, void *arg)
{
	struct op *op = op_call(i, kind, verb, deadline_ms, fn, arg);
	struct params *p = arena_alloc(&op->own, sizeof *p);

	op->begin = begin;
	op->params = p;
	if (!i->plugin->storage)
		op_answer(op, ERR_INVALID, 0, STR("is not for storage"));
	return op;
}

static struct params *params(struct op *op)
{
	return (struct params *)(uintptr_t)op->params;
}

static void need(struct op *op, uint32_t cap, const char *what)
{
	char text[64];

	if (op->state != OP_LIVE || (op->inst->plugin->storage->caps & cap))
		return;
	snprintf(text, sizeof text, "this storage has no %s", what);
	op_answer(op, ERR_INVALID, 0, str_of(text));
}

static void set_key(struct op *op, struct str key, bool may_be_empty)
{
	char text[160];

	if (!(may_be_empty && key.len == 0) && !key_ok(key)) {
		snprintf(text, sizeof text, "'%.*s' cannot be a key",
			 key.len < 100 ? (int)key.len : 100, key.ptr);
		op_answer(op, ERR_INVALID, 0, str_of(text));
		return;
	}
	params(op)->key = op_copy(op, key);
}

/* ---- get, put, del ---- */

static void begin_get(struct op *op)
{
	op->inst->plugin->storage->get(op->inst->self, op->handle,
				       params(op)->key);
}

acme_op instance_get(struct instance *i, struct str key, uint32_t deadline_ms,
		     op_fn *fn, void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "get", begin_get, deadline_ms, fn, arg);

	set_key(op, key, false);
	op_start(op);
	return op->handle;
}

static void begin_put(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->put(op->inst->self, op->handle, p->key,
				       p->value, p->version);
}

acme_op instance_put(struct instance *i, struct str key, struct str value,
		     struct str expect, uint32_t deadline_ms, op_fn *fn,
		     void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "put", begin_put, deadline_ms, fn, arg);

	set_key(op, key, false);
	if (value.len > ACME_VALUE_MAX)
		op_answer(op, ERR_INVALID, 0, STR("value is over 1 MiB"));
	else
		params(op)->value = op_copy(op, value);
	params(op)->version = op_copy(op, expect);
	op_start(op);
	return op->handle;
}

static void begin_del(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->del(op->inst->self, op->handle, p->key,
				       p->version);
}

acme_op instance_del(struct instance *i, struct str key, struct str expect,
		     uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "del", begin_del, deadline_ms, fn, arg);

	set_key(op, key, false);
	params(op)->version = op_copy(op, expect);
	op_start(op);
	return op->handle;
}

/* ---- list ---- */

static void begin_list(struct op *op)
{
	op->inst->plugin->storage->list(op->inst->self, op->handle,
					&params(op)->list);
}

acme_op instance_list(struct instance *i, const struct list_query *q,
		      uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "list", begin_list, deadline_ms, fn, arg);
	acme_list *list = &params(op)->list;

	set_key(op, q->prefix, true);
	list->size = sizeof *list;
	list->flags = q->with_values ? ACME_LIST_VALUES : 0;
	list->limit = q->limit;
	list->prefix = params(op)->key;
	list->cursor = op_copy(op, q->cursor);
	op_start(op);
	return op->handle;
}

/* ---- lock, renew, unlock ---- */

static void begin_lock(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->lock(op->inst->self, op->handle, p->key,
					p->ms);
}

acme_op instance_lock(struct instance *i, struct str name, uint32_t lease_ms,
		      uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "lock", begin_lock, deadline_ms, fn, arg);

	need(op, ACME_STORE_LOCK, "locks");
	set_key(op, name, false);
	params(op)->ms = lease_ms;
	op_start(op);
	return op->handle;
}

static void begin_renew(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->renew(op->inst->self, op->handle, p->key,
					 p->version, p->ms);
}

acme_op instance_renew(struct instance *i, struct str name, struct str lease,
		       uint32_t lease_ms, uint32_t deadline_ms, op_fn *fn,
		       void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "renew", begin_renew, deadline_ms, fn, arg);

	need(op, ACME_STORE_LOCK, "locks");
	set_key(op, name, false);
	params(op)->version = op_copy(op, lease);
	params(op)->ms = lease_ms;
	op_start(op);
	return op->handle;
}

static void begin_unlock(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->unlock(op->inst->self, op->handle, p->key,
					  p->version);
}

acme_op instance_unlock(struct instance *i, struct str name, struct str lease,
			uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op =
	    call(i, OP_CALL, "unlock", begin_unlock, deadline_ms, fn, arg);

	need(op, ACME_STORE_LOCK, "locks");
	set_key(op, name, false);
	params(op)->version = op_copy(op, lease);
	op_start(op);
	return op->handle;
}

/* ---- watch ---- */

static void begin_watch(struct op *op)
{
	const struct params *p = op->params;

	op->inst->plugin->storage->watch(op->inst->self, op->handle, p->key,
					 p->version);
}

acme_op instance_watch(struct instance *i, struct str prefix, struct str point,
		       watch_fn *change, op_fn *fn, void *arg)
{
	struct op *op = call(i, OP_WATCH, "watch", begin_watch, 0, fn, arg);

	op->change = change;
	need(op, ACME_STORE_WATCH, "watch");
	set_key(op, prefix, true);
	params(op)->version = op_copy(op, point);
	op_start(op);
	return op->handle;
}
