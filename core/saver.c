/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written on the pool, one write at a time: see saver.h. */
#include "saver.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "loop/after.h"
#include "loop/work.h"

enum { TEXT_MAX = 64 << 20, AGAIN_MS = 10 * 1000 };

struct saver {
	struct loop *loop;
	struct log log;
	char *path;
	struct buf next, writing;
	bool dirty;
	struct after *again; /* after a failure */
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

static void on_again(void *arg)
{
	struct saver *s = arg;

	s->again = NULL;
	begin(s);
}

/* Swaps the two: what is written is not touched, and its room is used again. */
static void swap(struct saver *s)
{
	struct buf other = s->writing;

	s->writing = s->next;
	s->next = other;
}

/* A full disk is emptied some day: the text waits, unless a newer one came. */
static void failed(struct saver *s)
{
	log_err(&s->log, LOG_LEVEL_ERROR, "not saved", &s->e);
	if (!s->dirty)
		swap(s);
	s->dirty = true;
	if (!s->again)
		s->again = after_start(s->loop, AGAIN_MS, on_again, s);
}

static void written(void *arg)
{
	struct saver *s = arg;

	s->work = NULL;
	if (s->rc < 0)
		failed(s);
	else
		begin(s);
}

static void begin(struct saver *s)
{
	if (s->work || !s->dirty)
		return;
	after_cancel(&s->again);
	swap(s);
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
	begin(s); /* what has failed before, once more */
	while (s->work)
		loop_run_once(s->loop, 100);
	after_cancel(&s->again);
	buf_free(&s->next);
	buf_free(&s->writing);
	free(s->path);
	free(s);
}
