/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written on the pool, one write at a time: see saver.h. */
#include "saver.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "loop/work.h"

enum { TEXT_MAX = 64 << 20 };

struct saver {
	struct loop *loop;
	struct log log;
	char *path;
	struct buf next, writing;
	bool dirty;
	struct work *work;
	struct err e;
	int rc;
};

struct saver *saver_new(struct loop *loop, const struct log *log,
                        const char *path)
{
	struct saver *s = mem_alloc(sizeof *s);

	s->loop = loop;
	log_init(&s->log, log, "saver", NULL);
	s->path = mem_strdup(path);
	s->next = s->writing = BUF_INIT(TEXT_MAX);
	return s;
}

static void write_job(void *arg)
{
	struct saver *s = arg;

	s->rc = file_write(s->path, s->writing.ptr, s->writing.len, 0600,
	                   &s->e);
}

static void begin(struct saver *s);

static void written(void *arg)
{
	struct saver *s = arg;

	s->work = NULL;
	if (s->rc < 0)
		log_err(&s->log, LOG_LEVEL_ERROR, "not saved", &s->e);
	begin(s);
}

static void begin(struct saver *s)
{
	if (s->work || !s->dirty)
		return;
	struct buf empty = s->writing;
	s->writing = s->next;
	s->next = empty;
	buf_reset(&s->next);
	s->dirty = false;
	s->work = work_start(s->loop, write_job, written, NULL, s);
}

void saver_save(struct saver *s, struct str text)
{
	buf_reset(&s->next);
	buf_add(&s->next, text.ptr, text.len);
	s->dirty = true;
	begin(s);
}

void saver_free(struct saver *s)
{
	if (!s)
		return;
	while (s->work)
		loop_run_once(s->loop, 100);
	buf_free(&s->next);
	buf_free(&s->writing);
	free(s->path);
	free(s);
}
