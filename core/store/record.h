/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "crypto/key.h"

/*
 * What the agent remembers, as values: JSON text with PEM inside, so that an
 * operator can read and carry it with ordinary tools (docs/operations.md).
 *
 * Each record owns all that it points to. `_free` may be called on a zeroed or
 * half-filled one and leaves it zeroed. `_write` appends the JSON to a buffer
 * (which wipes itself: records hold private keys); `_read` refuses what it
 * cannot vouch for with ERR_INVALID and the offending field, and then leaves
 * the record zeroed. Times are Unix milliseconds.
 */
enum { RECORD_MAX = 1 << 20 };

/* An ordered list of short strings: identifiers, contacts. */
struct names {
	char **list;
	size_t count;
};

void names_add(struct names *names, const char *name);
void names_copy(struct names *to, const struct names *from);
bool names_have(const struct names *names, const char *name);
bool names_equal(const struct names *a, const struct names *b);
/* The same names in any order. */
bool names_same(const struct names *a, const struct names *b);
void names_free(struct names *names);
/* The names as `struct str`s for CSR and checks; free() the array. */
struct str *names_strs(const struct names *names);

/* An account at a CA (RFC 8555 section 7.1.2). */
struct account_record {
	char *directory; /* URL: another CA, another account */
	char *url;       /* kid; NULL until the CA told us */
	struct names contacts;
	bool terms_agreed;
	struct secret key; /* PKCS#8 PEM */
};

int account_record_write(const struct account_record *r, struct buf *out);
int account_record_read(struct str text, struct account_record *r,
                        struct err *e);
void account_record_free(struct account_record *r);

/* One authorization of an order, as far as cleanup needs it after a crash. */
struct authz_record {
	char *url;
	char *identifier;
	char *type;     /* "http-01"; NULL while nothing was presented */
	char *instance; /* the challenge plugin's instance that presented */
	char *token;
	struct buf cookie; /* what present emitted, any bytes */
};

/* An order under way (RFC 8555 section 7.1.3), saved at each transition. */
struct order_record {
	char *certificate; /* name of the certificate that it is for */
	char *issuer;
	char *state; /* a name of flow/order.c's step table */
	enum key_kind kind;
	struct names identifiers;
	struct secret key; /* the new certificate's, PKCS#8 PEM */
	char *account;     /* kid that placed it; NULL before newOrder */
	char *url;         /* NULL before the CA answered newOrder */
	char *finalize;
	char *download; /* the order's "certificate" URL, once valid */
	int64_t started;
	struct authz_record *authz;
	size_t authz_count;
};

int order_record_write(const struct order_record *r, struct buf *out);
int order_record_read(struct str text, struct order_record *r, struct err *e);
void order_record_free(struct order_record *r);
void authz_record_free(struct authz_record *a);

/* A certificate of one key type, with its key. */
struct cert_key {
	enum key_kind kind;
	char *issuer;             /* section name of the issuer */
	struct names identifiers; /* what was asked for */
	char *serial;             /* "0a:1b:..." */
	int64_t not_before, not_after, issued;
	bool revoked;
	struct secret key; /* PKCS#8 PEM */
	char *chain;       /* PEM, leaf first */
};

/* A certificate: one value, all its key types. */
enum { CERT_KEYS_MAX = 8 };

struct cert_record {
	char *name;
	struct cert_key keys[CERT_KEYS_MAX];
	size_t key_count;
};

int cert_record_write(const struct cert_record *r, struct buf *out);
int cert_record_read(struct str text, struct cert_record *r, struct err *e);
void cert_record_free(struct cert_record *r);
void cert_key_free(struct cert_key *k);
/* The entry of this key type, or NULL. */
struct cert_key *cert_record_find(struct cert_record *r, enum key_kind kind);
/* Takes over what `k` owns, in place of the entry of the same key type. */
void cert_record_set(struct cert_record *r, struct cert_key *k);
void cert_record_drop(struct cert_record *r, enum key_kind kind);
