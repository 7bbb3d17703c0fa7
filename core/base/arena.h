/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/str.h"

/*
 * Memory that ends together: an order has one, a step of it another.
 *
 * Blocks are zeroed and aligned for any type; strings are NUL-terminated.
 * Nothing is freed alone. The bound is counted in bytes asked for; when it is
 * passed the functions return NULL, because what fills an arena usually comes
 * from the network. Not for secrets: those are `struct secret`.
 */
struct arena {
	struct arena_block *blocks;
	size_t used, max;
};

#define ARENA_INIT(maximum) ((struct arena){ .max = (maximum) })

void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, struct str text);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Frees all blocks; the arena may be used again. */
void arena_reset(struct arena *a);

/* Overwrites all blocks first: for memory that a plugin may have put a key in. */
void arena_wipe(struct arena *a);
