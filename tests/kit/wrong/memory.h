/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage in the memory of one instance that is right but for what FAULT says;
 * the .c files that include it break one rule each. Since it is gone with its
 * instance it breaks store-reads as well; that is known, and not what they are
 * for.
 */
#pragma once

#include "wrong.h"

enum { ROOM = 64 };

struct item {
	char key[ACME_KEY_MAX + 1];
	char *value;
	size_t len;
	int version;
};

struct memory {
	const acme_host *host;
	struct item items[ROOM];
	int versions;
};

static acme_status memory_open(const acme_host *host, acme_op root, void **self)
{
	struct memory *m = calloc(1, sizeof *m);

	(void)root;
	if (!m)
		return ACME_RETRY;
	m->host = host;
	*self = m;
	return ACME_OK;
}

static void memory_close(void *self)
{
	struct memory *m = self;

	for (int i = 0; i < ROOM; i++)
		free(m->items[i].value);
	free(m);
}

static struct item *find(struct memory *m, acme_str key)
{
	for (int i = 0; i < ROOM; i++)
		if (*m->items[i].key &&
		    acme_eq(acme_text(m->items[i].key), key))
			return &m->items[i];
	return NULL;
}

static void emit(struct memory *m, acme_op op, const struct item *it)
{
	acme_entry e = { .size = sizeof e };
	char version[16];

	snprintf(version, sizeof version, "%d", it->version);
	e.key = acme_text(it->key);
	e.value.ptr = it->value;
	e.value.len = it->len;
	e.version = acme_text(version);
	m->host->emit(op, &e);
}

static void reply(struct memory *m, acme_op op, acme_status status)
{
	m->host->done(op, status, 0, acme_text(""));
}

static int holds(const struct item *it, acme_str expect)
{
	char version[16] = "";

	if (it)
		snprintf(version, sizeof version, "%d", it->version);
	return !expect.ptr || acme_eq(acme_text(version), expect);
}

static void memory_get(void *self, acme_op op, acme_str key)
{
	struct item *it = find(self, key);

	if (it)
		emit(self, op, it);
	reply(self, op, it ? ACME_OK : ACME_ABSENT);
}

static void write_value(struct memory *m, struct item *it, acme_str value)
{
	free(it->value);
	it->len = value.len;
	it->value = malloc(value.len + 1);
	if (it->value && value.len)
		memcpy(it->value, value.ptr, value.len);
#ifdef FAULT_SAME_VERSION
	(void)m;
	it->version = 1;
#else
	it->version = ++m->versions;
#endif
}

static void memory_put(void *self, acme_op op, acme_str key, acme_str value,
		       acme_str expect)
{
	struct memory *m = self;
	struct item *it = find(m, key);

#ifndef FAULT_NO_CAS
	if (!holds(it, expect)) {
		reply(m, op, ACME_CONFLICT);
		return;
	}
#else
	(void)expect;
#endif
	for (int i = 0; i < ROOM && !it; i++)
		if (!*m->items[i].key)
			it = &m->items[i];
	if (!it) {
		reply(m, op, ACME_NOSPACE);
		return;
	}
	snprintf(it->key, sizeof it->key, "%.*s", ACME_ARG(key));
	write_value(m, it, value);
	emit(m, op, it);
	reply(m, op, ACME_OK);
}

static int doomed(const struct item *it, acme_str key)
{
#ifdef FAULT_TAKES_OTHERS /* all that begin like the parent of the key */
	size_t len = key.len;

	while (len && key.ptr[len - 1] != '/')
		len--;
	return *it->key && len && !strncmp(it->key, key.ptr, len - 1);
#else
	return acme_eq(acme_text(it->key), key);
#endif
}

static void memory_del(void *self, acme_op op, acme_str key, acme_str expect)
{
	struct memory *m = self;

	if (expect.ptr && (!find(m, key) || !holds(find(m, key), expect))) {
		reply(m, op, ACME_CONFLICT);
		return;
	}
	for (int i = 0; i < ROOM; i++)
		if (doomed(&m->items[i], key)) {
			free(m->items[i].value);
			memset(&m->items[i], 0, sizeof m->items[i]);
		}
	reply(m, op, ACME_OK);
}

static int below(const struct item *it, acme_str prefix)
{
	if (!*it->key || strncmp(it->key, prefix.ptr ? prefix.ptr : "",
				 prefix.len) != 0)
		return 0;
#ifdef FAULT_PREFIX
	return 1;
#else
	return prefix.len == 0 || it->key[prefix.len] == '/';
#endif
}

static void memory_list(void *self, acme_op op, const acme_list *l)
{
	struct memory *m = self;

	for (int i = 0; i < ROOM; i++)
		if (below(&m->items[i], l->prefix))
			emit(m, op, &m->items[i]);
	reply(m, op, ACME_OK);
}

#ifdef FAULT_SILENT_WATCH
static void memory_watch(void *self, acme_op op, acme_str prefix, acme_str point)
{
	(void)self;
	(void)op;
	(void)prefix;
	(void)point;
}
#define CAPS (ACME_STORE_CAS | ACME_STORE_WATCH)
#else
#define memory_watch NULL
#define CAPS ACME_STORE_CAS
#endif

static const acme_storage_ops STORAGE = {
	.size = sizeof STORAGE,
	.caps = CAPS,
	.get = memory_get,
	.put = memory_put,
	.del = memory_del,
	.list = memory_list,
	.watch = memory_watch,
};

#define WRONG_STORE(NAME)                                                      \
	WRONG_DESCRIPTOR(NAME, .open = memory_open, .close = memory_close,     \
			 .storage = &STORAGE)
