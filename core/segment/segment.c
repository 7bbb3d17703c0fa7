/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing: segment.h says what, docs/segment.md why it is safe.
 *
 * Each call builds its records first, then `publish` does four things in an
 * order that readers, and a process that is killed between any two of them,
 * depend on:
 *
 *   1. room is found and backed by storage; all that can fail has happened
 *   2. the records are written where nobody looks
 *   3. each slot is stored, with release; this is the publication
 *   4. epoch and changes move, with release, and tell readers to look
 *
 * Nothing is undone, because nothing that was published is ever overwritten.
 */
#include "segment/segment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "segment/inside.h"
#include "segment/word.h"

enum {
	DER_MAX = 256 << 10,
	SERVER_NAME_MAX = 253,
	TRIES = 4,
};

void segment_announce(struct segment *s, bool certificates)
{
	if (certificates)
		word_move(&s->header->epoch);
	word_move(&s->header->changes);
}

static int store_slots(struct space *space, const struct batch *b,
		       uint64_t base, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->count; i++) {
		const struct change *c = &b->changes[i];
		const char *name = b->names.ptr + c->name;

		if (c->size)
			rc = space_set(space, c->kind, name, c->name_len,
				       base + c->record, c->size, e);
		else
			rc = space_drop(space, c->kind, name, c->name_len, e);
	}
	return rc;
}

static bool touches_certificates(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i].kind <= ACME_SEGMENT_NAME)
			return true;
	return false;
}

/* 0, SPACE_FULL (nothing lost, grow and build the batch anew) or an error. */
static int publish(struct segment *s, struct space *space,
		   const struct batch *b, struct err *e)
{
	uint64_t base = 0;
	int rc = 0;

	if (b->records.len > 0)
		rc = space_append(space, b->records.ptr, b->records.len, &base,
				  e);
	if (rc == 0 && space == s->active)
		rc = segment_settle(s, e);
	if (rc < 0)
		return rc;
	rc = store_slots(space, b, base, e);
	if (space != s->active)
		return rc;
	segment_announce(s, touches_certificates(b));
	return rc == 0 ? segment_settle(s, e) : rc;
}

/* ---- certificates -------------------------------------------------------- */

static int check_entry(const struct segment_entry *x, struct err *e)
{
	if (x->leaf.len == 0 || x->leaf.len > DER_MAX)
		return err_set(e, ERR_INVALID, "leaf of %zu bytes",
			       x->leaf.len);
	if (x->key.len == 0 || x->key.len > DER_MAX)
		return err_set(e, ERR_INVALID, "key of %zu bytes", x->key.len);
	if (x->chain_count > SEGMENT_CHAIN_MAX)
		return err_set(e, ERR_INVALID, "%zu intermediates",
			       x->chain_count);
	for (size_t i = 0; i < x->chain_count; i++)
		if (x->chain[i].len == 0 || x->chain[i].len > DER_MAX)
			return err_set(e, ERR_INVALID,
				       "intermediate of %zu bytes",
				       x->chain[i].len);
	return 0;
}

static int check_name(struct str name, size_t max, const char *what,
		      struct err *e)
{
	if (name.len == 0 || name.len > max)
		return err_set(e, ERR_INVALID,
			       "%s of %zu bytes, 1 to %zu are allowed", what,
			       name.len, max);
	return 0;
}

static int check_cert(const struct segment_cert *cert, struct err *e)
{
	int rc = check_name(cert->name, ACME_SEGMENT_NAME_MAX,
			    "certificate name", e);

	if (rc == 0 &&
	    (cert->entry_count == 0 || cert->entry_count > SEGMENT_ENTRIES_MAX))
		rc =
		    err_set(e, ERR_INVALID, "%zu key types", cert->entry_count);
	for (size_t i = 0; rc == 0 && i < cert->entry_count; i++)
		rc = check_entry(&cert->entries[i], e);
	if (rc == 0 && cert->name_count > SEGMENT_NAMES_MAX)
		rc = err_set(e, ERR_INVALID, "%zu server names",
			     cert->name_count);
	for (size_t i = 0; rc == 0 && i < cert->name_count; i++)
		rc = check_name(cert->names[i], SERVER_NAME_MAX, "server name",
				e);
	return rc;
}

static bool in_batch(const struct batch *b, uint64_t chain)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->changes[i].kind == ACME_SEGMENT_CHAIN &&
		    !memcmp(b->names.ptr + b->changes[i].name, &chain,
			    sizeof chain))
			return true;
	return false;
}

/* Whether a CHAIN of this name may stand for `body`: 1 it is there, 0 it is
 * to be added, ERR_CONFLICT the name belongs to another content. */
static int chain_status(struct segment *s, struct space *space,
			const struct batch *b, uint64_t name, struct str body,
			struct err *e)
{
	struct acme_segment_record r;
	int rc;

