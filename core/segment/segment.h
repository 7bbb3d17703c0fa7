/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <acme/segment.h>

#include "base/err.h"
#include "base/str.h"

/*
 * The writer of a shared segment (layout and reader: <acme/segment.h>,
 * protocol: docs/segment.md).
 *
 * One writer for each file, kept so by flock. Each function that returns 0 has
 * published: a reader that starts afterwards finds it, even if this process is
 * killed at once. Each that fails has left everything that was published
 * before where readers find it; ERR_NOSPACE if the file cannot grow. Arguments
 * are copied. Not for several threads at a time. The functions block on the
 * file, which lies in memory (or, for the replica, in the page cache).
 */
struct segment;

enum segment_flags {
	/* Make a segment of a file that holds something else. Its inode and
	 * size stay. Without this flag ERR_INVALID. */
	SEGMENT_REPAIR = 1,
	/* Survive a power failure: each function returns when its work is on
	 * the disk, and nothing is named before it is. For a replica. */
	SEGMENT_DURABLE = 2,
};

struct segment_opts {
	mode_t mode;      /* for example 0600; nothing beyond is left set */
	uid_t uid;        /* owner of a new file; (uid_t)-1: as created */
	gid_t gid;        /* group; (gid_t)-1: as it is */
	unsigned flags;   /* enum segment_flags */
	int64_t grace_ms; /* from superseded to wiped; 0: at next collect */
};

enum { SEGMENT_GRACE_MS = 10000 }; /* a good value */

#define SEGMENT_OPTS                                                           \
	((struct segment_opts){ .mode = 0600,                                  \
				.uid = (uid_t)-1,                              \
				.gid = (gid_t)-1,                              \
				.grace_ms = SEGMENT_GRACE_MS })

/* What segment_open met. */
enum segment_state {
	SEGMENT_NEW,      /* no file, or an empty one that somebody created */
	SEGMENT_KEPT,     /* a segment; all its records stay published */
	SEGMENT_REPAIRED, /* was damaged or junk and is empty now: log it loud,
			     then publish everything */
};

/* ERR_CONFLICT if another writer has it, ERR_INVALID if it is of another
 * layout or no segment (see SEGMENT_REPAIR), ERR_DENIED if its mode or owner
 * are not ours to set right. */
int segment_open(const char *path, const struct segment_opts *opts,
		 struct segment **out, struct err *e);
/* The file stays as it is. NULL is fine. */
void segment_close(struct segment *s);
enum segment_state segment_state(const struct segment *s);

/* The reader's view of the same file, as long as the segment is open. */
const struct acme_segment *segment_reader(const struct segment *s);

/* What passes these is refused with ERR_INVALID. */
enum segment_limits {
	SEGMENT_ENTRIES_MAX = 8,
	SEGMENT_CHAIN_MAX = 16, /* intermediates of an entry */
	SEGMENT_NAMES_MAX = 4096,
};

struct segment_entry {
	enum acme_segment_key type;
	struct str leaf; /* DER */
	struct str key;  /* DER, PKCS#8 */
	const struct str
	    *chain; /* DERs of the intermediates, leaf's issuer first */
	size_t chain_count;
};

/* One version of a certificate with all its key types. */
struct segment_cert {
	struct str name;    /* identity; not a server name */
	uint64_t version;   /* differs from that of any predecessor */
	int64_t not_before; /* Unix seconds; the latest of the entries */
	int64_t not_after;  /* Unix seconds; the earliest of the entries */
	const struct segment_entry *entries;
	size_t entry_count;
	const struct str *names; /* server names: exact or "*.parent" */
	size_t name_count;
};

/*
 * Publishes a certificate in place of the version before it. Server names that
 * are not in the new version go, those that another certificate holds come
 * over to this one (the last put wins).
 */
int segment_put_cert(struct segment *s, const struct segment_cert *cert,
		     struct err *e);
/* With the server names that still lead to it. ERR_ABSENT if there is none. */
int segment_remove_cert(struct segment *s, struct str name, struct err *e);

int segment_put_token(struct segment *s, struct str token, struct str keyauth,
		      struct err *e);
int segment_remove_token(struct segment *s, struct str token, struct err *e);

/* The acme-tls/1 certificate for a server name. */
int segment_put_alpn(struct segment *s, struct str server_name, struct str cert,
		     struct str key, struct err *e);
int segment_remove_alpn(struct segment *s, struct str server_name,
			struct err *e);

/*
 * A rebuild: between begin and end, certificates are put into a fresh space
 * that no reader sees; end makes it the active one by one store. Tokens and
 * challenge certificates are published at once as ever, and removals take
 * effect at once.
 *
 * At the end, certificates that only the old space holds are carried over,
 * unless `gone` says that configuration removed them; so are tokens. NULL
 * carries all. After a failed end the rebuild goes on (free something, try
 * again) or is cancelled.
 */
typedef bool segment_gone_fn(void *arg, struct str cert_name);

int segment_begin_rebuild(struct segment *s, struct err *e);
int segment_end_rebuild(struct segment *s, segment_gone_fn *gone, void *arg,
			struct err *e);
void segment_cancel_rebuild(struct segment *s);

/*
 * Publishes all records of another segment by one store; what only this one
 * holds stays, and so does a certificate that became valid later than the
 * other's. 10,000 certificates take a fraction of a second. Damaged records
 * are passed over and counted in `*skipped` (may be NULL).
 */
int segment_restore(struct segment *s, const struct acme_segment *from,
		    size_t *skipped, struct err *e);

/*
 * Call it now and then (a second or so): wipes what was superseded for longer
 * than the grace time, gives the room of old spaces back, and rebuilds when
 * garbage passes half of what lives. Time is any clock in milliseconds that
 * does not jump back. A failure is harmless and will be tried again.
 */
int segment_collect(struct segment *s, int64_t now_ms, struct err *e);
/* Whether a later collect has something to do. */
bool segment_has_garbage(const struct segment *s);

/* Leaves a sign of life: Unix milliseconds. */
void segment_heartbeat(struct segment *s, int64_t wall_ms);

/* Waits until all is on the disk, for those who do not want SEGMENT_DURABLE. */
int segment_sync(struct segment *s, struct err *e);
