/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

/* Looks a user and a group up by name; "" or NULL takes the user's own group,
 * or for the user ourselves. */
int user_find(const char *user, const char *group, uid_t *uid, gid_t *gid,
              struct err *e);

/* Becomes that user for good, supplementary groups included, and proves that
 * there is no way back. */
int user_become(const char *name, uid_t uid, gid_t gid, struct err *e);

/*
 * Gives a folder of root's to that user, and what is in it as far as it is
 * root's, too; links are not followed. A folder that is not root's stays as it
 * is, one that others may write is ERR_DENIED, and so is one of root's that
 * holds anything but `ours` (names, NULL at the end).
 */
int user_give(const char *folder, const char *const *ours, uid_t uid, gid_t gid,
              struct err *e);
