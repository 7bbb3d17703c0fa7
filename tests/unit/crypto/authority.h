/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

/*
 * A small CA for tests: makes certificates with any fault that is asked for.
 * Dates are seconds from AUTHORITY_NOW.
 */
#define AUTHORITY_NOW INT64_C(1800000000)

struct authority_wish {
	const char *cn;    /* subject; NULL: empty */
	const char *names; /* "DNS:a.test,IP:127.0.0.1"; NULL: none */
	EVP_PKEY *key;     /* of the subject */
	X509 *issuer;      /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	long from, until;
	bool ca;
};

static inline EVP_PKEY *authority_key(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static inline void authority_extend(X509 *cert, X509 *issuer, int nid,
                                    const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

static inline X509 *authority_issue(const struct authority_wish *wish)
{
	static long serial = 0x6f0a0000;
	X509 *cert = X509_new(), *issuer = wish->issuer ? wish->issuer : cert;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
	if (wish->cn)
		X509_NAME_add_entry_by_txt(
		    X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
		    (const unsigned char *)wish->cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(cert), AUTHORITY_NOW + wish->from);
	ASN1_TIME_set(X509_getm_notAfter(cert), AUTHORITY_NOW + wish->until);
	X509_set_pubkey(cert, wish->key);
	authority_extend(cert, issuer, NID_subject_key_identifier, "hash");
	if (wish->issuer)
		authority_extend(cert, issuer, NID_authority_key_identifier,
		                 "keyid");
	authority_extend(cert, issuer, NID_basic_constraints,
	                 wish->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (wish->names)
		authority_extend(cert, issuer, NID_subject_alt_name,
		                 wish->names);
	assert_true(X509_sign(cert, wish->issuer ? wish->issuer_key : wish->key,
	                      EVP_sha256()) > 0);
	return cert;
}

/* Appends PEM. */
static inline void authority_pem(struct buf *out, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;

	PEM_write_bio_X509(bio, cert);
	long len = BIO_get_mem_data(bio, &bytes);
	buf_add(out, bytes, (size_t)len);
	BIO_free(bio);
}
