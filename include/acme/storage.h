/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/storage.h: where accounts, orders and certificates are kept.
 *
 * Keys are "a/b/c": one to sixteen components of 1 to 200 bytes each, printable
 * ASCII without "/", no component "." or "..", 512 bytes at most in all. Where
 * "a/b" is a key, "a" is none: a storage may answer ACME_INVALID. A prefix is
 * component-wise ("a/b" holds "a/b/c", neither "a/bc" nor "a/b" itself); the
 * empty one holds everything. Values are opaque bytes, at most 1 MiB.
 *
 *  - One certificate is one value (key, chain and metadata together), so nobody
 *    needs a transaction over several keys.
 *  - `get` after an acknowledged `put` sees it; an acknowledged `put` survives
 *    a crash and a loss of power.
 *  - `version` is opaque and changes with the value; it outlives restarts.
 *  - Compare-and-set guards the data. A lock only saves work: it may be lost
 *    without notice, so nothing may be right only because a lock was held.
 *  - A value that the agent finds damaged is kept: it writes the bytes to
 *    "damaged/TIME/KEY" and deletes KEY. What a plugin itself cannot read as a
 *    value it sets aside where no key leads, and logs that as a warning.
 */
#ifndef ACME_STORAGE_H
#define ACME_STORAGE_H

#include <acme/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACME_STORE_CAS   1u /* put and del honour `expect`; required */
#define ACME_STORE_LOCK  2u /* lock, renew, unlock */
#define ACME_STORE_WATCH 4u /* watch; else the host polls list */
#define ACME_STORE_LOCAL 8u /* values do not leave this machine */

#define ACME_KEY_MAX   512u
#define ACME_VALUE_MAX 1048576u

#define ACME_LIST_VALUES 1u /* entries carry the value, not only key, version */

typedef struct acme_list {
	uint32_t size;
	uint32_t flags;
	acme_str prefix;
	acme_str cursor; /* from the END entry of the call before; empty: start */
	uint32_t limit;  /* entries at most; a plugin may give fewer; 0: its own */
	uint32_t reserved;
} acme_list;

/* `expect`: write only if the version still is this one; empty: only if there
 * is no such key; ptr NULL: whatever is there. Otherwise ACME_CONFLICT. */
typedef struct acme_storage_ops {
	uint32_t size;
	uint32_t caps;
	/* Emits one entry: key, value, version. ACME_ABSENT if there is none. */
	void (*get)(void *self, acme_op op, acme_str key);
	/* Emits key and the new version. ACME_NOSPACE leaves the old value. */
	void (*put)(void *self, acme_op op, acme_str key, acme_str value,
	            acme_str expect);
	/* Absent is ACME_OK when `expect` is NULL, else ACME_CONFLICT. */
	void (*del)(void *self, acme_op op, acme_str key, acme_str expect);
	/* Emits entries, in no promised order, and at last, if there is more
	 * or the plugin can tell a point for `watch`, one with ACME_ENTRY_END:
	 * key: the next cursor, empty when complete; version: the point.
	 * What is written meanwhile may or may not be among them; what was
	 * there before and still is, must be. */
	void (*list)(void *self, acme_op op, const acme_list *l);
	/* Takes a lease and emits it as version. ACME_CONFLICT while somebody
	 * else holds it, with retry_ms when known. An expired one is free. */
	void (*lock)(void *self, acme_op op, acme_str name, uint32_t lease_ms);
	/* Prolongs; emits the lease to use next. ACME_CONFLICT: it is lost. */
	void (*renew)(void *self, acme_op op, acme_str name, acme_str lease,
	              uint32_t lease_ms);
	/* A lease that is gone is ACME_OK. */
	void (*unlock)(void *self, acme_op op, acme_str name, acme_str lease);
	/* Emits changes (key, version, perhaps value; or DELETED; or RESYNC)
	 * below `prefix` from `point` on. Without a point, or with one that it
	 * does not know, it emits RESYNC once it is armed, so that nothing is
	 * lost between watch and list. May merge and may repeat. Never completes
	 * by itself; when it breaks, ACME_RETRY: the host watches again. */
	void (*watch)(void *self, acme_op op, acme_str prefix, acme_str point);
} acme_storage_ops;

#ifdef __cplusplus
}
#endif

#endif
