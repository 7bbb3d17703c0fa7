/* SPDX-License-Identifier: Apache-2.0 */
/* From root to a user of one's own, once and for good: see user.h. */
#include "base/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

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
