/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as files.
 *
 * A write makes a temporary file in .tmp, syncs it, and then, under the lock of
 * the store, looks whether the version is still the expected one and renames;
 * the folder is synced after that, outside the lock. So a put costs one fsync
 * of the file and one of the folder, readers need no lock, and a crash anywhere
 * leaves the old value or the new one, and at worst a file in .tmp, which the
 * next start removes.
 *
 * Paths are walked component by component without following symbolic links, so
 * nothing that is planted in the tree leads out of it. What is found where a
 * value should be and can be none (a link, a device, over 1 MiB) is moved to
 * .damaged, never deleted.
 */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "key.h"
#include "version.h"

enum {
	STALE_S = 3600,    /* a temporary file of that age is nobody's */
	LOCK_TRIES = 2000, /* of 2 ms */
	DEPTH_MAX = 16,
};

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- outcomes ---- */

static void words(struct outcome *o, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void words(struct outcome *o, const char *fmt, va_list ap)
{
	vsnprintf(o->text, sizeof o->text, fmt, ap);
}

acme_status outcome_set(struct outcome *o, acme_status status, const char *fmt,
			...)
{
	va_list ap;

	va_start(ap, fmt);
	words(o, fmt, ap);
	va_end(ap);
	o->retry_ms = 0;
	return o->status = status;
}

static acme_status status_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return ACME_ABSENT;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ACME_NOSPACE;
	case EACCES:
	case EPERM:
	case EROFS:
		return ACME_DENIED;
	default:
		return ACME_RETRY;
	}
}

acme_status outcome_errno(struct outcome *o, const char *fmt, ...)
{
	char why[96];
	int errnum = errno;
	va_list ap;

	va_start(ap, fmt);
	words(o, fmt, ap);
	va_end(ap);
	size_t len = strlen(o->text);
	snprintf(o->text + len, sizeof o->text - len, ": %s",
		 strerror_r(errnum, why, sizeof why));
	o->retry_ms = 0;
	return o->status = status_of_errno(errnum);
}

/* ---- opening ---- */

