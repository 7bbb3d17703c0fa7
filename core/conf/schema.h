/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * What may stand in an INI file: one table for each kind of section. The
 * reader checks against it and fills the snapshot's structs through it;
 * docs/config.md is printed from it.
 *
 * The type says how a text is checked, and what the member at `offset` is.
 */
enum schema_type {
	SCHEMA_WORD,     /* one of `choices`; an enum with values 0, 1, ... */
	SCHEMA_BOOL,     /* bool */
	SCHEMA_COUNT,    /* unsigned */
	SCHEMA_DURATION, /* int64_t, milliseconds */
	SCHEMA_RENEW,    /* struct conf_renew */
	/* From here on const char *; with SCHEMA_LIST struct conf_list. */
	SCHEMA_PATH,
	SCHEMA_URL,
	SCHEMA_NAME,    /* of an instance, an issuer, a user */
	SCHEMA_KEY,     /* ecdsa:256 ... */
	SCHEMA_PATTERN, /* of a host name */
	SCHEMA_HOST,    /* a host name or an address */
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
	const char *choices;  /* blank-separated: words, schemes of a URL */
	int64_t min, max; /* for SCHEMA_COUNT */
	size_t offset;    /* of the member in the section's struct */
	const char *help; /* one sentence */
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
	const char *help; /* a paragraph */
};

enum { SCHEMA_LIST_MAX = 1000 };

extern const struct schema_section SCHEMA[SCHEMA_KINDS];

const struct schema_key *schema_key(const struct schema_section *section,
				    struct str name);

/* Checks one value, or one item of a list, and writes its canonical form:
 * "EXAMPLE.com" -> "example.com", "rsa" -> "rsa:2048". 0, or ERR_INVALID with
 * what was expected. */
int schema_canon(const struct schema_key *key, struct str text, struct buf *out,
		 struct err *e);

/* "auto", "30d", "66%" */
struct conf_renew;
int schema_renew(struct str text, struct conf_renew *out, struct err *e);

/* Which of the blank-separated words is it? -1: none. */
int schema_word(const char *choices, struct str text);

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
