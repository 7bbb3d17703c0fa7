/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * A byte buffer that grows up to a maximum that somebody chose.
 *
 * `ptr` is always NUL-terminated once something was added (NULL before). After
 * an addition that would pass `max` the buffer is `full`: it keeps what it had,
 * refuses everything further, and each add returns -1, so a caller may add many
 * pieces and test `full` once. Running out of memory aborts.
 */
struct buf {
	char *ptr;
	size_t len, cap, max;
	bool full;
};

#define BUF_INIT(maximum) ((struct buf){ .max = (maximum) })

void buf_init(struct buf *b, size_t max);
/* Overwrites the content before it frees it: buffers may hold secrets. */
void buf_free(struct buf *b);
/* Empties, keeps memory and maximum. */
void buf_reset(struct buf *b);

int buf_add(struct buf *b, const void *bytes, size_t len);
int buf_adds(struct buf *b, const char *text);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Room for `len` more bytes, uninitialised and counted; NULL if full. */
void *buf_extend(struct buf *b, size_t len);

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->ptr ? b->ptr : "", b->len };
}
