/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"

/*
 * Private keys of accounts and certificates.
 *
 * A `struct key` never changes after it was made, so any thread may use it; it
 * has one owner, who frees it when no other thread does. Texts of errors never
 * hold key material.
 */
enum key_kind {
	KEY_OTHER, /* a certificate's key of a kind that we do not make */
	KEY_EC256,
	KEY_EC384,
	KEY_EC521,
	KEY_RSA2048,
	KEY_RSA3072,
	KEY_RSA4096,
};
enum { KEY_KINDS = KEY_RSA4096 + 1 };

/* "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048", "rsa:3072", "rsa:4096";
 * "ecdsa" and "rsa" alone are the first of each. ERR_INVALID names them all. */
int key_kind_parse(struct str text, enum key_kind *out, struct err *e);
/* The full form, as above; "other" for the rest. */
const char *key_kind_name(enum key_kind kind);
/* "ECDSA" or "RSA": what TLS chooses between; "other". */
const char *key_kind_family(enum key_kind kind);

struct key;

/* Generates. EC takes well under a millisecond, RSA 0.05 to several seconds:
 * do that in a pool thread. */
int key_new(enum key_kind kind, struct key **out, struct err *e);
/* Accepts NULL. */
void key_free(struct key *k);

/* Unencrypted PKCS#8; `out` is the caller's to secret_free(). */
int key_pem(const struct key *k, struct secret *out, struct err *e);
int key_der(const struct key *k, struct secret *out, struct err *e);

/* The first private key in the text: PKCS#8, SEC 1 or PKCS#1, unencrypted, of
 * a kind above; else ERR_INVALID. Costs about as much as making an EC key. */
int key_from_pem(struct str pem, struct key **out, struct err *e);
/* What is in the first PEM block, decoded and not looked at: a thousand times
 * cheaper than making a key of it. ERR_INVALID if it is no PKCS#8 block. */
int key_pem_der(struct str pem, struct secret *out, struct err *e);
/* PKCS#8 DER. */
int key_from_der(struct str der, struct key **out, struct err *e);

enum key_kind key_kind_of(const struct key *k);

/* The public key as a JWK with its members in RFC 7638 order, and the
 * base64url SHA-256 of that. Made once; borrowed for the life of the key. */
const char *key_jwk(const struct key *k);
const char *key_thumbprint(const struct key *k);

/* Same public key. */
bool key_equal(const struct key *a, const struct key *b);
