/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a challenge plugin: present and cleanup (RFC 8555 section 8).
 *
 * The plugin gets a copy that lives as long as the operation, so that its
 * callbacks may look at it, and what does not run side by side (its lock scope)
 * waits here. Zones are not known to us yet, so ZONE is as wide as ACCOUNT.
 */
#include <string.h>

#include "plugin/op.h"

enum { VALUES_MAX = 1000 };

static acme_str copy(struct op *op, acme_str s)
{
	return op_copy(op, (struct str){ s.ptr ? s.ptr : "", s.len });
}

static acme_challenge *copy_challenge(struct op *op, const acme_challenge *c)
{
	acme_challenge *out = arena_alloc(&op->own, sizeof *out);
	size_t count = c->record_value_count;
	acme_str *values;

	if (count > VALUES_MAX)
		op_answer(op, ERR_INVALID, 0, STR("too many record values"));
	if (op->state != OP_LIVE || !out)
		return NULL;
	values = arena_alloc(&op->own, (count + 1) * sizeof *values);
	for (size_t i = 0; values && i < count; i++)
		values[i] = copy(op, c->record_values[i]);
	out->size = sizeof *out;
	out->type = c->type;
	out->identifier = copy(op, c->identifier);
	out->token = copy(op, c->token);
	out->key_authorization = copy(op, c->key_authorization);
	out->record_name = copy(op, c->record_name);
	out->record_value = copy(op, c->record_value);
	out->record_values = values;
	out->record_value_count = count;
	out->cookie = copy(op, c->cookie);
	return out;
}

static const char *scope_of(const struct op *op)
{
	switch (op->inst->plugin->challenge->lock_scope) {
	case ACME_SCOPE_NONE:
		return NULL;
	case ACME_SCOPE_NAME:
		return op->challenge->record_name.len
			   ? op->challenge->record_name.ptr
			   : op->challenge->identifier.ptr;
	default:
		return "";
	}
}

static void begin_present(struct op *op)
{
	op->inst->plugin->challenge->present(op->inst->self, op->handle,
					     op->challenge);
}

static void begin_cleanup(struct op *op)
{
	op->inst->plugin->challenge->cleanup(op->inst->self, op->handle,
					     op->challenge);
}

static acme_op ask(struct instance *i, const char *verb,
		   void (*begin)(struct op *op), const acme_challenge *c,
		   uint32_t deadline_ms, op_fn *fn, void *arg)
{
	struct op *op = op_call(i, OP_CALL, verb, deadline_ms, fn, arg);

	op->begin = begin;
	if (!i->plugin->challenge)
		op_answer(op, ERR_INVALID, 0, STR("is not for challenges"));
	else if (!(i->plugin->challenge->types & c->type))
		op_answer(op, ERR_DECLINED, 0,
			  STR("not a challenge type of this plugin"));
	if (op->state == OP_LIVE)
		op->challenge = copy_challenge(op, c);
	if (op->state == OP_LIVE) {
		op->scope = scope_of(op);
		op_start(op);
	}
	return op->handle;
}

acme_op instance_present(struct instance *i, const acme_challenge *c,
			 uint32_t deadline_ms, op_fn *fn, void *arg)
{
	return ask(i, "present", begin_present, c, deadline_ms, fn, arg);
}

acme_op instance_cleanup(struct instance *i, const acme_challenge *c,
			 uint32_t deadline_ms, op_fn *fn, void *arg)
{
	return ask(i, "cleanup", begin_cleanup, c, deadline_ms, fn, arg);
}
