/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of store and of all above it stand on: the bench of the
 * plugins with a storage instance (in memory, or the real plugin "file"), the
 * store over it, and the last answer of each kind.
 */
#include "../plugin/bench.h"
#include "memory.h"
#include "store/store.h"

struct desk {
	struct bench *b;
	struct memory memory;
	struct instance *storage;
	struct store *store;
	struct log log;

	int alarms;
	char alarm_key[STORE_KEY_MAX];
	struct err alarm;

	/* the last answer */
	int answers, rc;
	struct err e;
	char *value, version[128];
};

static inline void desk_alarm(void *arg, const char *key, const struct err *e)
{
	struct desk *d = arg;

	d->alarms++;
	d->alarm = *e;
	snprintf(d->alarm_key, sizeof d->alarm_key, "%s", key);
}

static inline void desk_open(struct desk *d, const char *plugin,
                             const struct conf_raw *options, size_t count)
{
	struct instance_spec spec = { .plugin = plugin,
		                      .name = "",
		                      .place = { "test.ini", 1 },
		                      .options = { options, count },
		                      .must_storage = true };
	struct err e;

	assert_int_equal(instance_open(d->b->plugins, &spec, &d->storage, &e),
	                 0);
	d->store = store_new(d->storage, &d->log, desk_alarm, d);
}

static inline struct desk *desk_new(void **state)
{
	struct desk *d = mem_alloc(sizeof *d);

	bench_setup(state);
	d->b = *state;
	log_init(&d->log, NULL, "test", NULL);
	memory_here = &d->memory;
	plugin_add(d->b->plugins, &MEMORY_PLUGIN);
	*state = d;
	return d;
}

static inline int desk_setup(void **state)
{
	desk_open(desk_new(state), "memory", NULL, 0);
	return 0;
}

static inline int desk_setup_file(void **state)
{
	struct desk *d = desk_new(state);
	char path[96];
	const struct conf_raw options[] = { { "path", path, { NULL, 0 } } };

	snprintf(path, sizeof path, "%s/store", d->b->dir);
	bench_plugin(d->b, "file");
	desk_open(d, "file", options, 1);
	return 0;
}

static inline int desk_teardown(void **state)
{
	struct desk *d = *state;
	void *bench = d->b;

	store_free(d->store);
	bench_close(d->b, d->storage, 0);
	memory_free(&d->memory);
	free(d->value);
	free(d);
	return bench_teardown(&bench);
}

/* ---- asking and waiting ---- */

static inline void desk_answer(void *arg, int rc, const struct err *e,
                               struct str value, struct str version)
{
	struct desk *d = arg;

	d->answers++;
	d->rc = rc;
	d->e = e ? *e : (struct err){ 0 };
	free(d->value);
	d->value = mem_strndup(value.ptr, value.len);
	bench_copy(d->version, sizeof d->version, version);
}

static inline bool desk_answered(void *arg)
{
	return ((struct desk *)arg)->answers > 0;
}

static inline int desk_wait(struct desk *d)
{
	assert_true(loop_run_until(d->b->loop, desk_answered, d, BENCH_PATIENCE));
	assert_int_equal(d->answers, 1);
	d->answers = 0;
	return d->rc;
}

static inline int desk_get(struct desk *d, const char *key)
{
	store_get(d->store, key, desk_answer, d);
	return desk_wait(d);
}

static inline int desk_put(struct desk *d, const char *key, const char *value)
{
	store_put(d->store, key, str_of(value), EXPECT_ANY, desk_answer, d);
	return desk_wait(d);
}

/* A few turns, for what goes on by itself. */
static inline void desk_turns(struct desk *d)
{
	for (int i = 0; i < 30; i++)
		loop_run_once(d->b->loop, 2);
}

struct desk_counting {
	struct desk *d;
	size_t count;
};

static inline void desk_count_each(void *arg, struct str key, struct str value,
                                   struct str version)
{
	struct desk_counting *c = arg;

	bench_copy(c->d->version, sizeof c->d->version, version);
	snprintf(c->d->b->key, sizeof c->d->b->key, "%.*s", STR_ARG(key));
	(void)value;
	c->count++;
}

static inline void desk_counted(void *arg, int rc, const struct err *e,
                                struct str value, struct str version)
{
	struct desk_counting *c = arg;

	(void)value;
	(void)version;
	assert_int_equal(rc, 0);
	assert_null(e);
	c->d->answers++;
}

/* How many keys there are below a prefix; the last one is in b->key. */
static inline size_t desk_count(struct desk *d, const char *prefix)
{
	struct desk_counting c = { d, 0 };

	store_each(d->store, prefix, desk_count_each, desk_counted, &c);
	desk_wait(d);
	return c.count;
}
