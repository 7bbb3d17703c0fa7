/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate from one segment to another, through the reader that everybody
 * uses and the writer's ordinary put: what is copied was checked as a worker
 * would check it.
 */
#include "segment/copy.h"

#include <stdlib.h>

#include "base/mem.h"

enum { TRIES = 4 };

/* What the put borrows; each chain lies in a buffer of its own. */
struct copy {
	struct segment_cert cert;
	struct segment_entry entries[SEGMENT_ENTRIES_MAX];
	struct str chain[SEGMENT_ENTRIES_MAX][SEGMENT_CHAIN_MAX];
	struct str names[SEGMENT_NAMES_MAX];
	char *record, *chains[SEGMENT_ENTRIES_MAX];
	size_t record_size; /* how much of `record` was written */
};

static struct str str_bytes(struct acme_segment_bytes b)
{
	return (struct str){ (const char *)b.ptr, b.len };
}

static int failed(enum acme_segment_result result, struct err *e)
{
	enum err_code code = result == ACME_SEGMENT_ABSENT  ? ERR_ABSENT
			     : result == ACME_SEGMENT_AGAIN ? ERR_RETRY
							    : ERR_BROKEN;

	return err_set(e, code, "%s", acme_segment_result_text(result));
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
	for (uint32_t i = 0;
	     i < SEGMENT_CHAIN_MAX && acme_segment_chain(&record, i, &der); i++)
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
	for (uint32_t i = 0; rc == 0 && i < SEGMENT_ENTRIES_MAX &&
			     acme_segment_cert(record, i, &entry);
	     i++) {
		struct segment_entry *to = &c->entries[c->cert.entry_count++];
		to->type = (enum acme_segment_key)entry.type;
		to->leaf = str_bytes(entry.leaf);
		to->key = str_bytes(entry.key);
		rc = read_chain(c, from, entry.chain, i, e);
	}
	for (uint32_t i = 0;
	     i < SEGMENT_NAMES_MAX && acme_segment_cert_name(record, i, &name);
	     i++)
		c->names[c->cert.name_count++] = str_bytes(name);
	return rc;
}

static void wipe(struct copy *c)
{
	for (size_t i = 0; i < SEGMENT_ENTRIES_MAX; i++)
		free(c->chains[i]);
	explicit_bzero(c->record, c->record_size);
	free(c->record);
	free(c);
}

/* What is missing or changing may be there at the next look: a rebuild may
 * come between the certificate and its chain. */
static bool try_again(enum err_code code)
{
	return code == ERR_ABSENT || code == ERR_RETRY;
}

static int copy_once(struct copy *c, struct segment *to,
		     const struct acme_segment *from, struct str name,
		     struct err *e)
{
	struct acme_segment_record record;
	int rc = 0;

	c->record = mem_alloc(ACME_SEGMENT_RECORD_MAX);
	enum acme_segment_result result =
	    acme_segment_find(from, ACME_SEGMENT_CERT, name.ptr, name.len,
			      c->record, ACME_SEGMENT_RECORD_MAX, &record);
	c->record_size = result == ACME_SEGMENT_OK ? record.size
						   : ACME_SEGMENT_RECORD_MAX;
	if (result != ACME_SEGMENT_OK)
		return failed(result, e);
	c->cert.name = name;
	c->cert.version = record.version;
	c->cert.not_before = record.not_before;
	c->cert.not_after = record.not_after;
	rc = read_entries(c, from, &record, e);
	return rc ? rc : segment_put_cert(to, &c->cert, e);
}

int segment_copy_cert(struct segment *to, const struct acme_segment *from,
		      struct str name, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < TRIES; i++) {
		struct copy *c = mem_alloc(sizeof *c);
		rc = copy_once(c, to, from, name, e);
		wipe(c);
		if (!try_again(rc))
			break;
	}
	return rc < 0 ? err_in(e, "copy %.*s", STR_ARG(name)) : 0;
}
