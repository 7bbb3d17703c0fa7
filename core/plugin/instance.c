/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances: a plugin with the options of one section, from open to close.
 *
 * Opening is synchronous (plugins are told not to wait there), closing is not:
 *
 *   instance_close -> operations end, or are cut off after drain_ms
 *                  -> the root's services are dropped, its jobs end
 *                  -> plugin->close(self)
 *                  -> the root is freed, and with it the instance; closed()
 *
 * Each step begins in a turn of its own (`closer`), whatever ended last.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "loop/after.h"
#include "plugin/op.h"
#include "plugin/option.h"
#include "plugin/plugins.h"

enum { SCRUB_MIN = 4 }; /* a shorter "secret" would hide half the log */

/* ---- opening ---- */

static int find_plugin(struct plugins *p, const struct instance_spec *spec,
		       const struct plugin **out, struct conf_errors *errors)
{
	struct err e;

	if (plugins_find(p, spec->plugin, out, &e) < 0)
		conf_error(errors, spec->place, "%s", e.text);
	else if (spec->must_challenge && !(*out)->challenge)
		conf_error(errors, spec->place,
			   "plugin '%s' is not for challenges", spec->plugin);
	else if (spec->must_storage && !(*out)->storage)
		conf_error(errors, spec->place,
			   "plugin '%s' is not for storage", spec->plugin);
	else
		return 0;
	return ERR_INVALID;
}

int instance_check(struct plugins *p, const struct instance_spec *spec,
		   struct conf_errors *errors)
{
	const struct plugin *plugin;
	struct options options = { 0 };
	int rc = find_plugin(p, spec, &plugin, errors);

	if (rc == 0)
		rc = options_read(plugin, spec->place, &spec->options, &options,
				  errors);
	if (rc == 0)
		options_free(&options);
	return rc;
}

/* The first error becomes the error, warnings go to the log. */
static int first_error(struct plugins *p, struct conf_errors *errors, int rc,
		       struct err *e)
{
	bool said = false;

	for (size_t i = 0; i < errors->count; i++) {
		const struct conf_error *it = &errors->items[i];
		if (it->warning)
			log_warn(&p->log, "option", "what=\"%s\"", it->text);
		else if (!said)
			said = err_set(e, ERR_INVALID, "%s", it->text) != 0;
	}
	conf_errors_free(errors);
	return rc;
}

static struct instance *make(struct plugins *p, const struct plugin *plugin,
			     const struct instance_spec *spec)
{
	struct instance *i = mem_alloc(sizeof *i);

	i->plugins = p;
	i->plugin = plugin;
	i->name = mem_strdup(spec->name ? spec->name : "");
	i->hooks = spec->hooks;
	i->options = mem_alloc(sizeof *i->options);
	if (*i->name)
		log_init(&i->log, &p->log, NULL, "plugin=%s instance=%s",
			 plugin->name, i->name);
	else
		log_init(&i->log, &p->log, NULL, "plugin=%s", plugin->name);
	return i;
}

/* The plugin's own words, or ours. */
static int open_failed(struct instance *i, acme_status st,
		       const struct instance_spec *spec, struct err *e)
{
	enum err_code code = op_code_of(st);
	const char *file = spec->place.file;

	if (i->open_said && *i->open_err.text)
		err_set(e, code, "%s", i->open_err.text);
	else
		err_set(e, code, "open failed: %s", err_code_name(code));
	err_in(e, "plugin '%s'", i->plugin->name);
	return file ? err_in(e, "%s:%u", file, spec->place.line) : e->code;
}

static int start(struct instance *i, const struct instance_spec *spec,
		 struct err *e)
{
	i->root = op_new(i, OP_ROOT, NULL, "open");
	i->opening = true;
	op_enter(i->root);
	acme_status st = i->plugin->open(&HOST, i->root->handle, &i->self);
	op_leave(i->root, "open");
	i->opening = false;
	if (st == ACME_OK)
		return 0;
	open_failed(i, st, spec, e);
	i->failed = true;
	op_end(i->root); /* frees the instance, when its last job ended */
	return e->code;
}

