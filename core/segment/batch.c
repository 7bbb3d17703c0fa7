/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds records (layout: <acme/segment.h>). Arguments were checked by the
 * caller as far as their meaning goes; here are only the bounds that a reader
 * insists on.
 */
#include "segment/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BATCH_MAX = 4 * ACME_SEGMENT_RECORD_MAX };

void batch_init(struct batch *b)
{
	memset(b, 0, sizeof *b);
	buf_init(&b->records, BATCH_MAX);
	buf_init(&b->names, BATCH_MAX);
}

void batch_free(struct batch *b)
{
	buf_free(&b->records);
	buf_free(&b->names);
	free(b->changes);
	b->changes = NULL;
	b->count = 0;
}

static struct change *add_change(struct batch *b, uint32_t kind,
				 struct str name)
{
	b->changes = mem_grow(b->changes, b->count + 1, sizeof *b->changes);
	struct change *c = &b->changes[b->count++];
	*c = (struct change){ .kind = kind,
			      .name = b->names.len,
			      .name_len = name.len };
	buf_add(&b->names, name.ptr, name.len);
	return c;
}

void batch_drop(struct batch *b, uint32_t kind, struct str name)
{
	add_change(b, kind, name);
}

/* Closes the record whose body was added behind `start`. */
static int finish(struct batch *b, struct change *c, struct acme_segment_head h,
		  struct err *e)
{
	const size_t skip = offsetof(struct acme_segment_head, kind);
	size_t size = b->records.len - c->record;
	static const char zeros[ACME_SEGMENT_UNIT];

	if (b->records.full || b->names.full || size > ACME_SEGMENT_RECORD_MAX)
		return err_set(e, ERR_INVALID, "a %s of more than %u bytes",
			       acme_segment_kind_text(c->kind),
			       ACME_SEGMENT_RECORD_MAX);
	c->size = h.size = (uint32_t)size;
	h.body_len = (uint32_t)(size - sizeof h - h.name_len);
	char *at = b->records.ptr + c->record;
	memcpy(at, &h, sizeof h);
	h.crc = acme_segment_crc32c(0, at + skip, size - skip);
	memcpy(at, &h, sizeof h);
	buf_add(&b->records, zeros,
		(ACME_SEGMENT_UNIT - size % ACME_SEGMENT_UNIT) %
		    ACME_SEGMENT_UNIT);
	return 0;
}

static struct change *start(struct batch *b, struct acme_segment_head *h,
			    struct str name)
{
	struct change *c = add_change(b, h->kind, name);

	c->record = b->records.len;
	h->name_len = (uint16_t)name.len;
	buf_add(&b->records, h, sizeof *h);
	buf_add(&b->records, name.ptr, name.len);
	return c;
}

int batch_add(struct batch *b, uint32_t kind, struct str name, struct str body,
	      struct err *e)
{
	struct acme_segment_head h = { .kind = (uint16_t)kind };
	struct change *c = start(b, &h, name);

	buf_add(&b->records, body.ptr, body.len);
	return finish(b, c, h, e);
}

/* A length that passed the bound of a record fits 32 bits; one that did not
 * is refused at the end, whatever was written here. */
static void add_len(struct buf *out, size_t len)
{
	uint32_t v = (uint32_t)len;

	buf_add(out, &v, sizeof v);
}

int batch_add_alpn(struct batch *b, struct str name, struct str cert,
		   struct str key, struct err *e)
{
	struct acme_segment_head h = { .kind = ACME_SEGMENT_ALPN };
	struct change *c = start(b, &h, name);

	add_len(&b->records, cert.len);
	add_len(&b->records, key.len);
	buf_add(&b->records, cert.ptr, cert.len);
	buf_add(&b->records, key.ptr, key.len);
	return finish(b, c, h, e);
}

int batch_add_cert(struct batch *b, const struct segment_cert *cert,
		   const uint64_t *chains, struct err *e)
{
	struct acme_segment_head h = { .kind = ACME_SEGMENT_CERT,
				       .version = cert->version,
				       .not_before = cert->not_before,
				       .not_after = cert->not_after };
	struct change *c = start(b, &h, cert->name);
	struct acme_segment_cert_head head = {
		.entries = (uint32_t)cert->entry_count
	};

	for (size_t i = 0; i < cert->name_count; i++)
		head.names_len += 1 + (uint32_t)cert->names[i].len;
	buf_add(&b->records, &head, sizeof head);
	for (size_t i = 0; i < cert->entry_count; i++) {
		struct acme_segment_cert_entry entry = {
			.type = cert->entries[i].type,
			.leaf_len = (uint32_t)cert->entries[i].leaf.len,
			.key_len = (uint32_t)cert->entries[i].key.len,
			.chain = chains[i],
		};
		buf_add(&b->records, &entry, sizeof entry);
	}
	for (size_t i = 0; i < cert->entry_count; i++) {
		const struct segment_entry *x = &cert->entries[i];
		buf_add(&b->records, x->leaf.ptr, x->leaf.len);
		buf_add(&b->records, x->key.ptr, x->key.len);
	}
	for (size_t i = 0; i < cert->name_count; i++) {
		buf_addc(&b->records, (char)cert->names[i].len);
		buf_add(&b->records, cert->names[i].ptr, cert->names[i].len);
	}
	return finish(b, c, h, e);
}

int batch_chain_body(struct buf *out, const struct segment_entry *entry,
		     uint64_t *name, struct err *e)
{
	/* A constant key: the name depends on the content alone, so that
	 * copies of the segment agree. Who finds a collision gains nothing,
	 * contents are compared. */
	static const uint8_t key[16] = "acme-agent chain";

	buf_reset(out);
	add_len(out, entry->chain_count);
	for (size_t i = 0; i < entry->chain_count; i++)
		add_len(out, entry->chain[i].len);
	for (size_t i = 0; i < entry->chain_count; i++)
		buf_add(out, entry->chain[i].ptr, entry->chain[i].len);
	if (out->full)
		return err_set(e, ERR_INVALID, "a chain of more than %zu bytes",
			       out->max);
	*name = acme_segment_hash(key, ACME_SEGMENT_CHAIN, out->ptr, out->len);
	return 0;
}
