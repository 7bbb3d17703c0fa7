/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for LD_PRELOAD that makes a disk fail or the power go, at a moment
 * that the test chooses:
 *
 *   FAULT_FULL=FILE    while FILE exists, the disk below its folder is full:
 *                      writing, growing and creating files says ENOSPC
 *   FAULT_LOG=FILE     each rename adds a line "<monotonic ns> <target>"
 *   FAULT_KILL=WHEN:N  SIGKILL "before" or "after" the N-th rename
 *   FAULT_LINE=TEXT    SIGKILL when a line with TEXT is written to the log
 *
 * A rename is what makes a save count, so the two sides of the N-th rename are
 * the two sides of the N-th save. Each transition of a flow is a line of the
 * log, written before anything of the new state is begun.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long renames;

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Is this descriptor a file on the disk that is full now? */
static int full(int fd)
{
	const char *flag = getenv("FAULT_FULL");
	char link[64], path[4096];
	struct stat st;

	if (!flag || access(flag, F_OK) || fstat(fd, &st) ||
	    !S_ISREG(st.st_mode))
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	size_t folder = (size_t)(strrchr(flag, '/') - flag);
	size_t len = strlen(path);
	if (strncmp(path, flag, folder) || path[folder] != '/')
		return 0;
	/* The log is on another disk. */
	return len < 4 || strcmp(path + len - 4, ".log");
}

#define REFUSE(fd) \
	if (full(fd)) \
		return (errno = ENOSPC, -1)

ssize_t write(int fd, const void *bytes, size_t len)
{
	const char *line = getenv("FAULT_LINE");

	if (line && fd == STDERR_FILENO &&
	    memmem(bytes, len, line, strlen(line)))
		kill(getpid(), SIGKILL);
	REFUSE(fd);
	ssize_t (*next)(int, const void *, size_t) = real("write");
	return next(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	REFUSE(fd);
	ssize_t (*next)(int, const struct iovec *, int) = real("writev");
	return next(fd, iov, count);
}

/* On 64-bit Linux the two names are one function. */
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	REFUSE(fd);
	ssize_t (*next)(int, const void *, size_t, off_t) = real("pwrite");
	return next(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite(fd, bytes, len, at);
}

int ftruncate(int fd, off_t size)
{
	struct stat st;
	if (!fstat(fd, &st) && size > st.st_size)
		REFUSE(fd);
	int (*next)(int, off_t) = real("ftruncate");
	return next(fd, size);
}

int ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
	if (full(fd))
		return ENOSPC;
	int (*next)(int, off_t, off_t) = real("posix_fallocate");
	return next(fd, at, len);
}

int posix_fallocate64(int fd, off_t at, off_t len)
{
	return posix_fallocate(fd, at, len);
}

static void note(int folder, const char *target)
{
	const char *path = getenv("FAULT_LOG");
	struct timespec now;
	char line[8400], link[64], where[4096] = "";

	if (!path)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
	if (folder >= 0 && readlink(link, where, sizeof where - 1) < 0)
		where[0] = '\0';
	int len = snprintf(line, sizeof line, "%lld %s/%s\n",
	                   (long long)now.tv_sec * 1000000000 + now.tv_nsec,
	                   where, target);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) != len)
		abort();
	close(fd);
}

static void power(const char *side, long number)
{
	const char *wanted = getenv("FAULT_KILL");
	size_t len = strlen(side);

	if (wanted && !strncmp(wanted, side, len) && wanted[len] == ':' &&
	    strtol(wanted + len + 1, NULL, 10) == number)
		kill(getpid(), SIGKILL);
}

int renameat(int from, const char *old, int to, const char *new)
{
	int (*next)(int, const char *, int, const char *) = real("renameat");
	long number = ++renames;

	power("before", number);
	int rc = next(from, old, to, new);
	note(to, new);
	power("after", number);
	return rc;
}

int rename(const char *old, const char *new)
{
	return renameat(AT_FDCWD, old, AT_FDCWD, new);
}

int renameat2(int from, const char *old, int to, const char *new,
              unsigned flags)
{
	int (*next)(int, const char *, int, const char *, unsigned) =
	        real("renameat2");
	long number = ++renames;

	power("before", number);
	int rc = next(from, old, to, new, flags);
	note(to, new);
	power("after", number);
	return rc;
}

/* A file may also appear by link(2). */
int linkat(int from, const char *old, int to, const char *new, int flags)
{
	int (*next)(int, const char *, int, const char *, int) = real("linkat");
	long number = ++renames;

	power("before", number);
	int rc = next(from, old, to, new, flags);
	note(to, new);
	power("after", number);
	return rc;
}

int link(const char *old, const char *new)
{
	return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}
