/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificate requests (RFC 2986) as ACME wants them: every identifier a SAN,
 * no other extension, an empty subject (RFC 8555 section 7.4).
 */
#include "crypto/csr.h"

#include <arpa/inet.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/ossl.h"

/* The bytes of an address, 4 or 16 of them, or 0. */
static int address(struct str name, unsigned char out[16])
{
	char text[INET6_ADDRSTRLEN];

	if (name.len == 0 || name.len >= sizeof text)
		return 0;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	if (inet_pton(AF_INET, text, out) == 1)
		return 4;
	return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

/* Appends one SAN. */
static int add_name(GENERAL_NAMES *sans, struct str name)
{
	unsigned char bytes[16];
	int len = address(name, bytes);
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_STRING *value =
		len ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!general || !value ||
	    !ASN1_STRING_set(value, len ? (const void *)bytes : name.ptr,
	                     len ? len : (int)name.len) ||
	    !sk_GENERAL_NAME_push(sans, general)) {
		GENERAL_NAME_free(general);
		ASN1_STRING_free(value);
		return -1;
	}
	GENERAL_NAME_set0_value(general, len ? GEN_IPADD : GEN_DNS, value);
	return 0;
}

static int check_names(const struct str *names, size_t count, struct err *e)
{
	if (count == 0 || count > CSR_NAMES_MAX)
		return err_set(e, ERR_INVALID, "%zu names in a request", count);
	for (size_t i = 0; i < count; i++)
		if (names[i].len == 0 || names[i].len > 253)
			return err_set(e, ERR_INVALID, "name %zu has %zu bytes",
			               i + 1, names[i].len);
	return 0;
}

static int add_sans(X509_REQ *req, const struct str *names, size_t count)
{
	GENERAL_NAMES *sans = GENERAL_NAMES_new();
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	int bad = !sans;

	for (size_t i = 0; !bad && i < count; i++)
		bad = add_name(sans, names[i]) < 0;
	bad = bad ||
	      X509V3_add1_i2d(&extensions, NID_subject_alt_name, sans, 0,
	                      X509V3_ADD_DEFAULT) != 1 ||
	      X509_REQ_add_extensions(req, extensions) != 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(sans);
	return bad ? -1 : 0;
}

static int append(X509_REQ *req, struct buf *der, struct err *e)
{
	int len = i2d_X509_REQ(req, NULL);
	unsigned char *room = len > 0 ? buf_extend(der, (size_t)len) : NULL;

	if (!room)
		return err_set(e, ERR_NOSPACE,
		               "certificate request over %zu "
		               "bytes",
		               der->max);
	i2d_X509_REQ(req, &room);
	return 0;
}

int csr_new(const struct key *key, const struct str *names, size_t count,
            struct buf *der, struct err *e)
{
	int rc = check_names(names, count, e);

	if (rc < 0)
		return rc;
	X509_REQ *req = X509_REQ_new();
	if (!req || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_pubkey(req, ossl_pkey(key)) != 1 ||
	    add_sans(req, names, count) < 0 ||
	    X509_REQ_sign(req, ossl_pkey(key), ossl_digest(key_kind_of(key))) <=
	            0)
		rc = ossl_fail(e, ERR_INVALID, "certificate request");
	else
		rc = append(req, der, e);
	X509_REQ_free(req);
	return rc;
}