int instance_open(struct plugins *p, const struct instance_spec *spec,
		  struct instance **out, struct err *e)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct options options = { 0 };
	const struct plugin *plugin;

	*out = NULL;
	int rc = find_plugin(p, spec, &plugin, &errors);
	if (rc == 0)
		rc = options_read(plugin, spec->place, &spec->options, &options,
				  &errors);
	if (first_error(p, &errors, rc, e) < 0)
		return e->code;
	struct instance *i = make(p, plugin, spec);
	*i->options = options;
	rc = start(i, spec, e);
	if (rc == 0)
		*out = i;
	return rc;
}

/* ---- closing ---- */

void instance_gone(struct instance *i)
{
	instance_closed_fn *fn = i->closed;
	void *arg = i->closed_arg;

	after_cancel(&i->drain);
	after_cancel(&i->closer);
	options_free(i->options);
	free(i->options);
	free(i->lent);
	free(i->name);
	free(i);
	if (fn)
		fn(arg);
}

static void on_closer(void *arg)
{
	struct instance *i = arg;

	i->closer = NULL;
	if (i->busy)
		return;
	op_pin(i->root);
	if (!i->root_ended) {
		i->root_ended = true;
		op_drop(i->root);
	}
	if (i->root->pins == 1) { /* ours */
		op_enter(i->root);
		i->plugin->close(i->self);
		op_leave(i->root, "close");
		i->closing = false; /* nothing left to settle */
		op_end(i->root);
	}
	op_unpin(i->root);
}

void instance_settle(struct instance *i)
{
	if (i->closing && i->busy == 0 && !i->closer)
		i->closer = after_start(i->plugins->loop, 0, on_closer, i);
}

/* Calls end as canceled, and say so; a watch just ends. */
static void cut_off(struct instance *i, bool only_watches)
{
	struct op *next;

	for (struct op *op = i->ops; op; op = next) {
		next = op->next;
		if (!only_watches || op->kind == OP_WATCH)
			op_abort(op, ERR_CANCELED, "instance is closing");
	}
}

static void on_drained(void *arg)
{
	struct instance *i = arg;

	i->drain = NULL;
	cut_off(i, false);
}

void instance_close(struct instance *i, uint32_t drain_ms,
		    instance_closed_fn *fn, void *arg)
{
	if (!i || i->closing)
		return;
	i->closing = true;
	i->closed = fn;
	i->closed_arg = arg;
	cut_off(i, drain_ms > 0);
	if (drain_ms > 0 && i->busy)
		i->drain =
		    after_start(i->plugins->loop, drain_ms, on_drained, i);
	instance_settle(i);
}

/* ---- small questions ---- */

const char *instance_name(const struct instance *i)
{
	return i->name;
}

const struct plugin *instance_plugin(const struct instance *i)
{
	return i->plugin;
}

size_t instance_busy(const struct instance *i)
{
	return i->busy;
}

void instance_scrub(const struct instance *i, char *text)
{
	for (size_t n = 0; n < i->plugin->option_count; n++) {
		const struct secret *s = &i->options->values[n].secret;
		char *at;
		if (s->len < SCRUB_MIN)
			continue;
		while ((at = memmem(text, strlen(text), s->ptr, s->len))) {
			memcpy(at, "***", 3);
			memmove(at + 3, at + s->len, strlen(at + s->len) + 1);
		}
	}
}

int op_err(const struct instance *i, const struct op_result *res, struct err *e)
{
	if (res->code == ERR_OK)
		return 0;
	err_set(e, res->code, "%s",
		*res->text ? res->text : err_code_name(res->code));
	if (*i->name && strcmp(i->name, i->plugin->name) != 0)
		err_in(e, "%s %s (%s)",
		       i->plugin->challenge ? "challenge" : "storage", i->name,
		       i->plugin->name);
	else
		err_in(e, "%s %s",
		       i->plugin->challenge ? "challenge" : "storage",
		       i->plugin->name);
	if (res->retry_ms)
		e->retry_at = now_wall() + res->retry_ms;
	return e->code;
}
