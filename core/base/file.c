/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as values: see file.h. Durability is the old recipe (write beside it,
 * fsync, rename, fsync the folder), because it is the one that file systems
 * promise to keep.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	char chunk[16384];
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = err_errno(e, errno, "%s", path);
		else if (buf_add(out, chunk, (size_t)n) < 0)
			rc = err_set(e, ERR_INVALID, "%s: over %zu bytes",
			             path, out->max);
	}
	explicit_bzero(chunk, sizeof chunk);
	return rc;
}

int file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0)
		return err_errno(e, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_errno(e, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
	else
		rc = read_all(fd, path, out, e);
	close(fd);
	return rc;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_folder_of(const char *path)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int rc = fsync(fd);
	close(fd);
	return rc;
}

int file_write(const char *path, const void *bytes, size_t len, mode_t mode,
               struct err *e)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof tmp, "%s.tmp-XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof tmp)
		return err_set(e, ERR_INVALID, "%s: path too long", path);
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, errno, "%s", tmp);
	int bad = write_all(fd, bytes, len) < 0 || fchmod(fd, mode) < 0 ||
	          fsync(fd) < 0;
	int errnum = errno;
	if (close(fd) < 0 && !bad) {
		bad = 1;
		errnum = errno;
	}
	if (!bad && rename(tmp, path) < 0) {
		bad = 1;
		errnum = errno;
	}
	if (bad) {
		unlink(tmp);
		return err_errno(e, errnum, "%s", path);
	}
	if (sync_folder_of(path) < 0)
		return err_errno(e, errno, "%s: fsync of its folder", path);
	return 0;
}

/* The umask is for files with keys in them; a folder has the mode that was
 * asked for, or others could not reach what lies in it for them. */
static int make_folder(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) < 0)
			return err_errno(e, errno, "chmod %s", path);
	} else if (errno != EEXIST) {
		return err_errno(e, errno, "mkdir %s", path);
	}
	return 0;
}

int file_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	int n = snprintf(part, sizeof part, "%s", path);

	if (n <= 0 || (size_t)n >= sizeof part)
		return err_set(e, ERR_INVALID, "folder path too long or empty");
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		/* "a/b/": the last slash follows the folder itself */
		mode_t last = p[1 + strspn(p + 1, "/")] ? 0755 : mode;
		if (make_folder(part, last, e) < 0)
			return e->code;
		*p = '/';
	}
	return make_folder(part, mode, e);
}

static int check_one(const char *path, uid_t owner, int is_folder,
                     struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, errno, "%s", path);
	if (st.st_uid != 0 && st.st_uid != owner)
		return err_set(e, ERR_DENIED,
		               "%s: belongs to uid %u, neither root nor us",
		               path, (unsigned)st.st_uid);
	int sticky = is_folder && (st.st_mode & S_ISVTX);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !sticky)
		return err_set(e, ERR_DENIED,
		               "%s: writable by group or others (mode %04o)",
		               path, (unsigned)st.st_mode & 07777);
	return 0;
}

int file_trusted(const char *path, uid_t owner, struct err *e)
{
	char *real = realpath(path, NULL);
	int rc = 0;

	if (!real)
		return err_errno(e, errno, "%s", path);
	rc = check_one(real, owner, 0, e);
	for (char *slash; rc == 0 && (slash = strrchr(real, '/'));) {
		*slash = '\0';
		rc = check_one(*real ? real : "/", owner, 1, e);
	}
	free(real);
	return rc;
}
