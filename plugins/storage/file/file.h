/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "disk.h"
#include "key.h"
#include "version.h"

struct watch;

/* One instance. */
struct file {
	const acme_host *host;
	acme_op root;
	struct disk disk;
	struct watch *watches;
};

/* What a job found, for emit. */
struct found {
	struct found *next;
	uint32_t flags;
	acme_str key, value;
	size_t size; /* of the value, also when it is not carried */
	char version[VERSION_TEXT];
};

/* Reads the value at `path` into a new entry in `m`; NULL with `o` set. With
 * `value` 0 the entry carries only key and version. What was set aside on the
 * way is logged. */
struct found *file_found(struct file *f, const char *path, int value,
			 struct memory m, struct outcome *o);

void file_emit(struct file *f, acme_op op, const struct found *list);

/* The watch operation, in watch.c. */
void watch_start(void *self, acme_op op, acme_str prefix, acme_str point);
/* Not the op of a watch: nothing happens. */
void watch_cancel(struct file *f, acme_op op);
/* Frees those whose operation ended while a job ran. */
void watch_close(struct file *f);
