/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Who has which part of the file. An extent belongs to a space, or it is old
 * (a space that was replaced, whatever a writer before us left), or free: a
 * hole that reads as zeros. Old extents are wiped after the grace time and
 * become free. Kept in memory only: after a crash all that no live record
 * needs is old.
 */
enum {
	ROOM_FREE = 0, /* owners; others are the ids of spaces */
	ROOM_OLD = -1,

	ROOM_PAGE = 4096, /* what extents are rounded to */
};

struct extent {
	uint64_t start, end; /* bytes, whole pages */
	int owner;
	int64_t
	    due; /* old: when to wipe it; ROOM_UNDATED before that is known */
};

#define ROOM_UNDATED INT64_MAX

struct room {
	int fd;
	struct extent *extents; /* sorted, without gaps; ends with the file */
	size_t count;
};

/* All of the file behind the header is old. */
void room_init(struct room *r, int fd, uint64_t file_size);
void room_deinit(struct room *r);

/* Room of at least `*len` bytes that reads as zeros and is backed by storage;
 * `*len` becomes what it is. ERR_NOSPACE. */
int room_take(struct room *r, uint64_t *len, int owner, uint64_t *start,
	      struct err *e);
/* The pages that hold [start, end) belong to `owner` from now on. */
void room_claim(struct room *r, uint64_t start, uint64_t end, int owner);
/* All that belongs to `owner` is old. */
void room_retire(struct room *r, int owner);

/* Dates what became old since the last call; wipes and frees what is due. */
int room_collect(struct room *r, int64_t now_ms, int64_t grace_ms,
		 struct err *e);
bool room_has_old(const struct room *r);

/* Overwrites with zeros. */
int room_wipe(int fd, uint64_t start, uint64_t end, struct err *e);
/* Writes all bytes. */
int room_write(int fd, const void *bytes, size_t len, uint64_t at,
	       struct err *e);
