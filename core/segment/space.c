/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A space: see space.h, and docs/segment.md for the protocol.
 *
 * The order that everything rests on is in two places. space_append writes a
 * record where nobody looks; space_set stores the slot with release. Nothing is
 * ever written over a record that a slot names, and a slot never moves, so a
 * reader needs no lock, and a writer that ends between the two leaves nothing
 * but bytes that are trash for the next.
 */
#include "segment/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "segment/word.h"

enum {
	CHUNK_MIN = 64 << 10,
	CHUNK_MAX = 64 << 20,
	PENDING_MAX = 256 << 10,
	SLOTS_MIN = 1024,
};

/* ---- the index ----------------------------------------------------------- */

static int map_index(struct space *s, uint64_t len, struct err *e)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = s->at / page * page;

	s->map_len = (size_t)(s->at - start + len);
	s->map = mmap(NULL, s->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		      s->room->fd, (off_t)start);
	if (s->map == MAP_FAILED) {
		s->map = NULL;
		return err_errno(e, errno, "mapping an index");
	}
	madvise(s->map, s->map_len, MADV_DONTFORK);
	s->slot = (void *)((char *)s->map + (s->at - start) +
			   sizeof(struct acme_segment_space));
	return 0;
}

static struct acme_segment_space *head_of(const struct space *s)
{
	return (void *)((char *)s->slot - sizeof(struct acme_segment_space));
}

static int fill_head(struct space *s, uint32_t generation, struct err *e)
{
	struct acme_segment_space head = {
		.magic = ACME_SEGMENT_SPACE_MAGIC,
		.slots = s->slots,
		.generation = generation,
	};

	if (getrandom(head.key, sizeof head.key, 0) != sizeof head.key)
		return err_errno(e, errno, "getrandom");
	head.crc = acme_segment_crc32c(
	    0, &head.slots,
	    sizeof head - offsetof(struct acme_segment_space, slots));
	SEGMENT_STEP();
	memcpy(head_of(s), &head, sizeof head);
	return 0;
}

/* A power of two, a third of which holds the entries. */
static uint32_t slots_for(uint64_t entries)
{
	uint64_t slots = SLOTS_MIN;

	while (slots < 3 * entries && slots < ACME_SEGMENT_SLOTS_MAX)
		slots *= 2;
	return (uint32_t)slots;
}

static uint64_t index_len(uint32_t slots)
{
	return sizeof(struct acme_segment_space) +
	       (uint64_t)slots * sizeof(struct acme_segment_slot);
}

bool space_fits(const struct space *s, uint64_t more)
{
	return s->used + more <= s->slots / 2;
}

/* ---- life ---------------------------------------------------------------- */

static struct space *new_space(struct room *room, int id)
{
	struct space *s = mem_alloc(sizeof *s);

	s->room = room;
	s->id = id;
	s->view.header = &s->words;
	s->view.fd = room->fd;
	return s;
}

void space_free(struct space *s)
{
	if (!s)
		return;
	secret_free(&s->pending);
	if (s->map)
		munmap(s->map, s->map_len);
	free(s->trash);
	free(s);
}

void space_retire(struct space *s)
{
	if (!s)
		return;
	room_retire(s->room, s->id);
	space_free(s);
}

static int open_chunk(struct space *s, uint64_t need, struct err *e)
{
	uint64_t len = s->live_bytes / 8, start;

	len = len < CHUNK_MIN ? CHUNK_MIN : len;
	len = len > CHUNK_MAX ? CHUNK_MAX : len;
	len = len < need ? need : len;
	int rc = room_take(s->room, &len, s->id, &start, e);
	if (rc == ERR_NOSPACE && len > need) {
		len = need; /* the last bytes of a full disk */
		rc = room_take(s->room, &len, s->id, &start, e);
	}
	if (rc < 0)
		return rc;
	if (start != s->limit) /* else the chunk before goes on */
		s->next = start;
	s->limit = start + len;
	return 0;
}

