/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A storage plugin in memory, within the test: values can be looked at and
 * changed behind everybody's back, and each call can be made to fail. It needs
 * no file: memory_add puts its descriptor among the loaded ones.
 */
#include <acme/plugin.h>

#include "base/buf.h"
#include "base/mem.h"
#include "plugin/descriptor.h"
#include "plugin/plugins.h"

enum { MEMORY_VALUES = 1024 };

struct memory_value {
	char *key; /* NULL: free */
	char *text;
	size_t len;
	unsigned version;
};

struct memory {
	const acme_host *host;
	struct memory_value values[MEMORY_VALUES];
	unsigned clock, calls;
	/* Asked before each call is done: ACME_OK, or what to answer instead.
	 * It may change the values. */
	acme_status (*before)(void *arg, const char *verb, const char *key);
	/* Asked after a call was done, before it is answered: likewise. */
	acme_status (*after)(void *arg, const char *verb, const char *key);
	void *arg;
	size_t page; /* entries of one list; 0: all */
};

/* Plugins have no statics, but this one has only one instance at a time. */
static struct memory *memory_here;

static inline struct memory_value *memory_find(struct memory *m,
                                               const char *key)
{
	for (size_t i = 0; i < MEMORY_VALUES; i++)
		if (m->values[i].key && !strcmp(m->values[i].key, key))
			return &m->values[i];
	return NULL;
}

/* The text below a key, or NULL. */
static inline const char *memory_get(struct memory *m, const char *key)
{
	struct memory_value *v = memory_find(m, key);

	return v ? v->text : NULL;
}

static inline void memory_set(struct memory *m, const char *key,
                              const char *text, size_t len)
{
	struct memory_value *v = memory_find(m, key);

	for (size_t i = 0; !v; i++) {
		assert_true(i < MEMORY_VALUES);
		if (!m->values[i].key)
			v = &m->values[i];
	}
	if (!v->key)
		v->key = mem_strdup(key);
	free(v->text);
	v->text = mem_strndup(text, len);
	v->len = len;
	v->version = ++m->clock;
}

static inline void memory_del(struct memory *m, const char *key)
{
	struct memory_value *v = memory_find(m, key);

	if (!v)
		return;
	free(v->key);
	free(v->text);
	*v = (struct memory_value){ 0 };
}

/* How many keys begin so; the last one in `out` (may be NULL). */
static inline size_t memory_count(struct memory *m, const char *prefix,
                                  const char **out)
{
	size_t count = 0;

	for (size_t i = 0; i < MEMORY_VALUES; i++) {
		const char *key = m->values[i].key;
		if (!key || strncmp(key, prefix, strlen(prefix)))
			continue;
		count++;
		if (out)
			*out = key;
	}
	return count;
}

static inline void memory_free(struct memory *m)
{
	for (size_t i = 0; i < MEMORY_VALUES; i++) {
		free(m->values[i].key);
		free(m->values[i].text);
	}
}

/* ---- the plugin ---- */

static inline void memory_key(acme_str key, char out[600])
{
	snprintf(out, 600, "%.*s", ACME_ARG(key));
}

static inline bool memory_fails(struct memory *m, acme_op op, const char *verb,
                                const char *key, bool after)
{
	acme_status (*ask)(void *, const char *, const char *) =
		after ? m->after : m->before;
	acme_status st = ask ? ask(m->arg, verb, key) : ACME_OK;

	m->calls += !after;
	if (st != ACME_OK)
		acme_donef(m->host, op, st, 0, "the test says so");
	return st != ACME_OK;
}

static inline void memory_emit(struct memory *m, acme_op op,
                               const struct memory_value *v, bool value)
{
	char version[16];
	acme_entry entry = { .size = sizeof entry, .key = acme_text(v->key) };

	snprintf(version, sizeof version, "%u", v->version);
	entry.version = acme_text(version);
	if (value)
		entry.value = (acme_str){ v->text, v->len };
	m->host->emit(op, &entry);
}

