/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, pages and damaged values: see store.h. Names of certificates go into
 * keys as they are, so that an operator finds them; what is too long for a key
 * or not printable keeps its beginning and gets a hash.
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "crypto/sha.h"

enum {
	DEADLINE_MS = 30000,
	PAGE = 256, /* entries of one list call */
	COMPONENT_MAX = 160,
};

struct store {
	struct instance *instance;
	struct log log;
	store_alarm_fn *alarm;
	void *arg;
	struct store_op *ops; /* pending */
};

struct store_op {
	struct store *store;
	struct store_op *next, **prev;
	acme_op op;
	store_fn *fn;
	store_each_fn *each;
	void *arg;
	char *prefix; /* of a list */
	char *moved;   /* to another key: where it is now, */
	char *version; /* and its version */
};

/* -------------------------------------------------------------- keys */

/* One path component that says `text` and is unique for it: what is shortened
 * ends with "+" and a hash, so what is not has no "+". */
static void component(const char *text, char out[COMPONENT_MAX + 1])
{
	char hex[SHA256_HEX];
	size_t len = strlen(text);
	bool plain = len > 0 && len <= COMPONENT_MAX && text[0] != '.';

	for (const char *p = text; *p && plain; p++)
		plain = *p > 0x20 && *p < 0x7f && *p != '/' && *p != '+';
	if (plain) {
		memcpy(out, text, len + 1);
		return;
	}
	sha256_hex(text, len, hex);
	size_t kept = 0;
	for (; kept < 64 && text[kept]; kept++) {
		char c = text[kept];
		out[kept] = c > 0x20 && c < 0x7f && c != '/' && c != '.' ? c
		                                                         : '_';
	}
	snprintf(out + kept, COMPONENT_MAX + 1 - kept, "+%.16s", hex);
}

char *store_account_key(const char *issuer, const char *directory,
                        char out[STORE_KEY_MAX])
{
	char name[COMPONENT_MAX + 1], hex[SHA256_HEX];

	component(issuer, name);
	sha256_hex(directory, strlen(directory), hex);
	snprintf(out, STORE_KEY_MAX, "accounts/%s@%.8s", name, hex);
	return out;
}

char *store_order_key(const char *certificate, enum key_kind kind,
                      char out[STORE_KEY_MAX])
{
	char name[COMPONENT_MAX + 1];

	component(certificate, name);
	snprintf(out, STORE_KEY_MAX, "orders/%s@%s", name, key_kind_name(kind));
	return out;
}

char *store_certificate_key(const char *name, char out[STORE_KEY_MAX])
{
	char part[COMPONENT_MAX + 1];

	component(name, part);
	snprintf(out, STORE_KEY_MAX, "certificates/%s", part);
	return out;
}

/* --------------------------------------------------------- operations */

struct store *store_new(struct instance *instance, const struct log *log,
                        store_alarm_fn *alarm, void *arg)
{
	struct store *s = mem_alloc(sizeof *s);

	*s = (struct store){ .instance = instance,
		             .alarm = alarm,
		             .arg = arg };
	log_init(&s->log, log, "store", NULL);
	return s;
}

static struct store_op *op_new(struct store *s, store_fn *fn, void *arg)
{
	struct store_op *op = mem_alloc(sizeof *op);

	*op = (struct store_op){ .store = s, .fn = fn, .arg = arg };
	op->next = s->ops;
	op->prev = &s->ops;
	if (s->ops)
		s->ops->prev = &op->next;
	s->ops = op;
	return op;
}

static void op_free(struct store_op *op)
{
	*op->prev = op->next;
	if (op->next)
		op->next->prev = op->prev;
	free(op->prefix);
	free(op->moved);
	free(op->version);
	free(op);
}

static void drop(struct store_op *op)
{
	op_cancel(op->op);
	op_free(op);
}

void store_cancel(struct store_op **op)
{
	if (*op && (*op)->moved)
		(*op)->fn = NULL; /* it goes on */
	else if (*op)
		drop(*op);
	*op = NULL;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	while (s->ops)
		drop(s->ops);
	free(s);
}

/* The one end of get, put and del. */
static void answered(void *arg, const struct op_result *res)
{
	struct store_op *op = arg;
	struct err e = { 0 };
	int rc = op_err(op->store->instance, res, &e);
	const struct op_entry *entry = res->count ? &res->entries[0] : NULL;
	store_fn *fn = op->fn;
	void *fn_arg = op->arg;

	op_free(op);
	if (fn)
		fn(fn_arg, rc, rc < 0 ? &e : NULL,
		   entry ? entry->value : STR(""),
		   entry ? entry->version : STR(""));
}

struct store_op *store_get(struct store *s, const char *key, store_fn *fn,
                           void *arg)
{
	struct store_op *op = op_new(s, fn, arg);

	op->op = instance_get(s->instance, str_of(key), DEADLINE_MS, answered,
	                      op);
	return op;
}

struct store_op *store_put(struct store *s, const char *key, struct str value,
                           struct str expect, store_fn *fn, void *arg)
{
	struct store_op *op = op_new(s, fn, arg);

