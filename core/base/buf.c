/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable buffers with a mandatory maximum, after curl's dynbuf: nothing that
 * the network, a file or a plugin sends can grow without a bound that somebody
 * chose. Old memory is overwritten when the buffer moves, because the content
 * may be a key.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
	*b = BUF_INIT(max);
}

void buf_free(struct buf *b)
{
	size_t max = b->max;

	if (b->ptr)
		explicit_bzero(b->ptr, b->cap);
	free(b->ptr);
	*b = BUF_INIT(max);
}

void buf_reset(struct buf *b)
{
	if (b->ptr) {
		explicit_bzero(b->ptr, b->len);
		b->ptr[0] = '\0';
	}
	b->len = 0;
	b->full = false;
}

/* Makes room for `len` bytes and a NUL. */
static int reserve(struct buf *b, size_t len)
{
	if (b->full || len > b->max || b->len > b->max - len) {
		b->full = true;
		return -1;
	}
	size_t need = b->len + len + 1;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap * 2 : 64;
	while (cap < need)
		cap *= 2;
	char *moved = mem_alloc(cap);
	if (b->ptr) {
		memcpy(moved, b->ptr, b->len);
		explicit_bzero(b->ptr, b->cap);
		free(b->ptr);
	}
	moved[b->len] = '\0';
	b->ptr = moved;
	b->cap = cap;
	return 0;
}

void *buf_extend(struct buf *b, size_t len)
{
	if (reserve(b, len) < 0)
		return NULL;
	char *room = b->ptr + b->len;
	b->len += len;
	b->ptr[b->len] = '\0';
	return room;
}

int buf_add(struct buf *b, const void *bytes, size_t len)
{
	void *room = buf_extend(b, len);

	if (!room)
		return -1;
	if (len)
		memcpy(room, bytes, len);
	return 0;
}

int buf_adds(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	int rc = -1;
	if (len >= 0 && reserve(b, (size_t)len) == 0) {
		vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
		rc = 0;
	}
	va_end(again);
	return rc;
}
