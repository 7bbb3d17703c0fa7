/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing a space: when it is full, when half of it is garbage, when an agent
 * starts, and when a replica is restored. All four are the same: a hidden space
 * is filled, `carry` brings what lives from elsewhere, and one store of root
 * shows it. The old space stays as it is until the grace time has passed, for
 * readers that are on their way through it.
 *
 * CHAINs and NAMEs are not carried for themselves but with the certificate that
 * needs them, so what nothing needs any more ends here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "segment/inside.h"
#include "segment/word.h"

enum { GARBAGE_MIN = 64 << 10 };

int segment_settle(struct segment *s, struct err *e)
{
	if (!s->durable)
		return 0;
	SEGMENT_STEP();
	return fdatasync(s->fd) < 0 ? err_errno(e, errno, "fdatasync") : 0;
}

int segment_sync(struct segment *s, struct err *e)
{
	return fdatasync(s->fd) < 0 ? err_errno(e, errno, "fdatasync") : 0;
}

/*
 * The one store is that of root. `switches` moves after it, so that a reader
 * who was in the old space, or in one that had the same offset before, sees
 * that it must look again; and before anything is wiped.
 */
int segment_switch(struct segment *s, struct space *next, struct err *e)
{
	int rc = space_flush(next, e);

	if (rc == 0)
		rc = segment_settle(s, e);
	if (rc < 0)
		return rc;
	space_show(next);
	word_store(&s->header->root, next->words.root);
	word_move(&s->header->switches);
	segment_announce(s, true);
	space_retire(s->active);
	s->active = next;
	return segment_settle(s, e);
}

/* ---- carrying records from one space to another ---------------------------
 */

struct carry {
	struct space *to;
	const struct acme_segment *from;
	struct space
	    *better; /* leave certificates that are younger here; NULL */
	segment_gone_fn *gone; /* NULL: all stay */
	void *arg;
	size_t skipped;                 /* damaged */
	uint64_t last_chain;            /* is there; most have the same */
	struct secret buf, more, other; /* a record at a time */
};

/* Copies a record as it is. Its bytes begin in front of `r->name`, in a buffer
 * with room for the padding: the largest record is a multiple of the unit. */
static int copy_record(struct space *to, const struct acme_segment_record *r,
		       struct err *e)
{
	size_t len = (r->size + ACME_SEGMENT_UNIT - 1) / ACME_SEGMENT_UNIT *
		     ACME_SEGMENT_UNIT;
	unsigned char *raw = (unsigned char *)(uintptr_t)r->name -
			     sizeof(struct acme_segment_head);
	uint64_t at;

	memset(raw + r->size, 0, len - r->size);
	int rc = space_append(to, raw, len, &at, e);
	return rc < 0 ? rc
		      : space_set(to, r->kind, r->name, r->name_len, at,
				  r->size, e);
}

/* 1: the chain is in `to` now; 0: it is damaged, or its name is another's. */
static int carry_chain(struct carry *c, uint64_t name, struct err *e)
{
	struct acme_segment_record chain, old;

	if (acme_segment_find_chain(c->from, name, c->more.ptr, c->more.len,
				    &chain) != ACME_SEGMENT_OK)
		return 0;
	int rc = space_get(c->to, ACME_SEGMENT_CHAIN, &name, sizeof name,
			   c->other.ptr, c->other.len, &old, e);
	if (rc == ERR_ABSENT || rc == ERR_BROKEN) {
		rc = copy_record(c->to, &chain, e);
		return rc == 0 ? 1 : rc;
	}
	if (rc < 0)
		return rc;
	return old.body_len == chain.body_len &&
	       !memcmp(old.body, chain.body, old.body_len);
}

static int carry_chains(struct carry *c, const struct acme_segment_record *cert,
			struct err *e)
{
	struct acme_segment_entry x;
	int rc = 1;

	for (uint32_t i = 0; rc == 1 && acme_segment_cert(cert, i, &x); i++) {
		if (x.chain == 0 || x.chain == c->last_chain)
			continue;
		rc = carry_chain(c, x.chain, e);
		if (rc == 1)
			c->last_chain = x.chain;
	}
	return rc;
}