	if (name == 0)
		return ERR_CONFLICT; /* means "none" */
	for (size_t i = 0; in_batch(b, name) && i < b->count; i++) {
		const struct change *c = &b->changes[i];
		const char *at = b->records.ptr + c->record +
				 sizeof(struct acme_segment_head);

		if (c->kind != ACME_SEGMENT_CHAIN ||
		    memcmp(at, &name, sizeof name))
			continue;
		return c->size == sizeof(struct acme_segment_head) +
				       sizeof name + body.len &&
			       !memcmp(at + sizeof name, body.ptr, body.len)
			   ? 1
			   : ERR_CONFLICT;
	}
	rc = space_get(space, ACME_SEGMENT_CHAIN, &name, sizeof name,
		       s->scratch.ptr, s->scratch.len, &r, e);
	if (rc < 0)
		return rc == ERR_ABSENT || rc == ERR_BROKEN ? 0 : rc;
	return r.body_len == body.len && !memcmp(r.body, body.ptr, body.len)
		   ? 1
		   : ERR_CONFLICT;
}

/* The name of the CHAIN with an entry's intermediates; adds it if needed. */
static int add_chain(struct segment *s, struct space *space, struct batch *b,
		     const struct segment_entry *entry, uint64_t *name,
		     struct err *e)
{
	struct buf body = BUF_INIT(ACME_SEGMENT_RECORD_MAX);
	int rc, status;

	*name = 0;
	if (entry->chain_count == 0)
		return 0;
	rc = batch_chain_body(&body, entry, name, e);
	while (rc == 0) {
		status = chain_status(s, space, b, *name, buf_str(&body), e);
		if (status != ERR_CONFLICT) {
			struct str key = { (const char *)name, sizeof *name };
			rc = status == 0 ? batch_add(b, ACME_SEGMENT_CHAIN, key,
						     buf_str(&body), e)
					 : status;
			break;
		}
		++*name;
	}
	buf_free(&body);
	return rc < 0 ? rc : 0;
}

/* Whether a NAME of this space leads to this certificate. */
static bool leads_to(struct space *space, struct str host, struct str cert)
{
	unsigned char
	    buf[sizeof(struct acme_segment_head) + 2 * ACME_SEGMENT_NAME_MAX];
	struct acme_segment_record r;
	struct err ignored;

	return space_get(space, ACME_SEGMENT_NAME, host.ptr, host.len, buf,
			 sizeof buf, &r, &ignored) == 0 &&
	       r.body_len == cert.len && !memcmp(r.body, cert.ptr, cert.len);
}

static bool holds(const struct segment_cert *cert, struct str name)
{
	for (size_t i = 0; cert && i < cert->name_count; i++)
		if (str_eq(cert->names[i], name))
			return true;
	return false;
}

/* Drops the server names of the version that is published now, but for those
 * that `next` (may be NULL) has as well. ERR_ABSENT if there is no such. */
static int drop_names(struct segment *s, struct space *space, struct batch *b,
		      struct str cert, const struct segment_cert *next,
		      struct err *e)
{
	struct acme_segment_record r;
	struct acme_segment_bytes n;
	int rc = space_get(space, ACME_SEGMENT_CERT, cert.ptr, cert.len,
			   s->scratch.ptr, s->scratch.len, &r, e);

	for (uint32_t i = 0; rc == 0 && acme_segment_cert_name(&r, i, &n);
	     i++) {
		struct str name = { (const char *)n.ptr, n.len };
		if (!holds(next, name) && leads_to(space, name, cert))
			batch_drop(b, ACME_SEGMENT_NAME, name);
	}
	return rc;
}

static int build_cert(struct segment *s, struct space *space, struct batch *b,
		      const struct segment_cert *cert, struct err *e)
{
	uint64_t chains[SEGMENT_ENTRIES_MAX];
	struct err ignored;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < cert->entry_count; i++)
		rc = add_chain(s, space, b, &cert->entries[i], &chains[i], e);
	if (rc == 0)
		rc = batch_add_cert(b, cert, chains, e);
	for (size_t i = 0; rc == 0 && i < cert->name_count; i++)
		if (!leads_to(space, cert->names[i], cert->name))
			rc = batch_add(b, ACME_SEGMENT_NAME, cert->names[i],
				       cert->name, e);
	if (rc == 0)
		drop_names(s, space, b, cert->name, cert, &ignored);
	return rc;
}

static int put_checked(struct segment *s, const struct segment_cert *cert,
		       struct err *e)
{
	struct space **space = s->fresh ? &s->fresh : &s->active;
	uint64_t more = cert->name_count + cert->entry_count + 1;
	struct batch b;
	int rc = 0;

	for (int i = 0; i < TRIES; i++) {
		if (rc == SPACE_FULL || !space_fits(*space, more))
			rc = segment_grow(s, space, more, e);
		if (rc < 0)
			return rc;
		batch_init(&b);
		rc = build_cert(s, *space, &b, cert, e);
		if (rc == 0)
			rc = publish(s, *space, &b, e);
		batch_free(&b);
		if (rc != SPACE_FULL)
			return rc;
	}
	return err_set(e, ERR_NOSPACE, "no slot in the index");
}

