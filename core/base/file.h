/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Small files, read whole and written so that a crash leaves the old content or
 * the new one. Everything here may block: not on the loop while it runs, but
 * at start, in pool jobs and in tools.
 */

/* Adds the content to `out`, whose maximum bounds it. ERR_INVALID if the file
 * is larger or not a regular file, ERR_ABSENT if there is none. */
int file_read(const char *path, struct buf *out, struct err *e);

/* Temporary file beside it, write, fsync, rename, fsync of the folder. */
int file_write(const char *path, const void *bytes, size_t len, mode_t mode,
               struct err *e);

/* Creates the folder with this mode and its missing parents with 0755, whatever
 * the umask; what exists is left as it is. */
int file_mkdirs(const char *path, mode_t mode, struct err *e);

/* What is loaded as code must belong to root or to `owner` and be writable by
 * nobody else, and so must each folder above it (a sticky folder of root's
 * passes). ERR_DENIED with the offending path and reason. */
int file_trusted(const char *path, uid_t owner, struct err *e);
