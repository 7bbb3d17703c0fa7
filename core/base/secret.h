/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/err.h"

/*
 * Bytes that must not leave: keys, tokens, passwords.
 *
 * They have pages of their own that no core dump and no forked child sees, are
 * wiped before the pages go back, and have no printf path. One owner; move by
 * assignment and secret_init of the source. `ptr` is NUL-terminated beyond
 * `len` for the sake of C libraries.
 */
struct secret {
	char *ptr;
	size_t len;
	size_t mapped;
};

#define SECRET_NONE ((struct secret){ 0 })

enum { SECRET_MAX = 1 << 20 };

/* Zeroed room for `len` bytes; ERR_NOSPACE over SECRET_MAX or without memory. */
int secret_alloc(struct secret *s, size_t len, struct err *e);
/* Copies; the source remains the caller's to wipe. */
int secret_copy(struct secret *s, const void *bytes, size_t len,
                struct err *e);
void secret_free(struct secret *s);

/* Makes this process undumpable and refuses core files; for main(). */
void secret_no_dumps(void);
