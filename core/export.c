/* SPDX-License-Identifier: Apache-2.0 */
/* PEM files for programs that are not nginx: see export.h. */
#include "export.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "loop/work.h"

struct one {
	char suffix[32]; /* "" or ".rsa-2048" */
	struct secret key;
	char *chain;
};

struct exporter {
	struct loop *loop;
	struct log log;
	struct export_job *first, **last; /* the first one is being written */
};

struct export_job {
	struct export_job *next;
	struct exporter *exporter;
	struct log log;
	char *folder;
	struct one list[CERT_KEYS_MAX];
	size_t count;
	struct err e;
	int rc;
};

static int write_one(const struct export_job *job, const char *what,
                     const struct one *one, const char *bytes, size_t len,
                     mode_t mode, struct err *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s%s.pem", job->folder, what,
	         one->suffix);
	return file_write(path, bytes, len, mode, e);
}

static void write_all(void *arg)
{
	struct export_job *job = arg;

	job->rc = file_mkdirs(job->folder, 0755, &job->e);
	for (size_t i = 0; job->rc == 0 && i < job->count; i++) {
		const struct one *one = &job->list[i];
		job->rc = write_one(job, "privkey", one, one->key.ptr,
		                    one->key.len, 0600, &job->e);
		if (job->rc == 0)
			job->rc = write_one(job, "fullchain", one, one->chain,
			                    strlen(one->chain), 0644, &job->e);
	}
}

static void begin(struct exporter *x);

static void job_free(struct export_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		secret_free(&job->list[i].key);
		free(job->list[i].chain);
	}
	free(job->folder);
	free(job);
}

static void written(void *arg)
{
	struct export_job *job = arg;
	struct exporter *x = job->exporter;

	if (job->rc < 0)
		log_err(&job->log, LOG_LEVEL_ERROR, "export failed", &job->e);
	else
		log_info(&job->log, "exported", "folder=%s", job->folder);
	x->first = job->next;
	if (!x->first)
		x->last = &x->first;
	job_free(job);
	begin(x);
}

static void begin(struct exporter *x)
{
	if (x->first)
		work_start(x->loop, write_all, written, NULL, x->first);
}

struct exporter *exporter_new(struct loop *loop, const struct log *log)
{
	struct exporter *x = mem_alloc(sizeof *x);

	x->loop = loop;
	x->last = &x->first;
	log_init(&x->log, log, "export", NULL);
	return x;
}

void exporter_free(struct exporter *x)
{
	while (x && x->first) { /* none, unless the loop was cut short */
		struct export_job *job = x->first;
		x->first = job->next;
		job_free(job);
	}
	free(x);
}

void exporter_add(struct exporter *x, const char *folder,
                  const struct cert_record *record, enum key_kind first)
{
	struct export_job *job = mem_alloc(sizeof *job);
	struct err e;

	job->exporter = x;
	log_init(&job->log, &x->log, NULL, "cert=%s", record->name);
	job->folder = mem_strdup(folder);
	for (size_t i = 0; i < record->key_count; i++) {
		const struct cert_key *k = &record->keys[i];
		struct one *one = &job->list[job->count];
		if (secret_copy(&one->key, k->key.ptr, k->key.len, &e) < 0)
			continue;
		one->chain = mem_strdup(k->chain);
		job->count++;
		if (k->kind != first)
			snprintf(one->suffix, sizeof one->suffix, ".%s",
			         key_kind_name(k->kind));
		char *colon = strchr(one->suffix, ':');
		if (colon)
			*colon = '-';
	}
	bool busy = x->first;
	*x->last = job;
	x->last = &job->next;
	if (!busy)
		begin(x);
}
