/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include <acme/plugin.h>

/*
 * Values as files below one folder; blocking, so for jobs only (but disk_open
 * and disk_close). Safe for many threads and processes at the same time.
 */
struct disk {
	int root;
	char *path;
	atomic_uint serial; /* of temporary files */
};

/* A result with words for a person. */
struct outcome {
	acme_status status;
	uint32_t retry_ms;
	char text[320];
};

/* Memory of the operation that a job works for. */
struct memory {
	const acme_host *host;
	acme_op op;
};

acme_status outcome_set(struct outcome *o, acme_status status, const char *fmt,
			...) ACME_PRINTF(3, 4);
/* By errno: ENOENT is ABSENT, ENOSPC NOSPACE, EACCES DENIED, else RETRY. */
acme_status outcome_errno(struct outcome *o, const char *fmt, ...)
    ACME_PRINTF(2, 3);

acme_status disk_open(struct disk *d, const char *path, struct outcome *o);
void disk_close(struct disk *d);

/* One value, NUL-terminated beyond its length. ABSENT when there is none, also
 * when what was there could be none and has been set aside (then with words
 * about that in *aside, else ""). */
acme_status disk_read(struct disk *d, const char *path, struct memory m,
		      acme_str *value, struct outcome *aside,
		      struct outcome *o);

/* `expect`: see acme/storage.h. Durable when it returns. */
acme_status disk_write(struct disk *d, const char *path, acme_str value,
		       acme_str expect, struct outcome *o);
acme_status disk_remove(struct disk *d, const char *path, acme_str expect,
			struct outcome *o);

/* Each file below the folder `path` ("": all), sorted by component, that comes
 * after the path `after` ("": from the start). Stops when `fn` is not 0. */
typedef int disk_walk_fn(void *arg, const char *path);
typedef void disk_folder_fn(void *arg, const char *path);
acme_status disk_walk(struct disk *d, const char *path, const char *after,
		      disk_walk_fn *fn, disk_folder_fn *folder, void *arg,
		      struct outcome *o);

/* The one lock of the store, between processes and threads: a descriptor to
 * close, or -1. Held for moments only. */
int disk_lock(struct disk *d, struct outcome *o);

/* A small file without promises of durability, in a folder of ours. */
acme_status disk_write_light(struct disk *d, const char *path, acme_str value,
			     struct outcome *o);
