/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of core/plugin stand on: a loop, a private plugin folder with
 * copies of what the build made, an instance, the last answer, the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/now.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "plugin/instance.h"

/* For what must come: a busy machine gets the time that it needs. */
enum { BENCH_PATIENCE = 60000 };

struct bench {
	struct loop *loop;
	struct http_client *http;
	struct plugins *plugins;
	char dir[64];
	struct buf log;

	/* the last answer */
	int answers;
	enum err_code code;
	uint32_t retry_ms;
	char text[512], cookie[8192], cursor[2048];
	size_t count;
	char key[600], value[4096], version[128];

	int changes, closed;
	char changed[600];
	uint32_t change_flags;
};

static pthread_mutex_t bench_lock = PTHREAD_MUTEX_INITIALIZER;

/* On any thread. */
static inline void bench_sink(void *arg, enum log_level level, const char *line)
{
	struct bench *b = arg;

	(void)level;
	pthread_mutex_lock(&bench_lock);
	buf_addf(&b->log, "%s\n", line);
	pthread_mutex_unlock(&bench_lock);
}

/* The build folder, from where this program lies in it. */
static inline void bench_built(const char *path, char out[PATH_MAX])
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	for (int i = 0; i < 3; i++) /* tests/unit/PROGRAM */
		*strrchr(exe, '/') = '\0';
	assert_true(snprintf(out, PATH_MAX, "%s/%s", exe, path) < PATH_MAX);
}

/* Puts NAME.so of the build into the plugin folder. */
static inline void bench_plugin(struct bench *b, const char *name)
{
	static const char *const FROM[] = { "plugins", "tests/abi/plugins" };
	char path[PATH_MAX], part[128];
	struct buf so = BUF_INIT(64 << 20);
	struct err e;
	int rc = -1;

	for (size_t i = 0; i < 2 && rc < 0; i++) {
		snprintf(part, sizeof part, "%s/%s.so", FROM[i], name);
		bench_built(part, path);
		rc = file_read(path, &so, &e);
	}
	assert_int_equal(rc, 0);
	snprintf(path, sizeof path, "%s/plugins/%s.so", b->dir, name);
	assert_int_equal(file_write(path, so.ptr, so.len, 0700, &e), 0);
	buf_free(&so);
}

static inline int bench_setup(void **state)
{
	struct bench *b = mem_alloc(sizeof *b);
	struct plugins_setup setup = { .owner = getuid() };
	char plugins[96];

	snprintf(b->dir, sizeof b->dir, "/tmp/acme-plugin.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(plugins, sizeof plugins, "%s/plugins", b->dir);
	assert_int_equal(mkdir(plugins, 0700), 0);
	buf_init(&b->log, 1 << 20);
	log_set_sink(bench_sink, b);
	b->loop = loop_new();
	b->http = http_client_new(b->loop, NULL);
	setup.loop = b->loop;
	setup.http = b->http;
	setup.dir = plugins;
	b->plugins = plugins_new(&setup);
	*state = b;
	return 0;
}

static inline int bench_remove(const char *path, const struct stat *st,
                               int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}


static inline bool bench_is_idle(void *arg)
{
	return loop_live(((struct bench *)arg)->loop) == 0;
}

static inline int bench_teardown(void **state)
{
	struct bench *b = *state;

	http_client_free(&b->http);
	/* Jobs that nobody wants any more run to their end. */
	loop_run_until(b->loop, bench_is_idle, b, BENCH_PATIENCE);
	assert_int_equal(loop_free(b->loop), 0);
	plugins_free(b->plugins);
	log_set_sink(NULL, NULL);
	nftw(b->dir, bench_remove, 16, FTW_DEPTH | FTW_PHYS);
	buf_free(&b->log);
	free(b);
	return 0;
}

static inline int bench_logged(const struct bench *b, const char *words)
{
	pthread_mutex_lock(&bench_lock);
	int found = b->log.ptr && strstr(b->log.ptr, words) != NULL;
	pthread_mutex_unlock(&bench_lock);
	return found;
}

/* ---- instances ---- */

static inline int bench_open(struct bench *b, const char *plugin,
                             const struct conf_raw *options, size_t count,
                             struct instance_hooks hooks,
                             struct instance **out, struct err *e)
{
	struct instance_spec spec = {
		.plugin = plugin,
		.name = "one",
		.place = { "test.ini", 7 },
		.options = { options, count },
		.hooks = hooks,
	};

	bench_plugin(b, plugin);
	return instance_open(b->plugins, &spec, out, e);
}

static inline void bench_closed(void *arg)
{
	struct bench *b = arg;

	b->closed++;
}

static inline bool bench_is_closed(void *arg)
{
	return ((struct bench *)arg)->closed > 0;
}

static inline void bench_close(struct bench *b, struct instance *i,
                               uint32_t drain_ms)
{
	b->closed = 0;
	instance_close(i, drain_ms, bench_closed, b);
	assert_int_equal(b->closed, 0);
	assert_true(loop_run_until(b->loop, bench_is_closed, b, BENCH_PATIENCE));
}

/* ---- answers ---- */

static inline void bench_copy(char *out, size_t size, struct str s)
{
	snprintf(out, size, "%.*s", STR_ARG(s));
}

static inline void bench_answer(void *arg, const struct op_result *res)
{
	struct bench *b = arg;

	b->answers++;
	b->code = res->code;
	b->retry_ms = res->retry_ms;
	b->count = res->count;
	snprintf(b->text, sizeof b->text, "%s", res->text);
	bench_copy(b->cookie, sizeof b->cookie, res->cookie);
	bench_copy(b->cursor, sizeof b->cursor, res->cursor);
	if (res->count) {
		bench_copy(b->key, sizeof b->key, res->entries[0].key);
		bench_copy(b->value, sizeof b->value, res->entries[0].value);
		bench_copy(b->version, sizeof b->version,
		           res->entries[0].version);
	}
}

static inline bool bench_answered(void *arg)
{
	return ((struct bench *)arg)->answers > 0;
}

/* Exactly one answer, and not before this call. */
static inline enum err_code bench_wait(struct bench *b)
{
	assert_int_equal(b->answers, 0);
	assert_true(loop_run_until(b->loop, bench_answered, b, BENCH_PATIENCE));
	assert_int_equal(b->answers, 1);
	b->answers = 0;
	return b->code;
}

static inline void bench_change(void *arg, const struct op_entry *entry)
{
	struct bench *b = arg;

	b->changes++;
	b->change_flags = entry->flags;
	bench_copy(b->changed, sizeof b->changed, entry->key);
}
