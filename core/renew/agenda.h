/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * What is due when: a binary heap of appointments, each embedded in what it is
 * for. Setting, moving and dropping one cost the logarithm of their number.
 */
struct appointment {
	int64_t at;   /* Unix milliseconds */
	size_t place; /* 0: in no agenda */
};

struct agenda {
	struct appointment **heap; /* from 1 */
	size_t count, room;
};

/* Puts it in, or moves it. */
void agenda_set(struct agenda *a, struct appointment *p, int64_t at);
/* Nothing if it is not in. */
void agenda_drop(struct agenda *a, struct appointment *p);
/* The earliest, or NULL. */
struct appointment *agenda_next(const struct agenda *a);
/* Frees the heap; appointments that are in become free. */
void agenda_clear(struct agenda *a);
