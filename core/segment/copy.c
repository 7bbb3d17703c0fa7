/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate from one segment to another, through the reader that everybody
 * uses and the writer's ordinary put: what is copied was checked as a worker
 * would check it.
 */
#include "segment/copy.h"

#include <stdlib.h>

#include "base/mem.h"

enum { ENTRIES = 8, CHAIN = 10, NAMES = 1000 };

/* What the put borrows; each chain lies in a buffer of its own. */
struct copy {
	struct segment_cert cert;
	struct segment_entry entries[ENTRIES];
	struct str chain[ENTRIES][CHAIN];
	struct str names[NAMES];
	char *record, *chains[ENTRIES];
};

static struct str str_bytes(struct acme_segment_bytes b)
{
	return (struct str){ (const char *)b.ptr, b.len };
}

static int failed(enum acme_segment_result result, struct err *e)
{
	return err_set(e, result == ACME_SEGMENT_ABSENT ? ERR_ABSENT : ERR_BROKEN,
	               "%s", acme_segment_result_text(result));
}

static int read_chain(struct copy *c, const struct acme_segment *from,
                      uint64_t hash, size_t n, struct err *e)
{
	struct acme_segment_record record;
	struct acme_segment_bytes der;

	c->entries[n].chain = c->chain[n];
	if (!hash)
		return 0;
	c->chains[n] = mem_alloc(ACME_SEGMENT_RECORD_MAX);
	enum acme_segment_result result = acme_segment_find_chain(
	    from, hash, c->chains[n], ACME_SEGMENT_RECORD_MAX, &record);
	if (result != ACME_SEGMENT_OK)
		return failed(result, e);
	for (uint32_t i = 0; i < CHAIN && acme_segment_chain(&record, i, &der);
	     i++)
		c->chain[n][c->entries[n].chain_count++] = str_bytes(der);
	return 0;
}

static int read_entries(struct copy *c, const struct acme_segment *from,
                        const struct acme_segment_record *record, struct err *e)
{
	struct acme_segment_entry entry;
	struct acme_segment_bytes name;
	int rc = 0;

	c->cert.entries = c->entries;
	c->cert.names = c->names;
	for (uint32_t i = 0; rc == 0 && i < ENTRIES &&
	                     acme_segment_cert(record, i, &entry); i++) {
		struct segment_entry *to = &c->entries[c->cert.entry_count++];
		to->type = (enum acme_segment_key)entry.type;
		to->leaf = str_bytes(entry.leaf);
		to->key = str_bytes(entry.key);
		rc = read_chain(c, from, entry.chain, i, e);
	}
	for (uint32_t i = 0; i < NAMES && acme_segment_cert_name(record, i, &name);
	     i++)
		c->names[c->cert.name_count++] = str_bytes(name);
	return rc;
}

static void wipe(struct copy *c)
{
	for (size_t i = 0; i < ENTRIES; i++)
		free(c->chains[i]);
	explicit_bzero(c->record, ACME_SEGMENT_RECORD_MAX);
	free(c->record);
	free(c);
}

int segment_copy_cert(struct segment *to, const struct acme_segment *from,
                      struct str name, struct err *e)
{
	struct copy *c = mem_alloc(sizeof *c);
	struct acme_segment_record record;
	int rc = 0;

	c->record = mem_alloc(ACME_SEGMENT_RECORD_MAX);
	enum acme_segment_result result =
	    acme_segment_find(from, ACME_SEGMENT_CERT, name.ptr, name.len,
	                      c->record, ACME_SEGMENT_RECORD_MAX, &record);
	if (result != ACME_SEGMENT_OK)
		rc = failed(result, e);
	if (rc == 0) {
		c->cert.name = name;
		c->cert.version = record.version;
		c->cert.not_before = record.not_before;
		c->cert.not_after = record.not_after;
		rc = read_entries(c, from, &record, e);
	}
	if (rc == 0)
		rc = segment_put_cert(to, &c->cert, e);
	wipe(c);
	return rc < 0 ? err_in(e, "copy %.*s", STR_ARG(name)) : 0;
}