/* A copy of the server names in lower case; one free() for all. */
static struct str *lower_names(const struct str *names, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += names[i].len;
	struct str *copy = mem_alloc((count + 1) * sizeof *copy + bytes);
	char *p = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		copy[i] = (struct str){ p, names[i].len };
		for (size_t k = 0; k < names[i].len; k++) {
			char c = names[i].ptr[k];
			*p++ = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		}
	}
	return copy;
}

int segment_put_cert(struct segment *s, const struct segment_cert *cert,
		     struct err *e)
{
	struct segment_cert copy = *cert;
	int rc = check_cert(cert, e);

	if (rc == 0) {
		struct str *names = lower_names(cert->names, cert->name_count);
		copy.names = names;
		rc = put_checked(s, &copy, e);
		free(names);
	}
	return rc < 0 ? err_in(e, "publishing %.*s", STR_ARG(cert->name)) : 0;
}

static int remove_from(struct segment *s, struct space *space, struct str name,
		       struct err *e)
{
	struct batch b;
	struct err ignored;

	batch_init(&b);
	int rc = drop_names(s, space, &b, name, NULL, &ignored);
	if (rc == ERR_BROKEN || rc == 0) {
		batch_drop(&b, ACME_SEGMENT_CERT, name);
		rc = publish(s, space, &b, e);
	} else {
		*e = ignored;
	}
	batch_free(&b);
	return rc;
}

int segment_remove_cert(struct segment *s, struct str name, struct err *e)
{
	int rc = remove_from(s, s->active, name, e);

	if (s->fresh && (rc == 0 || rc == ERR_ABSENT)) {
		struct err hidden;
		int also = remove_from(s, s->fresh, name, &hidden);
		if (also != ERR_ABSENT && also != 0)
			*e = hidden;
		rc = also == ERR_ABSENT ? rc : also;
	}
	return rc < 0 ? err_in(e, "removing %.*s", STR_ARG(name)) : 0;
}

/* ---- challenges ---------------------------------------------------------- */

/* These are published at once, in a rebuild as well: a CA waits for them. */
static int put_one(struct segment *s, const struct batch *b, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < TRIES; i++) {
		if (rc == SPACE_FULL || !space_fits(s->active, b->count))
			rc = segment_grow(s, &s->active, b->count, e);
		if (rc == 0)
			rc = publish(s, s->active, b, e);
		if (rc != SPACE_FULL)
			return rc;
	}
	return err_set(e, ERR_NOSPACE, "no slot in the index");
}

static int drop_one(struct segment *s, uint32_t kind, struct str name,
		    struct err *e)
{
	struct batch b;

	batch_init(&b);
	batch_drop(&b, kind, name);
	int rc = publish(s, s->active, &b, e);
	batch_free(&b);
	return rc;
}

int segment_put_token(struct segment *s, struct str token, struct str keyauth,
		      struct err *e)
{
	struct batch b;
	int rc = check_name(token, ACME_SEGMENT_NAME_MAX, "token", e);

	batch_init(&b);
	if (rc == 0)
		rc = batch_add(&b, ACME_SEGMENT_TOKEN, token, keyauth, e);
	if (rc == 0)
		rc = put_one(s, &b, e);
	batch_free(&b);
	return rc < 0 ? err_in(e, "publishing a token") : 0;
}

int segment_remove_token(struct segment *s, struct str token, struct err *e)
{
	return drop_one(s, ACME_SEGMENT_TOKEN, token, e);
}

int segment_put_alpn(struct segment *s, struct str server_name, struct str cert,
		     struct str key, struct err *e)
{
	struct str *name = lower_names(&server_name, 1);
	struct batch b;
	int rc = check_name(server_name, SERVER_NAME_MAX, "server name", e);

	batch_init(&b);
	if (rc == 0)
		rc = batch_add_alpn(&b, *name, cert, key, e);
	if (rc == 0)
		rc = put_one(s, &b, e);
	batch_free(&b);
	free(name);
	return rc < 0 ? err_in(e, "publishing a challenge certificate") : 0;
}

int segment_remove_alpn(struct segment *s, struct str server_name,
			struct err *e)
{
	struct str *name = lower_names(&server_name, 1);
	int rc = drop_one(s, ACME_SEGMENT_ALPN, *name, e);

	free(name);
	return rc;
}

/* ---- the rest ------------------------------------------------------------ */

void segment_heartbeat(struct segment *s, int64_t wall_ms)
{
	__atomic_store_n(&s->header->heartbeat, (uint32_t)(wall_ms / 1000),
			 __ATOMIC_RELAXED);
}

const struct acme_segment *segment_reader(const struct segment *s)
{
	return &s->reader;
}

enum segment_state segment_state(const struct segment *s)
{
	return s->state;
}
