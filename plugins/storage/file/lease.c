/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks with an end: the file .leases/NAME holds the lease, a random number,
 * and when it expires. It is read and written under the lock of the store, so
 * one of two takers wins. Not synced: after a loss of power a lease may be
 * gone, which the contract allows, since locks only save work.
 *
 * The clock is the machine's; hosts that share a store over a network should
 * agree on the time to within a small part of a lease.
 */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "key.h"

enum { PATH_ROOM = KEY_NAME + 16 };

struct lease {
	char id[LEASE_TEXT]; /* "": nobody's */
	int64_t until;
};

static void path_of(const char *name, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, ".leases/%s", name);
}

/* What cannot be read as a lease is none. */
static struct lease read_lease(struct disk *d, const char *name)
{
	struct lease lease = { .until = 0 };
	char path[PATH_ROOM], text[80];

	path_of(name, path);
	int fd = openat(d->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return lease;
	text[n] = '\0';
	if (sscanf(text, "%32[0-9a-f] %" SCNd64, lease.id, &lease.until) != 2)
		lease.id[0] = '\0';
	return lease;
}

static acme_status write_lease(struct disk *d, const char *name, const char *id,
			       int64_t until, struct outcome *o)
{
	char path[PATH_ROOM], text[80];

	path_of(name, path);
	int n = snprintf(text, sizeof text, "%s %" PRId64 "\n", id, until);
	acme_str value = { text, (size_t)n };
	return disk_write_light(d, path, value, o);
}

static int new_id(char id[LEASE_TEXT])
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -1;
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static acme_status taken(const struct lease *lease, int64_t now,
			 struct outcome *o)
{
	int64_t left = lease->until - now;

	outcome_set(o, ACME_CONFLICT, "held for another %" PRId64 " ms", left);
	o->retry_ms = left < 60000 ? (uint32_t)left : 60000;
	return o->status;
}

acme_status lease_take(struct disk *d, const char *name, int64_t now,
		       uint32_t ms, char id[LEASE_TEXT], struct outcome *o)
{
	int lock = disk_lock(d, o);

	if (lock < 0)
		return o->status;
	struct lease held = read_lease(d, name);
	if (*held.id && held.until > now)
		taken(&held, now, o);
	else if (new_id(id) < 0)
		outcome_set(o, ACME_RETRY, "no random numbers");
	else
		write_lease(d, name, id, now + ms, o);
	close(lock);
	return o->status;
}

static int same(const struct lease *held, acme_str id)
{
	return id.len == strlen(held->id) && id.len > 0 &&
	       !memcmp(id.ptr, held->id, id.len);
}

acme_status lease_renew(struct disk *d, const char *name, acme_str id,
			int64_t now, uint32_t ms, struct outcome *o)
{
	int lock = disk_lock(d, o);

	if (lock < 0)
		return o->status;
	struct lease held = read_lease(d, name);
	if (same(&held, id)) /* expired, but nobody came */
		write_lease(d, name, held.id, now + ms, o);
	else
		outcome_set(o, ACME_CONFLICT, "the lease is lost");
	close(lock);
	return o->status;
}

acme_status lease_drop(struct disk *d, const char *name, acme_str id,
		       struct outcome *o)
{
	char path[PATH_ROOM];
	int lock = disk_lock(d, o);

	if (lock < 0)
		return o->status;
	struct lease held = read_lease(d, name);
	path_of(name, path);
	outcome_set(o, ACME_OK, "%s", "");
	if (same(&held, id) && unlinkat(d->root, path, 0) < 0 &&
	    errno != ENOENT)
		outcome_errno(o, "%s/%s", d->path, path);
	close(lock);
	return o->status;
}