/* The server names that lead to this certificate, and to none in `to`. */
static int carry_names(struct carry *c, const struct acme_segment_record *cert,
		       struct err *e)
{
	struct acme_segment_record name;
	struct acme_segment_bytes n;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && acme_segment_cert_name(cert, i, &n);
	     i++) {
		if (acme_segment_find(c->from, ACME_SEGMENT_NAME, n.ptr, n.len,
				      c->more.ptr, c->more.len,
				      &name) != ACME_SEGMENT_OK ||
		    name.body_len != cert->name_len ||
		    memcmp(name.body, cert->name, cert->name_len) != 0 ||
		    space_has(c->to, ACME_SEGMENT_NAME, n.ptr, n.len))
			continue;
		rc = copy_record(c->to, &name, e);
	}
	return rc;
}

/* Whether a certificate stays away: removed, or there is a younger one. */
static bool unwanted(struct carry *c, const struct acme_segment_record *cert)
{
	struct str name = { (const char *)cert->name, cert->name_len };
	struct acme_segment_record other;
	struct err ignored;

	if (c->gone && c->gone(c->arg, name))
		return true;
	return c->better &&
	       space_get(c->better, ACME_SEGMENT_CERT, name.ptr, name.len,
			 c->more.ptr, c->more.len, &other, &ignored) == 0 &&
	       other.not_before > cert->not_before;
}

static int carry_cert(struct carry *c, const struct acme_segment_record *cert,
		      struct err *e)
{
	int rc;

	if (unwanted(c, cert))
		return 0;
	rc = acme_segment_cert_count(cert) ? carry_chains(c, cert, e) : 0;
	if (rc == 0)
		c->skipped++;
	if (rc != 1)
		return rc;
	rc = copy_record(c->to, cert, e);
	return rc ? rc : carry_names(c, cert, e);
}

static int carry_record(struct carry *c, const struct acme_segment_record *r,
			struct err *e)
{
	if (r->kind == ACME_SEGMENT_CHAIN || r->kind == ACME_SEGMENT_NAME ||
	    space_has(c->to, r->kind, r->name, r->name_len))
		return 0;
	if (r->kind == ACME_SEGMENT_CERT)
		return carry_cert(c, r, e);
	return copy_record(c->to, r, e);
}

/* All that `from` holds and `to` does not: 0, SPACE_FULL or an error. */
static int carry_all(struct carry *c, struct err *e)
{
	struct acme_segment_cursor cursor = { 0 };
	struct acme_segment_record r;
	enum acme_segment_result found;
	int rc = 0;

	while (rc == 0) {
		found = acme_segment_next(c->from, &cursor, c->buf.ptr,
					  c->buf.len, &r);
		if (found == ACME_SEGMENT_ABSENT)
			break;
		if (found == ACME_SEGMENT_OK)
			rc = carry_record(c, &r, e);
		else if (found == ACME_SEGMENT_DAMAGED)
			c->skipped++;
		else
			rc = err_set(e, ERR_RETRY, "reading all records: %s",
				     acme_segment_result_text(found));
	}
	return rc;
}

static int carry_run(struct carry *c, struct err *e)
{
	int rc = secret_alloc(&c->buf, ACME_SEGMENT_RECORD_MAX, e);

	if (rc == 0)
		rc = secret_alloc(&c->more, ACME_SEGMENT_RECORD_MAX, e);
	if (rc == 0)
		rc = secret_alloc(&c->other, ACME_SEGMENT_RECORD_MAX, e);
	if (rc == 0)
		rc = carry_all(c, e);
	secret_free(&c->buf);
	secret_free(&c->more);
	secret_free(&c->other);
	return rc;
}

/* ---- what calls it --------------------------------------------------------
 */

static int next_space(struct segment *s, uint64_t entries, uint64_t bytes,
		      struct space **out, struct err *e)
{
	int id = ++s->last_id;

	return space_create(&s->room, id, entries, bytes, (uint32_t)id, out, e);
}

int segment_grow(struct segment *s, struct space **space, uint64_t more,
		 struct err *e)
{
	uint64_t entries = (*space)->live + more;
	int rc = SPACE_FULL;