int space_create(struct room *room, int id, uint64_t entries, uint64_t bytes,
		 uint32_t generation, struct space **out, struct err *e)
{
	struct space *s = new_space(room, id);
	int rc;

	*out = NULL;
	s->slots = slots_for(entries);
	uint64_t len = index_len(s->slots);
	rc = room_take(room, &len, id, &s->at, e);
	if (rc == 0)
		rc = map_index(s, len, e);
	if (rc == 0)
		rc = fill_head(s, generation, e);
	if (rc == 0 && bytes > 0)
		rc = open_chunk(s, bytes, e);
	if (rc == 0)
		rc = secret_alloc(&s->pending, PENDING_MAX, e);
	if (rc < 0) {
		space_retire(s);
		return rc;
	}
	s->words.root = (uint32_t)(s->at / ACME_SEGMENT_UNIT);
	*out = s;
	return 0;
}

/* ---- the heap ------------------------------------------------------------ */

int space_flush(struct space *s, struct err *e)
{
	if (s->pending_len == 0)
		return 0;
	int rc = room_write(s->room->fd, s->pending.ptr, s->pending_len,
			    s->pending_at, e);
	if (rc == 0)
		s->pending_len = 0;
	return rc;
}

void space_show(struct space *s)
{
	secret_free(&s->pending);
}

/* Takes the bytes into the buffer if they continue what is in it. */
static int pend(struct space *s, const void *bytes, size_t len, struct err *e)
{
	bool follows = s->pending_at + s->pending_len == s->next;
	int rc = 0;

	if (!follows || s->pending_len + len > PENDING_MAX)
		rc = space_flush(s, e);
	if (rc < 0)
		return rc;
	if (s->pending_len == 0)
		s->pending_at = s->next;
	if (len > PENDING_MAX)
		return room_write(s->room->fd, bytes, len, s->next, e);
	memcpy(s->pending.ptr + s->pending_len, bytes, len);
	s->pending_len += len;
	return 0;
}

int space_append(struct space *s, const void *bytes, size_t len, uint64_t *at,
		 struct err *e)
{
	int rc = 0;

	if (s->limit - s->next < len)
		rc = open_chunk(s, len, e);
	if (rc == 0 && s->pending.ptr)
		rc = pend(s, bytes, len, e);
	else if (rc == 0)
		rc = room_write(s->room->fd, bytes, len, s->next, e);
	if (rc < 0)
		return rc;
	*at = s->next;
	s->next += len;
	return 0;
}

static uint64_t padded(uint64_t size)
{
	return (size + ACME_SEGMENT_UNIT - 1) / ACME_SEGMENT_UNIT *
	       ACME_SEGMENT_UNIT;
}

static void add_trash(struct space *s, uint64_t start, uint64_t end)
{
	size_t n = s->trash_count;

	if (start >= end)
		return;
	s->trash_bytes += end - start;
	if ((n & (n - 1)) == 0) /* room doubles at each power of two */
		s->trash = mem_grow(s->trash, n ? 2 * n : 1, sizeof *s->trash);
	s->trash[s->trash_count++] = (struct trash){ start, end, ROOM_UNDATED };
}

static void discard(struct space *s, uint32_t at, uint32_t size)
{
	uint64_t start = (uint64_t)at * ACME_SEGMENT_UNIT;
	uint64_t len = padded(size);

	s->live_bytes -= s->live_bytes < len ? s->live_bytes : len;
	add_trash(s, start, start + len);
}

int space_collect(struct space *s, int64_t now_ms, int64_t grace_ms,
		  struct err *e)
{
	size_t kept = 0;
	int rc = 0;

	word_fence(); /* readers see the slot move before the record goes */
	for (size_t i = 0; i < s->trash_count; i++) {
		struct trash t = s->trash[i];

		if (t.due == ROOM_UNDATED)
			t.due = now_ms + grace_ms;
		if (rc == 0 && t.due <= now_ms) {
			rc = room_wipe(s->room->fd, t.start, t.end, e);
			if (rc == 0)
				continue;
		}
		s->trash[kept++] = t;
	}
	s->trash_count = kept;
	if (kept == 0) {
		free(s->trash);
		s->trash = NULL;
	}
	return rc;
}

/* ---- slots --------------------------------------------------------------- */

/* A slot that holds a name, or the one that it may have. */
struct place {
	uint32_t slot;
	uint32_t at; /* 0: it is not there */
	uint32_t size;
	uint32_t tag;
};

