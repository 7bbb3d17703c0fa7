/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "renew/agenda.h"
#include "store/record.h"

/*
 * What should exist, and what does: every certificate that conf.d or an nginx
 * asks for, and every one that is stored. A certificate that nobody asks for
 * any more stays in the inventory (and is served) until it has expired; it is
 * not renewed.
 *
 * The wish (name, issuer, identifiers, key types) and the fact (what is stored
 * for each key type) are kept apart; `leg_is_current` compares them.
 */
struct item;

/* One key type of a certificate: an order of its own, an appointment of its
 * own. */
struct leg {
	struct appointment due; /* first: an appointment is its leg */
	struct item *item;
	enum key_kind kind;
	bool wanted;

	/* the fact */
	bool stored, revoked;
	char *issuer, *serial;
	struct names identifiers;
	int64_t not_before, not_after, issued;
	uint16_t dice; /* of this serial's renewal time */

	/* what goes on */
	bool forced; /* an operator wants it now */
	bool again;  /* wanted while its order was lost already */
	bool leftover; /* an order was under way when the agent last ended */
	unsigned attempts;
	struct err *last_error; /* NULL: none */
	int64_t last_error_at;
	struct order *order; /* under way, or NULL */
};

/* What is wished for. */
struct wish {
	const char *name, *issuer;
	const char *origin; /* "conf.d/a.ini:3", "nginx /etc/nginx/nginx.conf" */
	const char *export_dir; /* "" : none */
	struct names identifiers, challenges;
	enum key_kind kinds[KEY_KINDS];
	size_t kind_count;
	struct conf_renew renew;
};

struct item {
	char *name;
	bool wanted;
	bool changed; /* another wish than before the last inventory_begin */
	struct wish wish; /* owned copies; zero while nobody asked */
	struct leg legs[KEY_KINDS]; /* by kind */
	unsigned mark;    /* of the last inventory_end that saw it */
	unsigned load;    /* the facts changed after this load had begun */
};

struct inventory;

struct inventory *inventory_new(void);
void inventory_free(struct inventory *inv);

/* A new set of wishes: begin, want each, end. The first wish for a name wins;
 * false tells that there was one. What was wanted and is not any more is not
 * wanted after end. */
void inventory_begin(struct inventory *inv);
bool inventory_want(struct inventory *inv, const struct wish *wish);
void inventory_end(struct inventory *inv);

/* What is stored now: all legs of that name. Makes an item if there is none. */
struct item *inventory_stored(struct inventory *inv,
                              const struct cert_record *record);

struct item *inventory_find(const struct inventory *inv, const char *name);
size_t inventory_count(const struct inventory *inv);
/* In the order of names. The inventory must not change meanwhile. */
typedef void inventory_fn(void *arg, struct item *item);
void inventory_each(const struct inventory *inv, inventory_fn *fn, void *arg);
/* Takes an unwanted item out and frees it. */
void inventory_forget(struct inventory *inv, struct item *item);

/* Is what is stored what is wished for? Expired or not is another matter. */
bool leg_is_current(const struct leg *leg);
/* Keeps a copy as the last error; NULL forgets it. */
void leg_error(struct leg *leg, const struct err *e, int64_t now);
/* When it is to be renewed; 0 if it is due already. */
int64_t leg_renew_at(const struct leg *leg);
/* Is nothing but a leftover to be dealt with? */
bool leg_is_content(const struct leg *leg, int64_t now);
/* The earliest end among the stored legs, 0 if none. */
int64_t item_not_after(const struct item *item);
