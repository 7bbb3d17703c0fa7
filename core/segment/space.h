/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <acme/segment.h>

#include "base/err.h"
#include "base/secret.h"
#include "segment/room.h"

/*
 * One space: an index, which the writer has mapped, and chunks of heap, which
 * it writes with pwrite. A space that no reader sees yet collects its records
 * in a buffer, so that a rebuild of many thousands takes few system calls.
 */

/* The index has no slot for this name: rebuild with a larger one. Positive, so
 * that it is no error code and never leaves this folder. */
enum { SPACE_FULL = 100 };

/* Bytes of the heap that nothing names any more. */
struct trash {
	uint64_t start, end;
	int64_t due;
};

struct space {
	struct room *room;
	int id;         /* owner of its extents */
	uint64_t at;    /* file offset */
	void *map;      /* page that holds `at`, and the index */
	size_t map_len; /* bytes */
	struct acme_segment_slot *slot;
	uint32_t slots;
	uint32_t used; /* not EMPTY */
	uint32_t live; /* neither EMPTY nor DEAD */

	uint64_t next, limit; /* the open chunk: where the next record goes */
	uint64_t live_bytes, trash_bytes;
	struct trash *trash;
	size_t trash_count;

	struct secret pending; /* hidden: records not written yet */
	size_t pending_len;
	uint64_t pending_at; /* where they will be */

	struct acme_segment_header words; /* names this space for `view` */
	struct acme_segment view;         /* the reader's functions on it */
};

/* A fresh, hidden space for `entries` records of `bytes` in all (it may grow
 * beyond the bytes, and up to its index's half beyond the entries). */
int space_create(struct room *room, int id, uint64_t entries, uint64_t bytes,
		 uint32_t generation, struct space **out, struct err *e);
/* The space that is in the file at `root`, as a writer before us left it; its
 * extents become ours, gaps between its records trash. ERR_BROKEN if it fails
 * its checks. */
int space_load(struct room *room, int id, uint32_t root, struct space **out,
	       struct err *e);
/* Forgets it; the file keeps it. NULL is fine. */
void space_free(struct space *s);
/* As space_free, and its extents are old. */
void space_retire(struct space *s);

/* Whether `more` names fit and the index stays at most half full. */
bool space_fits(const struct space *s, uint64_t more);

/* Appends whole records, each a multiple of 8 bytes; `*at` is where. */
int space_append(struct space *s, const void *bytes, size_t len, uint64_t *at,
		 struct err *e);
/* Writes what is pending; afterwards the space may be made visible. */
int space_flush(struct space *s, struct err *e);
/* Appends no longer pend: the space is visible. */
void space_show(struct space *s);

/* One store: the name leads to the record of `size` bytes at `at`. What it led
 * to before is trash. 0, SPACE_FULL or an error. */
int space_set(struct space *s, uint32_t kind, const void *name, size_t len,
	      uint64_t at, uint32_t size, struct err *e);
/* One store: the name leads nowhere. ERR_ABSENT if it did not. */
int space_drop(struct space *s, uint32_t kind, const void *name, size_t len,
	       struct err *e);

bool space_has(const struct space *s, uint32_t kind, const void *name,
	       size_t len);

/* The record, checked, in `buf`: 0, ERR_ABSENT, ERR_BROKEN, ... */
int space_get(struct space *s, uint32_t kind, const void *name, size_t len,
	      void *buf, size_t cap, struct acme_segment_record *r,
	      struct err *e);

/* Dates new trash, wipes what is due. */
int space_collect(struct space *s, int64_t now_ms, int64_t grace_ms,
		  struct err *e);
