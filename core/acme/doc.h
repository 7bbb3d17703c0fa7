/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

/*
 * What the readers of the CA's documents share; only core/acme includes it.
 *
 * A reader opens, takes what it knows of, and closes with the code of the first
 * call that failed. Strings go to the arena, so the JSON ends with the reader.
 * The functions return as the accessors of json.h do; doc_close turns
 * "invalid" into "broken", because the one at fault is the CA.
 */
struct doc {
	const char *noun; /* "an order" */
	struct arena *arena;
	unsigned flags; /* of url_check() */
	struct err *e;
	json_t *root; /* set by doc_open */
};

int doc_open(struct doc *d, struct str body);
/* Returns `rc`, or ERR_BROKEN with "not an order: ..." in place of
 * ERR_INVALID. */
int doc_close(struct doc *d, int rc);

enum doc_presence { DOC_REQUIRED, DOC_OPTIONAL };

/* NULL if optional and absent. */
int doc_str(const struct doc *d, const json_t *obj, const char *key, size_t max,
            enum doc_presence presence, const char **out);
int doc_url(const struct doc *d, const json_t *obj, const char *key,
            enum doc_presence presence, const char **out);

/* Arrays; without the member, *out is NULL and *count 0. */
int doc_strs(const struct doc *d, const char *key, size_t max,
             const char *const **out, size_t *count);
int doc_urls(const struct doc *d, const char *key, size_t max,
             const char *const **out, size_t *count);

/* An optional date in Unix milliseconds, 0 if absent. */
int doc_date(const struct doc *d, const json_t *obj, const char *key,
             int64_t *out);
/* The position of a word in a list. */
int doc_word(const struct doc *d, const json_t *obj, const char *key,
             const char *const *words, size_t count, int *out);
/* An optional problem document, as an error. */
int doc_error(const struct doc *d, const json_t *obj, const struct err **out);

/* {"type":"dns","value":"a.test"} */
struct identifier;
int doc_identifier(const struct doc *d, const json_t *obj,
                   struct identifier *out);

/* Room in the arena or ERR_NOSPACE. */
int doc_room(const struct doc *d, size_t count, size_t size, void **out);