	op->op = instance_put(s->instance, str_of(key), value, expect,
	                      DEADLINE_MS, answered, op);
	return op;
}

static struct store_op *delete(struct store *s, const char *key,
                               struct str expect, store_fn *fn, void *arg)
{
	struct store_op *op = op_new(s, fn, arg);

	op->op = instance_del(s->instance, str_of(key), expect, DEADLINE_MS,
	                      answered, op);
	return op;
}

struct store_op *store_del(struct store *s, const char *key, store_fn *fn,
                           void *arg)
{
	return delete(s, key, EXPECT_ANY, fn, arg);
}

/* -------------------------------------------------------------- lists */

static void list_page(struct store_op *op, struct str cursor);

static void page_answered(void *arg, const struct op_result *res)
{
	struct store_op *op = arg;
	struct err e = { 0 };
	int rc = op_err(op->store->instance, res, &e);

	for (size_t i = 0; rc == 0 && i < res->count; i++)
		op->each(op->arg, res->entries[i].key, res->entries[i].value,
		         res->entries[i].version);
	if (rc == 0 && res->cursor.len) {
		list_page(op, res->cursor);
		return;
	}
	store_fn *fn = op->fn;
	void *fn_arg = op->arg;
	op_free(op);
	fn(fn_arg, rc, rc < 0 ? &e : NULL, STR(""), STR(""));
}

static void list_page(struct store_op *op, struct str cursor)
{
	struct list_query q = { .prefix = str_of(op->prefix),
		                .cursor = cursor,
		                .limit = PAGE,
		                .with_values = true };

	op->op = instance_list(op->store->instance, &q, DEADLINE_MS,
	                       page_answered, op);
}

struct store_op *store_each(struct store *s, const char *prefix,
                            store_each_fn *each, store_fn *fn, void *arg)
{
	struct store_op *op = op_new(s, fn, arg);

	op->each = each;
	op->prefix = mem_strdup(prefix);
	list_page(op, STR(""));
	return op;
}

/* -------------------------------------------------- moved out of the way */

static void move_end(struct store_op *op, int rc, const struct err *e)
{
	struct store *s = op->store;
	store_fn *fn = op->fn;
	void *arg = op->arg;
	struct err copy = { 0 };

	if (rc < 0) {
		copy = *e;
		err_in(&copy, "%s", op->moved);
		log_err(&s->log, LOG_LEVEL_ERROR, "not moved away", &copy);
	}
	op_free(op);
	if (fn)
		fn(arg, rc, rc < 0 ? &copy : NULL, STR(""), STR(""));
}

static void deleted(void *arg, int rc, const struct err *e, struct str value,
                    struct str version)
{
	(void)value;
	(void)version;
	/* A conflict: somebody has put something else there meanwhile. */
	move_end(arg, rc == ERR_CONFLICT ? 0 : rc, e);
}

static void copied(void *arg, int rc, const struct err *e, struct str value,
                   struct str version)
{
	struct store_op *op = arg;

	(void)value;
	(void)version;
	/* Only what was copied: it may have been replaced meanwhile. */
	if (rc == 0)
		delete(op->store, op->moved, str_of(op->version), deleted,
		       op);
	else
		move_end(op, rc, e);
}

struct store_op *store_set_aside(struct store *s, const char *key,
                                 struct str value, struct str version,
                                 const struct err *why, store_fn *fn, void *arg)
{
	char to[STORE_KEY_MAX], stamp[NOW_TEXT], text[2 * sizeof why->text];

	log_error(&s->log, "damaged value set aside", "key=%s error=%s", key,
	          log_quote(why->text, strlen(why->text), text, sizeof text));
	if (s->alarm)
		s->alarm(s->arg, key, why);
	snprintf(to, sizeof to, "damaged/%s/%s",
	         now_text(now_wall(), 1, stamp), key);
	struct store_op *op = op_new(s, fn, arg);
	op->moved = mem_strdup(key);
	op->version = mem_strndup(version.ptr, version.len);
	store_put(s, to, value, EXPECT_ANY, copied, op);
	return op;
}

static void retired(void *arg, const struct op_result *res)
{
	struct store_op *op = arg;
	char to[STORE_KEY_MAX];
	struct err e = { 0 };
	int rc = op_err(op->store->instance, res, &e);

	if (rc < 0) {
		move_end(op, rc == ERR_ABSENT ? 0 : rc, &e);
		return;
	}
	op->version = mem_strndup(res->entries[0].version.ptr,
	                          res->entries[0].version.len);
	snprintf(to, sizeof to, "archive/%s", strchr(op->moved, '/') + 1);
	store_put(op->store, to, res->entries[0].value, EXPECT_ANY, copied, op);
}

void store_retire(struct store *s, const char *name)
{
	struct store_op *op = op_new(s, NULL, NULL);
	char key[STORE_KEY_MAX];

	op->moved = mem_strdup(store_certificate_key(name, key));
	op->op = instance_get(s->instance, str_of(key), DEADLINE_MS, retired,
	                      op);
}