static int make_folders(const char *path)
{
	char part[4096];

	if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = part + 1;; p++) {
		char c = *p;
		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -1;
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/* What a killed writer left. */
static void sweep(int root)
{
	int fd = openat(root, ".tmp", FOLDER_FLAGS);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < time(NULL) - STALE_S)
			unlinkat(fd, entry->d_name, 0);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

acme_status disk_open(struct disk *d, const char *path, struct outcome *o)
{
	static const char *const OURS[] = { ".tmp", ".damaged", ".leases" };
	struct stat st;

	d->root = -1;
	d->path = strdup(path);
	if (!d->path || make_folders(path) < 0 ||
	    (d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    fstat(d->root, &st) < 0)
		return outcome_errno(o, "%s", path);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
		return outcome_set(
		    o, ACME_DENIED,
		    "%s: writable by group or others (mode %04o)", path,
		    (unsigned)st.st_mode & 07777);
	for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
		if (mkdirat(d->root, OURS[i], 0700) < 0 && errno != EEXIST)
			return outcome_errno(o, "%s/%s", path, OURS[i]);
	sweep(d->root);
	return ACME_OK;
}

void disk_close(struct disk *d)
{
	if (d->root >= 0)
		close(d->root);
	free(d->path);
}

int disk_lock(struct disk *d, struct outcome *o)
{
	const struct timespec pause = { 0, 2000000 };
	int fd = openat(d->root, ".lock",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		outcome_errno(o, "%s/.lock", d->path);
		return -1;
	}
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		nanosleep(&pause, NULL);
	}
	outcome_set(o, ACME_RETRY, "%s/.lock: held by another process",
		    d->path);
	close(fd);
	return -1;
}

/* ---- walking a path ---- */

/* The folder that holds `path`, to close, and the last name. -1 with errno. */
static int open_parent(struct disk *d, const char *path, int create,
		       const char **name)
{
	char part[KEY_NAME + 1];
	int fd = fcntl(d->root, F_DUPFD_CLOEXEC, 0);

	for (const char *slash; fd >= 0 && (slash = strchr(path, '/'));
	     path = slash + 1) {
		size_t len = (size_t)(slash - path);
		if (len > KEY_NAME)
			len = KEY_NAME;
		memcpy(part, path, len);
		part[len] = '\0';
		int next = openat(fd, part, FOLDER_FLAGS);
		if (next < 0 && errno == ENOENT && create &&
		    (mkdirat(fd, part, 0700) == 0 || errno == EEXIST)) {
			fsync(fd);
			next = openat(fd, part, FOLDER_FLAGS);
		}
		int errnum = errno;
		close(fd);
		errno = errnum == ELOOP ? ENOTDIR : errnum;
		fd = next;
	}
	*name = path;
	return fd;
}

/* ---- reading ---- */

static void set_aside(struct disk *d, int folder, const char *name,
		      const char *path, const char *why, struct outcome *o)
{
	char to[64];

	snprintf(to, sizeof to, ".damaged/%lld-%u", (long long)time(NULL),
		 atomic_fetch_add(&d->serial, 1));
	if (renameat(folder, name, d->root, to) < 0)
		outcome_errno(o, "%s/%s is %s and cannot be set aside", d->path,
			      path, why);
	else
		outcome_set(o, ACME_BROKEN, "%s/%s is %s: set aside as %s",
			    d->path, path, why, to);
}

/* Reads what is open; -1 with errno. */
static int read_fd(int fd, char *room, size_t size, size_t *len)
{
	ssize_t n;

	for (*len = 0; *len < size; *len += (size_t)n) {
		n = read(fd, room + *len, size - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -1;
		else if (n == 0)
			break;
	}
	return 0;
}

static acme_status read_open(struct disk *d, int fd, const char *path,
			     size_t size, struct memory m, acme_str *value,
			     struct outcome *o)
{
	char *room = m.host->alloc(m.op, size + 1);

	if (!room)
		return outcome_set(o, ACME_RETRY, "%s/%s: out of memory",
				   d->path, path);
	if (read_fd(fd, room, size, &value->len) < 0)
		return outcome_errno(o, "%s/%s", d->path, path);
	value->ptr = room;
	return ACME_OK;
}

/* Opens the file of a value; -1 and *why when it can be none, with errno
 * otherwise. */
static int open_value(int folder, const char *name, size_t *size,
		      const char **why)
{
	struct stat st;
	int fd = openat(folder, name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	*why = NULL;
	if (fd < 0) {
		if (errno == ELOOP)
			*why = "a symbolic link";
		else if (errno == ENXIO)
			*why = "no regular file";
		return -1;
	}
	if (fstat(fd, &st) < 0)
		st.st_mode = 0;
	if (S_ISDIR(st.st_mode)) {
		close(fd);
		errno = ENOENT; /* a prefix, not a value */
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		*why = "no regular file";
	else if (st.st_size > (off_t)ACME_VALUE_MAX)
		*why = "larger than a value may be";
	if (*why) {
		close(fd);
		return -1;
	}
	*size = (size_t)st.st_size;
	return fd;
}

acme_status disk_read(struct disk *d, const char *path, struct memory m,
		      acme_str *value, struct outcome *aside, struct outcome *o)
{
	const char *name, *why = NULL;
	size_t size = 0;
	int folder = open_parent(d, path, 0, &name);
	int fd = folder < 0 ? -1 : open_value(folder, name, &size, &why);
	int errnum = errno;

	aside->text[0] = '\0';
	if (why)
		set_aside(d, folder, name, path, why, aside);
	if (folder >= 0)
		close(folder);
	errno = errnum == ENOTDIR || why ? ENOENT : errnum;
	if (fd < 0)
		return outcome_errno(o, "%s/%s", d->path, path);
	acme_status st = read_open(d, fd, path, size, m, value, o);
	close(fd);
	return st;
}

/* ---- writing ---- */

static int write_fd(int fd, acme_str value)
{
	size_t at = 0;

	while (at < value.len) {
		ssize_t n = write(fd, value.ptr + at, value.len - at);
		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A complete file in .tmp; -1 with errno. */
static int make_tmp(struct disk *d, acme_str value, int durable, char name[64])
{
	int fd = -1;

	for (int i = 0; i < 100 && fd < 0; i++) {
		snprintf(name, 64, ".tmp/%d-%u", (int)getpid(),
			 atomic_fetch_add(&d->serial, 1));
		fd = openat(d->root, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -1;
	}
	if (fd < 0)
		return -1;
	int bad = write_fd(fd, value) < 0 || (durable && fsync(fd) < 0);
	int errnum = errno;
	if (close(fd) < 0 && !bad) {
		bad = 1;
		errnum = errno;
	}
	if (bad) {
		unlinkat(d->root, name, 0);
		errno = errnum;
		return -1;
	}
	return 0;
}

/* Is the value at `name` the expected one? 0, or 1, or -1 with errno. */
static int differs(int folder, const char *name, acme_str expect)
{
	char version[VERSION_TEXT] = "";
	const char *why;
	size_t size, len;
	char *room;
	int rc = -1;

	if (!expect.ptr)
		return 0;
	int fd = open_value(folder, name, &size, &why);
	if (fd < 0)
		return why ? 1 : errno == ENOENT ? expect.len != 0 : -1;
	room = malloc(size + 1);
	if (room && read_fd(fd, room, size, &len) == 0) {
		version_of(room, len, version);
		rc = expect.len != strlen(version) ||
		     memcmp(expect.ptr, version, expect.len) != 0;
		explicit_bzero(room, size);
	}
	free(room);
	close(fd);
	return rc;
}

/* The part under the lock. Leaves the folder open for its fsync. */
static acme_status swap_in(struct disk *d, const char *tmp, const char *path,
			   acme_str expect, int *folder, struct outcome *o)
{
	const char *name;
	int lock = disk_lock(d, o);
	int rc = -1;

	if (lock < 0)
		return o->status;
	*folder = open_parent(d, path, 1, &name);
	if (*folder >= 0)
		rc = differs(*folder, name, expect);
	if (rc == 0 && renameat(d->root, tmp, *folder, name) < 0)
		rc = -1;
	if (rc > 0)
		outcome_set(o, ACME_CONFLICT, "%s/%s has changed", d->path,
			    path);
	else if (rc < 0 && (errno == ENOTDIR || errno == EISDIR ||
			    errno == ENOTEMPTY || errno == EEXIST))
		outcome_set(o, ACME_INVALID,
			    "%s/%s: one key is the prefix of another", d->path,
			    path);
	else if (rc < 0)
		outcome_errno(o, "%s/%s", d->path, path);
	else
		outcome_set(o, ACME_OK, "%s", "");
	close(lock);
	return o->status;
}

acme_status disk_write(struct disk *d, const char *path, acme_str value,
		       acme_str expect, struct outcome *o)
{
	char tmp[64];
	int folder = -1;

	if (make_tmp(d, value, 1, tmp) < 0)
		return outcome_errno(o, "%s/%s", d->path, path);
	acme_status st = swap_in(d, tmp, path, expect, &folder, o);
	if (st != ACME_OK)
		unlinkat(d->root, tmp, 0);
	else if (fsync(folder) < 0)
		st = outcome_errno(o, "%s/%s: fsync of its folder", d->path,
				   path);
	if (folder >= 0)
		close(folder);
	return st;
}

acme_status disk_write_light(struct disk *d, const char *path, acme_str value,
			     struct outcome *o)
{
	char tmp[64];

	if (make_tmp(d, value, 0, tmp) < 0)
		return outcome_errno(o, "%s/%s", d->path, path);
	if (renameat(d->root, tmp, d->root, path) < 0) {
		outcome_errno(o, "%s/%s", d->path, path);
		unlinkat(d->root, tmp, 0);
		return o->status;
	}
	return outcome_set(o, ACME_OK, "%s", "");
}

/* Folders that became empty go, so that their name may be a key again. */
static void prune(struct disk *d, const char *path)
{
	char part[KEY_PATH];
	char *slash;

	snprintf(part, sizeof part, "%s", path);
	while ((slash = strrchr(part, '/'))) {
		const char *name;
		*slash = '\0';
		int folder = open_parent(d, part, 0, &name);
		int rc = folder < 0 ? -1 : unlinkat(folder, name, AT_REMOVEDIR);
		if (folder >= 0)
			close(folder);
		if (rc < 0)
			return;
	}
}

static acme_status remove_locked(struct disk *d, const char *path,
				 acme_str expect, struct outcome *o)
{
	const char *name;
	int folder = open_parent(d, path, 0, &name);
	int rc = -1;

	if (folder >= 0)
		rc = differs(folder, name, expect);
	if (rc == 0 && (rc = unlinkat(folder, name, 0)) == 0 &&
	    (rc = fsync(folder)) == 0)
		prune(d, path);
	if (rc < 0 && (errno == ENOTDIR || errno == EISDIR))
		errno = ENOENT;
	if (rc < 0 && errno == ENOENT)
		rc = expect.ptr != NULL; /* it was not there */
	if (rc < 0)
		outcome_errno(o, "%s/%s", d->path, path);
	else if (rc > 0)
		outcome_set(o, ACME_CONFLICT, "%s/%s has changed", d->path,
			    path);
	else
		outcome_set(o, ACME_OK, "%s", "");
	if (folder >= 0)
		close(folder);
	return o->status;
}

acme_status disk_remove(struct disk *d, const char *path, acme_str expect,
			struct outcome *o)
{
	int lock = disk_lock(d, o);

	if (lock < 0)
		return o->status;
	remove_locked(d, path, expect, o);
	close(lock);
	return o->status;
}

/* ---- walking the tree ---- */

struct walk {
	disk_walk_fn *fn;
	disk_folder_fn *folder;
	void *arg;
	int errnum; /* why it ended: what is there cannot be read */
	char path[KEY_PATH];
};

/* A folder that has gone is no failure; one that cannot be read is, or a part
 * would pass for the whole. */
static int unreadable(struct walk *w)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return 0;
	w->errnum = errno;
	return -1;
}

static int is_ours(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && key_is_name(entry->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_folder(int parent, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int walk_folder(struct walk *w, int fd, const char *after, int depth);

/* One name of a folder. `rest` is what `after` says below it, or NULL. */
static int walk_entry(struct walk *w, int fd, const struct dirent *entry,
		      const char *rest, int depth)
{
	size_t len = strlen(w->path);
	int rc = 0;

	if (len + strlen(entry->d_name) + 2 > sizeof w->path)
		return 0;
	snprintf(w->path + len, sizeof w->path - len, "%s%s", len ? "/" : "",
		 entry->d_name);
	if (!is_folder(fd, entry)) {
		if (!rest && w->fn)
			rc = w->fn(w->arg, w->path);
	} else {
		int below = openat(fd, entry->d_name, FOLDER_FLAGS);
		if (below < 0)
			rc = unreadable(w);
		else if (depth < DEPTH_MAX)
			rc = walk_folder(w, below, rest ? rest : "", depth + 1);
		if (below >= 0)
			close(below);
	}
	w->path[len] = '\0';
	return rc;
}

/* Does not close fd. */
static int walk_folder(struct walk *w, int fd, const char *after, int depth)
{
	size_t part = strcspn(after, "/");
	struct dirent **names = NULL;
	int rc = 0;

	if (w->folder)
		w->folder(w->arg, w->path);
	int count = scandirat(fd, ".", &names, is_ours, by_name);
	if (count < 0)
		return unreadable(w);
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name, *rest = NULL;
		int cmp = 1;
		if (part) {
			cmp = strncmp(name, after, part);
			if (cmp == 0)
				cmp = name[part] != '\0';
			if (cmp == 0)
				rest = after + part + (after[part] == '/');
		}
		if (rc == 0 && cmp >= 0)
			rc = walk_entry(w, fd, names[i], rest, depth);
		free(names[i]);
	}
	free(names);
	return rc;
}

acme_status disk_walk(struct disk *d, const char *path, const char *after,
		      disk_walk_fn *fn, disk_folder_fn *folder, void *arg,
		      struct outcome *o)
{
	struct walk w = { .fn = fn, .folder = folder, .arg = arg };
	const char *name;
	size_t len = strlen(path);
	int parent = open_parent(d, path, 0, &name);
	int fd =
	    parent < 0 ? -1 : openat(parent, len ? name : ".", FOLDER_FLAGS);
	int errnum = errno;

	if (parent >= 0)
		close(parent);
	outcome_set(o, ACME_OK, "%s", "");
	if (fd < 0) {
		errno = errnum;
		return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP
			   ? ACME_OK
			   : outcome_errno(o, "%s/%s", d->path, path);
	}
	snprintf(w.path, sizeof w.path, "%s", path);
	if (len && !strncmp(after, path, len) && after[len] == '/')
		after += len + 1;
	walk_folder(&w, fd, after, 0);
	close(fd);
	errno = w.errnum;
	return w.errnum ? outcome_errno(o, "%s/%s", d->path, path) : ACME_OK;
}