/* Copies what is at `offset`, written or pending; less at the end. */
static size_t peek(const struct space *s, uint64_t offset, void *buf,
		   size_t len)
{
	if (s->pending_len && offset >= s->pending_at &&
	    offset < s->pending_at + s->pending_len) {
		size_t from = (size_t)(offset - s->pending_at);
		if (len > s->pending_len - from)
			len = s->pending_len - from;
		memcpy(buf, s->pending.ptr + from, len);
		return len;
	}
	ssize_t n = acme_segment__pread(s->room->fd, buf, len, offset);
	return n < 0 ? 0 : (size_t)n;
}

/* Whether a record passes its checksum; for the rare case of a strange one. */
static bool is_sound(const struct space *s, uint32_t at)
{
	struct acme_segment_record r;
	struct secret buf;
	struct err ignored;

	if (secret_alloc(&buf, ACME_SEGMENT_RECORD_MAX, &ignored) < 0)
		return true;
	size_t n = peek(s, (uint64_t)at * ACME_SEGMENT_UNIT, buf.ptr, buf.len);
	bool ok = acme_segment__open((void *)buf.ptr, n, &r) == ACME_SEGMENT_OK;
	secret_free(&buf);
	return ok;
}

/*
 * Whether the record behind a slot with our tag is ours; its size if so. One
 * that is damaged is taken for ours (the tags agree), so that putting the
 * name again heals it.
 */
static bool is_ours(const struct space *s, uint32_t at, uint32_t kind,
		    const void *name, size_t len, uint32_t *size)
{
	unsigned char
	    buf[sizeof(struct acme_segment_head) + ACME_SEGMENT_NAME_MAX];
	struct acme_segment_head h;
	size_t n = peek(s, (uint64_t)at * ACME_SEGMENT_UNIT, buf, sizeof buf);

	*size = 0;
	if (n >= sizeof h) {
		memcpy(&h, buf, sizeof h);
		if (acme_segment__head_ok(&h) && h.kind == kind &&
		    h.name_len == len && sizeof h + len <= n &&
		    !memcmp(buf + sizeof h, name, len)) {
			*size = h.size;
			return true;
		}
	}
	return !is_sound(s, at);
}

/* 0 and the place, or SPACE_FULL. */
static int find_place(const struct space *s, uint32_t kind, const void *name,
		      size_t len, struct place *p)
{
	uint64_t hash = acme_segment_hash(head_of(s)->key, kind, name, len);
	uint32_t i, home = (uint32_t)hash;
	bool have = false;

	*p = (struct place){ .tag = (uint32_t)(hash >> 32) };
	for (i = 0; i < ACME_SEGMENT_PROBE && i < s->slots; i++) {
		uint32_t n = (home + i) & (s->slots - 1);
		const struct acme_segment_slot *slot = &s->slot[n];

		if (slot->at <= ACME_SEGMENT_DEAD && !have) {
			p->slot = n;
			have = true;
		}
		if (slot->at == ACME_SEGMENT_EMPTY)
			break;
		if (slot->at == ACME_SEGMENT_DEAD || slot->tag != p->tag ||
		    !is_ours(s, slot->at, kind, name, len, &p->size))
			continue;
		p->slot = n;
		p->at = slot->at;
		return 0;
	}
	return have ? 0 : SPACE_FULL;
}

int space_set(struct space *s, uint32_t kind, const void *name, size_t len,
	      uint64_t at, uint32_t size, struct err *e)
{
	struct place p;
	int rc = find_place(s, kind, name, len, &p);

	if (rc != 0)
		return rc;
	if (at % ACME_SEGMENT_UNIT || at / ACME_SEGMENT_UNIT > UINT32_MAX)
		return err_set(e, ERR_INVALID, "record at a bad offset");
	struct acme_segment_slot *slot = &s->slot[p.slot];
	if (p.at == 0) {
		s->used += slot->at == ACME_SEGMENT_EMPTY;
		s->live++;
		word_store(&slot->tag, p.tag);
	}
	word_store(&slot->at, (uint32_t)(at / ACME_SEGMENT_UNIT));
	s->live_bytes += padded(size);
	if (p.at != 0)
		discard(s, p.at, p.size);
	return 0;
}

int space_drop(struct space *s, uint32_t kind, const void *name, size_t len,
	       struct err *e)
{
	struct place p;

