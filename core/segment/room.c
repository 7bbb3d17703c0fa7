/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of the file: see room.h. The list is short (a space has an index and
 * a few chunks that grow with it), so first fit over an array will do. The file
 * only grows; the bound is what a 32-bit offset in units of 8 bytes reaches.
 */
#include "segment/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <acme/segment.h>

#include "base/mem.h"
#include "segment/word.h"

static const uint64_t ROOM_LIMIT = (uint64_t)UINT32_MAX * ACME_SEGMENT_UNIT;

static uint64_t round_up(uint64_t n)
{
	return (n + ROOM_PAGE - 1) / ROOM_PAGE * ROOM_PAGE;
}

static uint64_t room_end(const struct room *r)
{
	return r->count ? r->extents[r->count - 1].end : ACME_SEGMENT_HEADER;
}

static void add(struct room *r, struct extent x)
{
	struct extent *last = r->count ? &r->extents[r->count - 1] : NULL;

	if (x.start >= x.end)
		return;
	if (last && last->owner == x.owner && last->due == x.due) {
		last->end = x.end;
		return;
	}
	r->extents = mem_grow(r->extents, r->count + 1, sizeof x);
	r->extents[r->count++] = x;
}

void room_init(struct room *r, int fd, uint64_t file_size)
{
	memset(r, 0, sizeof *r);
	r->fd = fd;
	add(r, (struct extent){ .start = ACME_SEGMENT_HEADER,
				.end = round_up(file_size),
				.owner = ROOM_OLD,
				.due = ROOM_UNDATED });
}

void room_deinit(struct room *r)
{
	free(r->extents);
	memset(r, 0, sizeof *r);
}

/* Writes the list anew with [start, end) as given; merges equal neighbours. */
static void assign(struct room *r, uint64_t start, uint64_t end, int owner)
{
	struct extent *old = r->extents;
	size_t count = r->count;
	bool done = false;

	r->extents = NULL;
	r->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct extent before = old[i], after = old[i];

		before.end = before.end < start ? before.end : start;
		after.start = after.start > end ? after.start : end;
		add(r, before);
		if (!done && old[i].end >= start) {
			add(r,
			    (struct extent){ start, end, owner, ROOM_UNDATED });
			done = true;
		}
		add(r, after);
	}
	if (!done)
		add(r, (struct extent){ start, end, owner, ROOM_UNDATED });
	free(old);
}

void room_claim(struct room *r, uint64_t start, uint64_t end, int owner)
{
	assign(r, start / ROOM_PAGE * ROOM_PAGE, round_up(end), owner);
}

/* Backs [start, start + len) with storage, so that no later store can fail. */
static int allocate(int fd, uint64_t start, uint64_t len, struct err *e)
{
	int rc;

	SEGMENT_STEP();
	do {
		rc = posix_fallocate(fd, (off_t)start, (off_t)len);
	} while (rc == EINTR);
	if (rc == EFBIG)
		rc = ENOSPC;
	return rc ? err_errno(e, rc, "no room for %llu more bytes",
			      (unsigned long long)len)
		  : 0;
}

int room_take(struct room *r, uint64_t *len, int owner, uint64_t *start,
	      struct err *e)
{
	uint64_t at = room_end(r);

	*len = round_up(*len);
	for (size_t i = 0; i < r->count; i++) {
		const struct extent *x = &r->extents[i];
		if (x->owner == ROOM_FREE && x->end - x->start >= *len) {
			at = x->start;
			break;
		}
	}
	if (*len > ROOM_LIMIT || at > ROOM_LIMIT - *len)
		return err_set(e, ERR_NOSPACE,
			       "no room: a segment ends at 32 GiB");
	int rc = allocate(r->fd, at, *len, e);
	if (rc < 0)
		return rc;
	assign(r, at, at + *len, owner);
	*start = at;
	return 0;
}

void room_retire(struct room *r, int owner)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->extents[i].owner != owner)
			continue;
		r->extents[i].owner = ROOM_OLD;
		r->extents[i].due = ROOM_UNDATED;
	}
}

bool room_has_old(const struct room *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->extents[i].owner == ROOM_OLD)
			return true;
	return false;
}

int room_write(int fd, const void *bytes, size_t len, uint64_t at,
	       struct err *e)
{
	const char *p = bytes;

	while (len > 0) {
		SEGMENT_STEP();
		ssize_t n = pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, errno == EFBIG ? ENOSPC : errno,
					 "writing %zu bytes", len);
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

int room_wipe(int fd, uint64_t start, uint64_t end, struct err *e)
{
	static const char zeros[65536];
	int rc = 0;

	while (rc == 0 && start < end) {
		size_t n = end - start < sizeof zeros ? (size_t)(end - start)
						      : sizeof zeros;
		rc = room_write(fd, zeros, n, start, e);
		start += n;
	}
	return rc;
}

/* Wipes the parts of an extent that hold data, then gives its pages back. A
 * file system without holes is left with zeros. */
static int clear(int fd, uint64_t start, uint64_t end, struct err *e)
{
	uint64_t at = start;

	while (at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (data < 0 && errno == ENXIO)
			break; /* no data behind here */
		if (data < 0 || hole < 0) {
			data = (off_t)at;
			hole = (off_t)end;
		}
		uint64_t stop = (uint64_t)hole < end ? (uint64_t)hole : end;
		int rc = (uint64_t)data < stop
			     ? room_wipe(fd, (uint64_t)data, stop, e)
			     : 0;
		if (rc < 0)
			return rc;
		at = (uint64_t)hole;
	}
	SEGMENT_STEP();
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)start, (off_t)(end - start)) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return err_errno(e, errno, "punching a hole");
	return 0;
}

int room_collect(struct room *r, int64_t now_ms, int64_t grace_ms,
		 struct err *e)
{
	for (size_t i = 0; i < r->count; i++) {
		struct extent *x = &r->extents[i];

		if (x->owner != ROOM_OLD)
			continue;
		if (x->due == ROOM_UNDATED)
			x->due = now_ms + grace_ms;
		if (x->due > now_ms)
			continue;
		int rc = clear(r->fd, x->start, x->end, e);
		if (rc < 0)
			return rc;
		x->owner = ROOM_FREE;
		x->due = ROOM_UNDATED;
	}
	assign(r, 0, 0, ROOM_FREE); /* merges neighbours */
	return 0;
}
