/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read, edit, archive, write: the only way in which a stored certificate
 * changes. The steps, each of which starts the next one:
 *
 *   1. get certificates/NAME         absent: an empty record; damaged: set it
 *                                    aside and begin again
 *   2. edit a copy in memory
 *   3. put archive/NAME              the value as it was found, if there was one
 *   4. put certificates/NAME         only if it is still what was read in 1
 *
 * Killed before 4, nothing has changed for a reader; in 4, the storage plugin
 * promises the old value or the new one.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TRIES = 5 };

struct change {
	struct store *store;
	char *name;
	char key[STORE_KEY_MAX];
	change_fn *change;
	changed_fn *done;
	void *arg;
	struct store_op *op;
	struct cert_record record;
	struct buf value; /* the new text */
	char *version;    /* of what was read; NULL: there was nothing */
	int tries;
};

static void change_free(struct change *c)
{
	store_cancel(&c->op);
	cert_record_free(&c->record);
	buf_free(&c->value);
	free(c->version);
	free(c->name);
	free(c);
}

void change_cancel(struct change **change)
{
	if (*change)
		change_free(*change);
	*change = NULL;
}

static void finish(struct change *c, int rc, const struct err *e)
{
	c->op = NULL;
	c->done(c->arg, rc, e, rc < 0 ? NULL : &c->record);
	change_free(c);
}

static void begin(struct change *c);

static void again(struct change *c, int rc, const struct err *e)
{
	if (++c->tries < TRIES)
		begin(c);
	else
		finish(c, rc, e);
}

static void written(void *arg, int rc, const struct err *e, struct str value,
                    struct str version)
{
	struct change *c = arg;

	(void)value;
	(void)version;
	c->op = NULL;
	if (rc == ERR_CONFLICT)
		again(c, rc, e);
	else
		finish(c, rc, e);
}

static void write_new(struct change *c)
{
	c->op = store_put(c->store, c->key, buf_str(&c->value),
	                  c->version ? str_of(c->version) : EXPECT_NONE,
	                  written, c);
}

static void archived(void *arg, int rc, const struct err *e, struct str value,
                     struct str version)
{
	struct change *c = arg;

	(void)value;
	(void)version;
	c->op = NULL;
	if (rc < 0)
		finish(c, rc, e);
	else
		write_new(c);
}

/* Keeps the old value beside the new one. */
static void archive(struct change *c, struct str old)
{
	char key[STORE_KEY_MAX];

	snprintf(key, sizeof key, "archive/%s", strchr(c->key, '/') + 1);
	c->op = store_put(c->store, key, old, EXPECT_ANY, archived, c);
}

/* A record of another name was copied here by hand. */
static int check(struct change *c, struct str old, struct err *e)
{
	cert_record_free(&c->record);
	if (!c->version)
		return 0;
	int rc = cert_record_read(old, &c->record, e);
	if (rc == 0 && strcmp(c->record.name, c->name))
		rc = err_set(e, ERR_INVALID, "is of certificate %.100s",
		             c->record.name);
	return rc;
}

static void moved(void *arg, int rc, const struct err *e, struct str value,
                  struct str version)
{
	struct change *c = arg;
	struct err why;

	(void)value;
	(void)version;
	c->op = NULL;
	if (rc < 0) {
		finish(c, rc, e);
		return;
	}
	err_set(&why, ERR_CONFLICT, "%s: damaged each time", c->key);
	again(c, why.code, &why);
}

/* Step 2, with what step 1 found. */
static int edit(struct change *c, struct err *e)
{
	if (!c->record.name)
		c->record.name = mem_strdup(c->name);
	int rc = c->change(c->arg, &c->record, e);
	if (rc < 0)
		return rc;
	buf_reset(&c->value);
	if (cert_record_write(&c->record, &c->value) < 0)
		return err_set(e, ERR_NOSPACE, "certificate %s: over %zu bytes",
		               c->name, c->value.max);
	return 0;
}

static void read_old(void *arg, int rc, const struct err *e, struct str value,
                     struct str version)
{
	struct change *c = arg;
	struct err why;

	c->op = NULL;
	free(c->version);
	c->version = rc == 0 ? mem_strndup(version.ptr, version.len) : NULL;
	if (rc < 0 && rc != ERR_ABSENT) {
		finish(c, rc, e);
		return;
	}
	if (check(c, value, &why) < 0) {
		c->op = store_set_aside(c->store, c->key, value, version, &why,
		                        moved, c);
		return;
	}
	rc = edit(c, &why);
	if (rc < 0)
		finish(c, rc, &why);
	else if (c->version)
		archive(c, value);
	else
		write_new(c);
}

static void begin(struct change *c)
{
	c->op = store_get(c->store, c->key, read_old, c);
}

struct change *store_change(struct store *s, const char *name,
                            change_fn *change, changed_fn *done, void *arg)
{
	struct change *c = mem_alloc(sizeof *c);

	*c = (struct change){ .store = s,
		              .name = mem_strdup(name),
		              .change = change,
		              .done = done,
		              .arg = arg,
		              .value = BUF_INIT(RECORD_MAX) };
	store_certificate_key(name, c->key);
	begin(c);
	return c;
}