	if (find_place(s, kind, name, len, &p) != 0 || p.at == 0)
		return err_set(e, ERR_ABSENT, "no such %s",
			       acme_segment_kind_text(kind));
	word_store(&s->slot[p.slot].at, ACME_SEGMENT_DEAD);
	s->live--;
	discard(s, p.at, p.size);
	return 0;
}

bool space_has(const struct space *s, uint32_t kind, const void *name,
	       size_t len)
{
	struct place p;

	return find_place(s, kind, name, len, &p) == 0 && p.at != 0;
}

int space_get(struct space *s, uint32_t kind, const void *name, size_t len,
	      void *buf, size_t cap, struct acme_segment_record *r,
	      struct err *e)
{
	int rc = space_flush(s, e);

	if (rc < 0)
		return rc;
	enum acme_segment_result found =
	    acme_segment_find(&s->view, kind, name, len, buf, cap, r);
	if (found == ACME_SEGMENT_OK)
		return 0;
	if (found == ACME_SEGMENT_ABSENT)
		return err_set(e, ERR_ABSENT, "no such %s",
			       acme_segment_kind_text(kind));
	if (found == ACME_SEGMENT_IO)
		return err_errno(e, errno, "reading a %s",
				 acme_segment_kind_text(kind));
	return err_set(e, ERR_BROKEN, "reading a %s: %s",
		       acme_segment_kind_text(kind),
		       acme_segment_result_text(found));
}

/* ---- a space of a writer before us --------------------------------------- */

struct piece {
	uint64_t start, end;
};

static int by_start(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The extents of all records that slots name, sorted. Slots that lead out of
 * the file or to no record are counted as live but own nothing. */
static struct piece *live_pieces(struct space *s, uint64_t file_end, size_t *n)
{
	struct piece *list = mem_array((size_t)s->slots + 1, sizeof *list);
	struct acme_segment_head h;

	*n = 0;
	for (uint32_t i = 0; i < s->slots; i++) {
		uint64_t at = (uint64_t)s->slot[i].at * ACME_SEGMENT_UNIT;

		s->used += s->slot[i].at != ACME_SEGMENT_EMPTY;
		if (s->slot[i].at <= ACME_SEGMENT_DEAD)
			continue;
		s->live++;
		if (at < ACME_SEGMENT_HEADER ||
		    peek(s, at, &h, sizeof h) < sizeof h ||
		    !acme_segment__head_ok(&h) ||
		    at + padded(h.size) > file_end)
			continue;
		s->live_bytes += padded(h.size);
		list[(*n)++] = (struct piece){ at, at + padded(h.size) };
	}
	if (*n)
		qsort(list, *n, sizeof *list, by_start);
	return list;
}

/* Small gaps between live records are trash of this space; large ones are not
 * claimed, so they are old and will be given back. */
static void claim_pieces(struct space *s, const struct piece *list, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint64_t start = list[i].start, end = list[i].end;

		while (++i < n && list[i].start < end + CHUNK_MIN) {
			add_trash(s, end, list[i].start);
			if (list[i].end > end)
				end = list[i].end;
		}
		uint64_t tail = (end + ROOM_PAGE - 1) / ROOM_PAGE * ROOM_PAGE;
		uint64_t head = start / ROOM_PAGE * ROOM_PAGE;
		room_claim(s->room, head, tail, s->id);
		add_trash(s, head, start);
		add_trash(s, end, tail);
	}
}

int space_load(struct room *room, int id, uint32_t root, struct space **out,
	       struct err *e)
{
	struct space *s = new_space(room, id);
	struct acme_segment_space head;
	uint64_t file_end =
	    room->count ? room->extents[room->count - 1].end : 0;
	int rc = 0;

	*out = NULL;
	s->at = (uint64_t)root * ACME_SEGMENT_UNIT;
	if (acme_segment__space(room->fd, root, &head) != ACME_SEGMENT_OK ||
	    s->at + index_len(head.slots) > file_end)
		rc = err_set(e, ERR_BROKEN, "its index is damaged");
	else
		rc = map_index(s, index_len(head.slots), e);
	if (rc < 0) {
		space_free(s);
		return rc;
	}
	s->slots = head.slots;
	s->words.root = root;
	size_t n;
	struct piece *list = live_pieces(s, file_end, &n);
	room_claim(room, s->at, s->at + index_len(s->slots), id);
	claim_pieces(s, list, n);
	free(list);
	*out = s;
	return 0;
}