	for (int i = 0; rc == SPACE_FULL && i < 4; i++, entries *= 2) {
		struct carry c = { .from = &(*space)->view };

		rc = space_flush(*space, e);
		if (rc == 0)
			rc = next_space(s, entries, (*space)->live_bytes, &c.to,
					e);
		if (rc == 0)
			rc = carry_run(&c, e);
		if (rc == 0 && *space == s->active)
			rc = segment_switch(s, c.to, e);
		else if (rc == 0) {
			space_retire(*space);
			*space = c.to;
		}
		if (rc != 0 && c.to != s->active)
			space_retire(c.to);
	}
	if (rc == SPACE_FULL)
		rc = err_set(e, ERR_NOSPACE, "no slot in a larger index");
	return rc < 0 ? err_in(e, "rebuilding the segment") : 0;
}

int segment_begin_rebuild(struct segment *s, struct err *e)
{
	if (s->fresh)
		return err_set(e, ERR_INVALID, "a rebuild is under way");
	return next_space(s, s->active->live, s->active->live_bytes, &s->fresh,
			  e);
}

void segment_cancel_rebuild(struct segment *s)
{
	space_retire(s->fresh);
	s->fresh = NULL;
}

/* Carries into the fresh space, in a larger one if need be. */
static int carry_into_fresh(struct segment *s, struct carry *c, struct err *e)
{
	int rc;

	do {
		c->to = s->fresh;
		c->skipped = 0;
		rc = carry_run(c, e);
		if (rc == SPACE_FULL)
			rc = segment_grow(s, &s->fresh, s->fresh->live, e) == 0
				 ? SPACE_FULL
				 : (int)e->code;
	} while (rc == SPACE_FULL);
	return rc;
}

int segment_end_rebuild(struct segment *s, segment_gone_fn *gone, void *arg,
			struct err *e)
{
	struct carry c = { .gone = gone, .arg = arg };
	uint64_t more;
	int rc = 0;

	if (!s->fresh)
		return err_set(e, ERR_INVALID, "no rebuild is under way");
	more = s->active->live;
	c.from = &s->active->view;
	if (!space_fits(s->fresh, more))
		rc = segment_grow(s, &s->fresh, more, e);
	if (rc == 0)
		rc = carry_into_fresh(s, &c, e);
	if (rc < 0)
		return rc;
	struct space *next = s->fresh;
	rc = segment_switch(s, next, e);
	if (s->active == next)
		s->fresh = NULL;
	return rc;
}

/* How many records a segment holds at most. */
static uint64_t count_of(const struct acme_segment *from)
{
	struct acme_segment_cursor c = { 0 };
	uint64_t n = 0;

	if (acme_segment__walk(from, &c) != ACME_SEGMENT_OK)
		return 0;
	while (acme_segment__fill(from, &c) == ACME_SEGMENT_OK)
		n += c.slot[c.next++ - c.first].at > ACME_SEGMENT_DEAD;
	return n;
}

int segment_restore(struct segment *s, const struct acme_segment *from,
		    size_t *skipped, struct err *e)
{
	struct carry c = { .from = from, .better = s->active };
	uint64_t entries = count_of(from) + s->active->live;
	int rc;

	if (skipped)
		*skipped = 0;
	if (s->fresh)
		return err_set(e, ERR_INVALID, "a rebuild is under way");
	posix_fadvise(from->fd, 0, 0, POSIX_FADV_WILLNEED);
	rc = next_space(s, entries, s->active->live_bytes, &s->fresh, e);
	if (rc < 0)
		return rc;
	rc = carry_into_fresh(s, &c, e);
	if (rc == 0)
		rc = segment_end_rebuild(s, NULL, NULL, e);
	if (skipped)
		*skipped = c.skipped;
	if (rc < 0)
		segment_cancel_rebuild(s);
	return rc < 0 ? err_in(e, "restoring the segment") : 0;
}

int segment_collect(struct segment *s, int64_t now_ms, struct err *e)
{
	const struct space *a = s->active;
	int rc = space_collect(s->active, now_ms, s->grace_ms, e);

	if (rc == 0 && s->fresh)
		rc = space_collect(s->fresh, now_ms, s->grace_ms, e);
	if (rc == 0)
		rc = room_collect(&s->room, now_ms, s->grace_ms, e);
	if (rc == 0 && !s->fresh && a->trash_bytes > GARBAGE_MIN &&
	    a->trash_bytes > a->live_bytes / 2)
		rc = segment_grow(s, &s->active, 0, e);
	return rc;
}

bool segment_has_garbage(const struct segment *s)
{
	return s->active->trash_count > 0 || room_has_old(&s->room) ||
	       (s->fresh && s->fresh->trash_count > 0);
}
