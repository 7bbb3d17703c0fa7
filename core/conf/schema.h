/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * What may stand in an INI file: one table for each kind of section. The
 * reader checks against it, docs/config.md is printed from it.
 */
enum schema_type {
	SCHEMA_TEXT,
	SCHEMA_WORD,     /* one of `choices` */
	SCHEMA_BOOL,
	SCHEMA_COUNT,
	SCHEMA_DURATION,
	SCHEMA_PATH,
	SCHEMA_URL,
	SCHEMA_NAME,     /* of an instance, an issuer, a user */
	SCHEMA_KEY,      /* ecdsa:256 ... */
	SCHEMA_RENEW,
	SCHEMA_PATTERN,  /* of a host name */
	SCHEMA_HOST,     /* a host name or an address */
	SCHEMA_CONTACT,
};

enum schema_flag {
	SCHEMA_LIST = 1,
	SCHEMA_REQUIRED = 2,
};

struct schema_key {
	const char *name;
	enum schema_type type;
	unsigned flags;
	const char *fallback; /* the default as it would be written, or NULL */
	const char *choices;  /* for SCHEMA_WORD, blank-separated; schemes of a URL */
	int64_t min, max;     /* for SCHEMA_COUNT */
	const char *help;     /* one sentence */
};

enum schema_kind {
	SCHEMA_AGENT,
	SCHEMA_NGINX,
	SCHEMA_STORAGE,
	SCHEMA_ISSUER,
	SCHEMA_CHALLENGE,
	SCHEMA_CERTIFICATE,
	SCHEMA_KINDS,
};

enum schema_name { SCHEMA_NAME_NEVER, SCHEMA_NAME_MAY, SCHEMA_NAME_MUST };

struct schema_section {
	const char *name;       /* "issuer" */
	enum schema_name named; /* has it a name behind the word? */
	bool open;              /* further keys belong to a plugin */
	const struct schema_key *keys;
	size_t count;
	const char *help;       /* a paragraph */
};

extern const struct schema_section SCHEMA[SCHEMA_KINDS];

const struct schema_key *schema_key(const struct schema_section *section,
                                    struct str name);

/* The candidate nearest to `text`, or NULL when none is near enough to be what
 * was meant. Call with each candidate in turn; `best` begins as zeroes. */
struct schema_near {
	const char *name;
	size_t distance;
};
void schema_near(struct schema_near *best, struct str text,
                 const char *candidate);

/* docs/config.md */
void schema_markdown(struct buf *out);
