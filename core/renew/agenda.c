/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap whose items know their place: see agenda.h. */
#include "renew/agenda.h"

#include <stdlib.h>

#include "base/mem.h"

static void put(struct agenda *a, size_t place, struct appointment *p)
{
	a->heap[place] = p;
	p->place = place;
}

static void up(struct agenda *a, size_t place)
{
	struct appointment *p = a->heap[place];

	for (; place > 1 && a->heap[place / 2]->at > p->at; place /= 2)
		put(a, place, a->heap[place / 2]);
	put(a, place, p);
}

static void down(struct agenda *a, size_t place)
{
	struct appointment *p = a->heap[place];

	for (;;) {
		size_t child = place * 2;
		if (child < a->count &&
		    a->heap[child + 1]->at < a->heap[child]->at)
			child++;
		if (child > a->count || a->heap[child]->at >= p->at)
			break;
		put(a, place, a->heap[child]);
		place = child;
	}
	put(a, place, p);
}

void agenda_set(struct agenda *a, struct appointment *p, int64_t at)
{
	p->at = at;
	if (!p->place) {
		if (a->count + 2 > a->room) {
			a->room = a->room ? a->room * 2 : 64;
			a->heap = mem_grow(a->heap, a->room, sizeof *a->heap);
		}
		put(a, ++a->count, p);
	}
	up(a, p->place);
	down(a, p->place);
}

void agenda_drop(struct agenda *a, struct appointment *p)
{
	size_t place = p->place;

	if (!place)
		return;
	p->place = 0;
	struct appointment *last = a->heap[a->count--];
	if (last == p)
		return;
	put(a, place, last);
	up(a, place);
	down(a, last->place);
}

struct appointment *agenda_next(const struct agenda *a)
{
	return a->count ? a->heap[1] : NULL;
}

void agenda_clear(struct agenda *a)
{
	for (size_t i = 1; i <= a->count; i++)
		a->heap[i]->place = 0;
	free(a->heap);
	*a = (struct agenda){ 0 };
}
