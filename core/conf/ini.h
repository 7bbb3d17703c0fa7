/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "conf/errors.h"

/*
 * INI text as sections and entries, exactly as written, with places. No limit
 * cuts anything: what is too long is an error.
 */
enum {
	INI_FILE_MAX = 16 << 20,
	INI_VALUE_MAX = 64 << 10,
	INI_KEY_MAX = 40,
	INI_NAME_MAX = 255, /* of a section */
};

struct ini_entry {
	struct ini_entry *next;
	const char *key, *value;
	struct conf_place place;
};

struct ini_section {
	struct ini_section *next;
	const char *kind, *name; /* [issuer letsencrypt]; name "" if none */
	struct conf_place place;
	struct ini_entry *entries, **tail;
};

/* Begins as INI_INIT; all memory is in the arena. */
struct ini {
	struct arena *mem;
	struct ini_section *sections, **tail;
	size_t count;
};

#define INI_INIT(arena) ((struct ini){ .mem = (arena) })

/* Adds what is in the file, or in a text that would be in that file. `file`
 * must live as long as the arena. Whatever is wrong goes to `errors`; what
 * can be read in spite of it is there. */
void ini_read(struct ini *ini, const char *file, struct conf_errors *errors);
void ini_parse_text(struct ini *ini, struct str text, const char *file,
                    struct conf_errors *errors);

const struct ini_entry *ini_find(const struct ini_section *section,
                                 const char *key);
