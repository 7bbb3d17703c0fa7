/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From root to a user of one's own, once and for good: see user.h.
 *
 * A folder is given away last, after what is in it: as long as it is root's,
 * nobody else can have put a link there.
 */
#include "base/user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16 };

int user_find(const char *user, const char *group, uid_t *uid, gid_t *gid,
              struct err *e)
{
	*uid = geteuid();
	*gid = getegid();
	if (user && *user) {
		struct passwd *pw = getpwnam(user);
		if (!pw)
			return err_set(e, ERR_ABSENT, "no user \"%s\"", user);
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
	}
	if (group && *group) {
		struct group *gr = getgrnam(group);
		if (!gr)
			return err_set(e, ERR_ABSENT, "no group \"%s\"",
			               group);
		*gid = gr->gr_gid;
	}
	return 0;
}

int user_become(const char *name, uid_t uid, gid_t gid, struct err *e)
{
	if (initgroups(name, gid) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return err_errno(e, errno, "become %s", name);
	if (uid != 0 && setuid(0) == 0)
		return err_set(e, ERR_BROKEN, "became %s, yet could go back",
		               name);
	return 0;
}

static int give(int fd, uid_t uid, gid_t gid, int depth);

/* All in a folder; -1 with errno. */
static int give_content(int fd, uid_t uid, gid_t gid, int depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int rc = dir ? 0 : -1;

	while (rc == 0 && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int file = openat(fd, entry->d_name,
		                  O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		                          O_CLOEXEC);
		if (file < 0)
			continue; /* a link or a socket: made anew by its user */
		rc = give(file, uid, gid, depth);
		close(file);
	}
	if (dir)
		closedir(dir);
	else if (copy >= 0)
		close(copy);
	return rc;
}

static int give(int fd, uid_t uid, gid_t gid, int depth)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != 0 || (!S_ISDIR(st.st_mode) && st.st_nlink > 1))
		return 0;
	if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX &&
	    give_content(fd, uid, gid, depth + 1) < 0)
		return -1;
	return fchown(fd, uid, gid);
}

/* Or what was made of it: "replica.1.damaged-2026-...". */
static bool is_one_of(const char *const *list, const char *name)
{
	for (; *list; list++) {
		size_t len = strlen(*list);
		if (!strncmp(*list, name, len) &&
		    (name[len] == '\0' || name[len] == '.'))
			return true;
	}
	return false;
}

/* A path that was mistyped must not take /run away from everybody. */
static int only_ours(int fd, const char *const *ours, struct err *e)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = err_errno(e, errno, "reading it");
		if (copy >= 0)
			close(copy);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    !is_one_of(ours, entry->d_name))
			rc = err_set(e, ERR_DENIED, "belongs to root and holds "
			             "\"%s\": chown -R it, if all of it is "
			             "meant for the agent", entry->d_name);
	rewinddir(dir); /* the copy shares its place with `fd` */
	closedir(dir);
	return rc;
}

int user_give(const char *folder, const char *const *ours, uid_t uid, gid_t gid,
              struct err *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_errno(e, errno, "%s", folder);
	else if (st.st_mode & S_IWOTH)
		rc = err_set(e, ERR_DENIED, "%s: writable by others", folder);
	else if (st.st_uid == 0 && only_ours(fd, ours, e) < 0)
		rc = err_in(e, "%s", folder);
	else if (give(fd, uid, gid, 0) < 0)
		rc = err_errno(e, errno, "%s: chown", folder);
	if (fd >= 0)
		close(fd);
	return rc;
}
