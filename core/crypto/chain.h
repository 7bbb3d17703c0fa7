/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "crypto/key.h"
#include "crypto/sha.h"

/*
 * A certificate and its issuers, as the CA sends them (RFC 8555 section 7.4.2),
 * the leaf first. Parsed once, immutable afterwards, one owner.
 */
enum {
	CHAIN_PEM_MAX = 256 * 1024, /* bytes of PEM that are looked at */
	CHAIN_CERTS_MAX = 10,
	CHAIN_SANS_MAX = 1000,
};

struct chain;

/* What is in the certificates; all strings live as long as the chain, and those
 * that the CA chose are printable. */
struct chain_facts {
	int64_t not_before, not_after; /* of the leaf, Unix milliseconds */
	const char *serial;            /* "6f:0a:..." */
	const char *subject;           /* of the leaf, RFC 2253; "" if empty */
	const char *issuer;            /* of the leaf, RFC 2253 */
	const char *issuer_cn;   /* common name of the leaf's issuer, or "" */
	const char *root_cn;     /* of the issuer of the last one, or "" */
	const char *const *sans; /* lower-case DNS names, canonical addresses */
	size_t san_count;
	enum key_kind kind;           /* of the leaf's key */
	char fingerprint[SHA256_HEX]; /* SHA-256 of the leaf's DER */
};

/* Reads PEM. White space and explanatory text between the blocks are skipped;
 * blocks of any other kind (a private key!), trailing bytes within a block and
 * what is over the bounds are ERR_INVALID. */
int chain_read(struct str pem, struct chain **out, struct err *e);
/* Accepts NULL. */
void chain_free(struct chain *c);

size_t chain_count(const struct chain *c);
/* The nth certificate in DER, 0 is the leaf; borrowed. Empty beyond the end. */
struct str chain_der(const struct chain *c, size_t n);
const struct chain_facts *chain_facts(const struct chain *c);

/* Appends normalised PEM: the blocks only, one after the other. */
int chain_pem(const struct chain *c, struct buf *out, struct err *e);
/* The nth alone. */
int chain_pem_one(const struct chain *c, size_t n, struct buf *out,
                  struct err *e);

/*
 * May this chain replace what is served? ERR_INVALID with the reason if not:
 *
 *  - each certificate is signed by the next one, and the leaf is no CA;
 *  - the leaf's key is `key` (NULL: not asked);
 *  - the SANs are exactly the wanted names, in any order and case (`count` 0:
 *    not asked);
 *  - the leaf and its issuer have not expired at `now_ms`, and the leaf does
 *    not begin more than an hour after it (a CA's clock may be ahead).
 */
int chain_check(const struct chain *c, const struct key *key,
                const struct str *names, size_t count, int64_t now_ms,
                struct err *e);

/* Appends the name that RFC 9773 (ARI) gives to the leaf: base64url of the
 * authority key identifier, ".", base64url of the serial. ERR_ABSENT if it has
 * no authority key identifier. */
int chain_cert_id(const struct chain *c, struct buf *out, struct err *e);