static inline void memory_do_get(void *self, acme_op op, acme_str key)
{
	struct memory *m = self;
	struct memory_value *v;
	char name[600];

	memory_key(key, name);
	if (memory_fails(m, op, "get", name, false))
		return;
	if ((v = memory_find(m, name)))
		memory_emit(m, op, v, true);
	m->host->done(op, v ? ACME_OK : ACME_ABSENT, 0, acme_text(""));
}

static inline bool memory_expected(const struct memory_value *v,
                                   acme_str expect)
{
	char version[16];

	if (!expect.ptr)
		return true;
	snprintf(version, sizeof version, "%u", v ? v->version : 0);
	return acme_eq(expect, acme_text(v ? version : ""));
}

static inline void memory_do_put(void *self, acme_op op, acme_str key,
                                 acme_str value, acme_str expect)
{
	struct memory *m = self;
	char name[600];

	memory_key(key, name);
	if (memory_fails(m, op, "put", name, false))
		return;
	if (!memory_expected(memory_find(m, name), expect)) {
		m->host->done(op, ACME_CONFLICT, 0, acme_text(""));
		return;
	}
	memory_set(m, name, value.ptr ? value.ptr : "", value.len);
	if (memory_fails(m, op, "put", name, true))
		return;
	memory_emit(m, op, memory_find(m, name), false);
	m->host->done(op, ACME_OK, 0, acme_text(""));
}

static inline void memory_do_del(void *self, acme_op op, acme_str key,
                                 acme_str expect)
{
	struct memory *m = self;
	char name[600];

	memory_key(key, name);
	if (memory_fails(m, op, "del", name, false))
		return;
	bool ok = memory_expected(memory_find(m, name), expect);
	if (ok)
		memory_del(m, name);
	if (memory_fails(m, op, "del", name, true))
		return;
	m->host->done(op, ok ? ACME_OK : ACME_CONFLICT, 0, acme_text(""));
}

static inline void memory_do_list(void *self, acme_op op, const acme_list *l)
{
	struct memory *m = self;
	char prefix[600], cursor[600];
	size_t at, count = 0;

	snprintf(prefix, sizeof prefix, "%.*s/", ACME_ARG(l->prefix));
	if (memory_fails(m, op, "list", prefix, false))
		return;
	memory_key(l->cursor, cursor);
	for (at = (size_t)atoll(cursor); at < MEMORY_VALUES; at++) {
		struct memory_value *v = &m->values[at];
		if (!v->key || strncmp(v->key, prefix, strlen(prefix)))
			continue;
		if (count++ == (m->page ? m->page : l->limit))
			break;
		memory_emit(m, op, v, l->flags & ACME_LIST_VALUES);
	}
	if (at < MEMORY_VALUES) {
		acme_entry end = { .size = sizeof end,
			           .flags = ACME_ENTRY_END };
		snprintf(cursor, sizeof cursor, "%zu", at);
		end.key = acme_text(cursor);
		m->host->emit(op, &end);
	}
	m->host->done(op, ACME_OK, 0, acme_text(""));
}

static inline acme_status memory_open(const acme_host *host, acme_op root,
                                      void **self)
{
	(void)root;
	memory_here->host = host;
	*self = memory_here;
	return ACME_OK;
}

static inline void memory_close(void *self)
{
	(void)self;
}

static const acme_storage_ops MEMORY_OPS = {
	.size = sizeof MEMORY_OPS,
	.caps = ACME_STORE_CAS,
	.get = memory_do_get,
	.put = memory_do_put,
	.del = memory_do_del,
	.list = memory_do_list,
};

static const acme_plugin MEMORY_PLUGIN = {
	.size = sizeof MEMORY_PLUGIN,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1,
	.name = "memory",
	.version = "1",
	.about = "Keeps values in a test.",
	.open = memory_open,
	.close = memory_close,
	.storage = &MEMORY_OPS,
};

/* Makes a plugin of this program known as if it had been loaded. */
static inline void plugin_add(struct plugins *p, const acme_plugin *plugin)
{
	struct loaded *l = mem_alloc(sizeof *l);
	struct err e;

	assert_int_equal(descriptor_take(plugin, plugin->name, &l->plugin, &e),
	                 0);
	l->plugin.file = mem_strdup("(in the test)");
	l->next = p->loaded;
	p->loaded = l;
}
