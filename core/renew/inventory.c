/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inventory: a balanced tree of names (tsearch of the C library), because
 * there may be a million of them and status lists them in order. Items never
 * move, so legs may be in an agenda and orders may point at them.
 */
#include "renew/inventory.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "renew/backoff.h"

struct inventory {
	void *tree; /* of struct item */
	size_t count;
	unsigned mark;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name,
	              ((const struct item *)b)->name);
}

/* --------------------------------------------------------------- items */

static void wish_free(struct wish *w)
{
	free((char *)(uintptr_t)w->issuer);
	free((char *)(uintptr_t)w->origin);
	free((char *)(uintptr_t)w->export_dir);
	names_free(&w->identifiers);
	names_free(&w->challenges);
	*w = (struct wish){ 0 };
}

static void wish_copy(struct wish *to, const struct wish *from,
                      const char *name)
{
	*to = *from;
	to->name = name;
	to->issuer = mem_strdup(from->issuer);
	to->origin = mem_strdup(from->origin);
	to->export_dir = mem_strdup(from->export_dir ? from->export_dir : "");
	names_copy(&to->identifiers, &from->identifiers);
	names_copy(&to->challenges, &from->challenges);
}

/* An order that is under way for one may go on for the other. */
static bool wish_same(const struct wish *a, const struct wish *b)
{
	return !strcmp(a->issuer, b->issuer) &&
	       names_same(&a->identifiers, &b->identifiers) &&
	       names_equal(&a->challenges, &b->challenges);
}

static void leg_forget(struct leg *leg)
{
	free(leg->issuer);
	free(leg->serial);
	names_free(&leg->identifiers);
	leg->issuer = leg->serial = NULL;
	leg->stored = leg->revoked = false;
}

static void item_free(void *node)
{
	struct item *item = node;

	wish_free(&item->wish);
	for (size_t i = 0; i < KEY_KINDS; i++) {
		leg_forget(&item->legs[i]);
		free(item->legs[i].last_error);
	}
	free(item->name);
	free(item);
}

static struct item *item_make(struct inventory *inv, const char *name)
{
	struct item *item = inventory_find(inv, name);

	if (item)
		return item;
	item = mem_alloc(sizeof *item);
	item->name = mem_strdup(name);
	for (size_t i = 0; i < KEY_KINDS; i++) {
		item->legs[i].item = item;
		item->legs[i].kind = (enum key_kind)i;
	}
	if (!tsearch(item, &inv->tree, by_name))
		abort();
	inv->count++;
	return item;
}

/* --------------------------------------------------------------- wishes */

struct inventory *inventory_new(void)
{
	return mem_alloc(sizeof(struct inventory));
}

void inventory_free(struct inventory *inv)
{
	if (inv)
		tdestroy(inv->tree, item_free);
	free(inv);
}

void inventory_begin(struct inventory *inv)
{
	inv->mark++;
}

bool inventory_want(struct inventory *inv, const struct wish *wish)
{
	struct item *item = item_make(inv, wish->name);

	if (item->wanted && item->mark == inv->mark)
		return false;
	item->changed = !item->wanted || !wish_same(&item->wish, wish);
	wish_free(&item->wish);
	wish_copy(&item->wish, wish, item->name);
	item->wanted = true;
	item->mark = inv->mark;
	for (size_t i = 0; i < KEY_KINDS; i++)
		item->legs[i].wanted = false;
	for (size_t i = 0; i < wish->kind_count; i++)
		item->legs[wish->kinds[i]].wanted = true;
	return true;
}

static void end_item(const void *node, VISIT visit, void *arg)
{
	struct item *item = *(struct item *const *)node;
	const struct inventory *inv = arg;

	if ((visit != postorder && visit != leaf) || item->mark == inv->mark)
		return;
	item->wanted = false;
	for (size_t i = 0; i < KEY_KINDS; i++)
		item->legs[i].wanted = false;
}

void inventory_end(struct inventory *inv)
{
	twalk_r(inv->tree, end_item, inv);
}

/* ---------------------------------------------------------------- facts */

static uint16_t dice_of(const char *serial)
{
	uint32_t h = 2166136261u; /* FNV-1a: the same after each restart */

	for (; *serial; serial++)
		h = (h ^ (unsigned char)*serial) * 16777619u;
	return (uint16_t)(h ^ h >> 16);
}

struct item *inventory_stored(struct inventory *inv,
                              const struct cert_record *record)
{
	struct item *item = item_make(inv, record->name);

	for (size_t i = 0; i < KEY_KINDS; i++)
		leg_forget(&item->legs[i]);
	for (size_t i = 0; i < record->key_count; i++) {
		const struct cert_key *k = &record->keys[i];
		struct leg *leg = &item->legs[k->kind];
		leg->stored = true;
		leg->revoked = k->revoked;
		leg->issuer = mem_strdup(k->issuer);
		leg->serial = mem_strdup(k->serial);
		names_copy(&leg->identifiers, &k->identifiers);
		leg->not_before = k->not_before;
		leg->not_after = k->not_after;
		leg->issued = k->issued;
		leg->dice = dice_of(k->serial);
	}
	return item;
}

struct item *inventory_find(const struct inventory *inv, const char *name)
{
	struct item probe = { .name = (char *)(uintptr_t)name };
	void *node = tfind(&probe, &inv->tree, by_name);

	return node ? *(struct item **)node : NULL;
}

size_t inventory_count(const struct inventory *inv)
{
	return inv->count;
}

struct walk {
	inventory_fn *fn;
	void *arg;
};

static void walk_item(const void *node, VISIT visit, void *arg)
{
	const struct walk *w = arg;

	if (visit == postorder || visit == leaf)
		w->fn(w->arg, *(struct item *const *)node);
}

void inventory_each(const struct inventory *inv, inventory_fn *fn, void *arg)
{
	struct walk w = { fn, arg };

	twalk_r(inv->tree, walk_item, &w);
}

void inventory_forget(struct inventory *inv, struct item *item)
{
	if (tdelete(item, &inv->tree, by_name))
		inv->count--;
	item_free(item);
}

/* ------------------------------------------------- wish against fact */

void leg_error(struct leg *leg, const struct err *e, int64_t now)
{
	if (!e) {
		free(leg->last_error);
		leg->last_error = NULL;
		return;
	}
	if (!leg->last_error)
		leg->last_error = mem_alloc(sizeof *leg->last_error);
	*leg->last_error = *e;
	leg->last_error_at = now;
}

bool leg_is_current(const struct leg *leg)
{
	const struct wish *w = &leg->item->wish;

	return leg->stored && !leg->revoked && !strcmp(leg->issuer, w->issuer) &&
	       names_same(&leg->identifiers, &w->identifiers);
}

int64_t leg_renew_at(const struct leg *leg)
{
	if (leg->forced || !leg_is_current(leg))
		return 0;
	/* CAs date certificates back; a short life begins when we got it. */
	int64_t begin = leg->issued > leg->not_before &&
	                                leg->issued < leg->not_after
	                        ? leg->issued
	                        : leg->not_before;
	return backoff_renew_at(&leg->item->wish.renew, begin, leg->not_after,
	                        leg->dice);
}

bool leg_is_content(const struct leg *leg, int64_t now)
{
	return leg->leftover && leg_renew_at(leg) > now;
}

int64_t item_not_after(const struct item *item)
{
	int64_t first = 0;

	for (size_t i = 0; i < KEY_KINDS; i++) {
		const struct leg *leg = &item->legs[i];
		if (leg->stored && (!first || leg->not_after < first))
			first = leg->not_after;
	}
	return first;
}
