/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a certificate chain: PEM to X509, and the facts that people and the
 * agenda want to know of it. Whether it is good is decided in chain_check.c.
 *
 * The DER of each certificate is kept as it came, so what is stored, served and
 * fingerprinted is what the CA signed. Every block must be a certificate
 * (RFC 8555 section 7.4.2: a client must not pass on a private key that came
 * from elsewhere), and every "-----BEGIN" must have been one of the blocks
 * read, so that a truncated answer is not taken for a shorter chain.
 */
#include "crypto/chain.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/b64.h"
#include "base/mem.h"
#include "crypto/chain_certs.h"
#include "crypto/ossl.h"

enum { SERIAL_MAX = 64, NAME_MAX_LEN = 1024 };

/* --- PEM --- */

static int add_cert(struct chain *c, const unsigned char *der, long len,
                    struct err *e)
{
	const unsigned char *p = der;
	X509 *x509 = d2i_X509(NULL, &p, len);

	if (!x509)
		return ossl_fail(e, ERR_INVALID, "not a certificate");
	if (p != der + len) {
		X509_free(x509);
		return err_set(e, ERR_INVALID, "bytes behind the certificate");
	}
	c->certs[c->count].x509 = x509;
	c->certs[c->count].der = mem_alloc((size_t)len);
	memcpy(c->certs[c->count].der, der, (size_t)len);
	c->certs[c->count++].len = (size_t)len;
	return 0;
}

/* One PEM block. 1 if there was one, 0 at the end. */
static int read_block(struct chain *c, BIO *bio, struct err *e)
{
	char *name = NULL, *header = NULL;
	unsigned char *bytes = NULL;
	long len = 0;
	int rc;

	if (PEM_read_bio(bio, &name, &header, &bytes, &len) != 1) {
		unsigned long why = ERR_peek_last_error();
		if (ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
			return ossl_fail(e, ERR_INVALID, "PEM");
		ERR_clear_error();
		return 0;
	}
	if (strcmp(name, PEM_STRING_X509) != 0 || *header)
		rc = err_set(e, ERR_INVALID,
		             "a PEM block that is no plain "
		             "certificate: %.40s",
		             name);
	else if (c->count == CHAIN_CERTS_MAX)
		rc = err_set(e, ERR_INVALID, "over %d certificates",
		             CHAIN_CERTS_MAX);
	else
		rc = add_cert(c, bytes, len, e);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(bytes, len > 0 ? (size_t)len : 0);
	return rc < 0 ? rc : 1;
}

static size_t count_begins(struct str pem)
{
	static const char begin[] = "-----BEGIN";
	const char *p = pem.ptr, *end = pem.ptr + pem.len;
	size_t count = 0;

	while ((p = memmem(p, (size_t)(end - p), begin, sizeof begin - 1))) {
		p += sizeof begin - 1;
		count++;
	}
	return count;
}

static int read_blocks(struct chain *c, struct str pem, struct err *e)
{
	if (pem.len > CHAIN_PEM_MAX)
		return err_set(e, ERR_INVALID, "over %d bytes", CHAIN_PEM_MAX);
	if (pem.len && memchr(pem.ptr, '\0', pem.len))
		return err_set(e, ERR_INVALID, "binary, expected PEM");
	BIO *bio = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
	int rc = bio ? 1 : ossl_fail(e, ERR_RETRY, "PEM");
	while (rc == 1)
		rc = read_block(c, bio, e);
	BIO_free(bio);
	if (rc < 0)
		return err_in(e, "certificate %zu", c->count + 1);
	if (c->count == 0)
		return err_set(e, ERR_INVALID, "no certificate in PEM");
	if (count_begins(pem) != c->count)
		return err_set(e, ERR_INVALID, "certificate %zu: cut off",
		               c->count + 1);
	return 0;
}

/* --- facts --- */

static int read_date(const ASN1_TIME *from, int64_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(from, &tm) != 1)
		return -1;
	*out = (int64_t)timegm(&tm) * 1000;
	return 0;
}

int chain_dates(const X509 *x509, int64_t *not_before, int64_t *not_after)
{
	if (read_date(X509_get0_notBefore(x509), not_before) < 0)
		return -1;
	return read_date(X509_get0_notAfter(x509), not_after);
}

/* What a BIO collected, as heap text of bounded length; frees the BIO. */
static char *text_of(BIO *bio)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);
	char *text = mem_strndup(bytes ? bytes : "", len <= 0 ? 0
	                                             : len > NAME_MAX_LEN
	                                                     ? NAME_MAX_LEN
	                                                     : (size_t)len);

	BIO_free(bio);
	return text;
}

/* RFC 2253 escapes everything that is not printable ASCII. */
static char *name_text(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		ERR_clear_error();
	return bio ? text_of(bio) : mem_strdup("");
}

static char *common_name(const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	BIO *bio = at < 0 ? NULL : BIO_new(BIO_s_mem());

	if (!bio)
		return mem_strdup("");
	const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, at);
	if (ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(entry),
	                         ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB |
	                                 ASN1_STRFLGS_UTF8_CONVERT) < 0)
		ERR_clear_error();
	return text_of(bio);
}

static int read_serial(struct chain *c, const X509 *leaf, struct err *e)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	const unsigned char *bytes = ASN1_STRING_get0_data(serial);
	int len = ASN1_STRING_length(serial);
	struct buf text = BUF_INIT(SERIAL_MAX * 3);

	if (len < 1 || len > SERIAL_MAX)
		return err_set(e, ERR_INVALID, "serial of %d bytes", len);
	if (ASN1_STRING_type(serial) & V_ASN1_NEG)
		buf_addc(&text, '-');
	for (int i = 0; i < len; i++)
		buf_addf(&text, "%s%02x", i ? ":" : "", bytes[i]);
	c->serial = text.ptr;
	return 0;
}

static char *dns_text(const ASN1_STRING *from)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(from);
	int len = ASN1_STRING_length(from);

	if (len < 1 || len > 253)
		return NULL;
	char *text = mem_strndup((const char *)bytes, (size_t)len);
	for (char *p = text; p < text + len; p++) {
		if (*p <= ' ' || *p >= 0x7f) {
			free(text);
			return NULL;
		}
		*p = (char)tolower(*p);
	}
	return text;
}

static char *ip_text(const ASN1_STRING *from)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(from);

	if (len != 4 && len != 16)
		return NULL;
	return mem_strdup(inet_ntop(len == 4 ? AF_INET : AF_INET6,
	                            ASN1_STRING_get0_data(from), text,
	                            sizeof text));
}

/* The text of one SAN; "(other)" for types that we never ask for; NULL if it is
 * malformed. */
static char *san_text(const GENERAL_NAME *san)
{
	int type;
	const void *value = GENERAL_NAME_get0_value(san, &type);

	if (type == GEN_DNS)
		return dns_text(value);
	if (type == GEN_IPADD)
		return ip_text(value);
	return mem_strdup("(other)");
}

static int add_sans(struct chain *c, GENERAL_NAMES *sans, struct err *e)
{
	int count = sk_GENERAL_NAME_num(sans);

	if (count > CHAIN_SANS_MAX)
		return err_set(e, ERR_INVALID, "over %d names", CHAIN_SANS_MAX);
	c->sans = mem_array((size_t)count, sizeof *c->sans);
	for (int i = 0; i < count; i++) {
		char *text = san_text(sk_GENERAL_NAME_value(sans, i));
		if (!text)
			return err_set(e, ERR_INVALID, "name %d is malformed",
			               i + 1);
		c->sans[c->facts.san_count++] = text;
	}
	return 0;
}

static int read_sans(struct chain *c, const X509 *leaf, struct err *e)
{
	int found = 0, rc = 0;
	GENERAL_NAMES *sans =
		X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);

	if (sans)
		rc = add_sans(c, sans, e);
	else if (found != -1)
		rc = ossl_fail(e, ERR_INVALID, "names");
	GENERAL_NAMES_free(sans);
	return rc;
}

static int read_facts(struct chain *c, struct err *e)
{
	const X509 *leaf = c->certs[0].x509;
	const X509 *last = c->certs[c->count - 1].x509;
	struct chain_facts *f = &c->facts;
	int rc;

	if (chain_dates(leaf, &f->not_before, &f->not_after) < 0)
		return ossl_fail(e, ERR_INVALID, "dates");
	if ((rc = read_serial(c, leaf, e)) < 0 ||
	    (rc = read_sans(c, leaf, e)) < 0)
		return rc;
	f->serial = c->serial;
	f->sans = (const char *const *)c->sans;
	f->subject = c->subject = name_text(X509_get_subject_name(leaf));
	f->issuer = c->issuer = name_text(X509_get_issuer_name(leaf));
	f->issuer_cn = c->issuer_cn = common_name(X509_get_issuer_name(leaf));
	f->root_cn = c->root_cn = common_name(X509_get_issuer_name(last));
	f->kind = ossl_key_kind(X509_get0_pubkey(leaf));
	sha256_hex(c->certs[0].der, c->certs[0].len, f->fingerprint);
	ERR_clear_error(); /* a key of an unknown type leaves one */
	return 0;
}

/* --- the object --- */

int chain_read(struct str pem, struct chain **out, struct err *e)
{
	struct chain *c = mem_alloc(sizeof *c);
	int rc = read_blocks(c, pem, e);

	*out = NULL;
	rc = rc ? rc : read_facts(c, e);
	if (rc < 0) {
		chain_free(c);
		return err_in(e, "certificate chain");
	}
	*out = c;
	return 0;
}

void chain_free(struct chain *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++) {
		X509_free(c->certs[i].x509);
		free(c->certs[i].der);
	}
	for (size_t i = 0; i < c->facts.san_count; i++)
		free(c->sans[i]);
	free(c->sans);
	free(c->serial);
	free(c->subject);
	free(c->issuer);
	free(c->issuer_cn);
	free(c->root_cn);
	free(c);
}

size_t chain_count(const struct chain *c)
{
	return c->count;
}

struct str chain_der(const struct chain *c, size_t n)
{
	if (n >= c->count)
		return STR("");
	return (struct str){ (const char *)c->certs[n].der, c->certs[n].len };
}

const struct chain_facts *chain_facts(const struct chain *c)
{
	return &c->facts;
}

int chain_pem_one(const struct chain *c, size_t n, struct buf *out,
                  struct err *e)
{
	if (n >= c->count)
		return err_set(e, ERR_ABSENT, "no certificate %zu", n + 1);
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || PEM_write_bio(bio, PEM_STRING_X509, "", c->certs[n].der,
	                          (long)c->certs[n].len) <= 0) {
		BIO_free(bio);
		return ossl_fail(e, ERR_RETRY, "PEM");
	}
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);
	int bad = buf_add(out, bytes, (size_t)len);
	BIO_free(bio);
	return bad ? err_set(e, ERR_NOSPACE, "chain over %zu bytes", out->max)
	           : 0;
}

int chain_pem(const struct chain *c, struct buf *out, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->count; i++)
		rc = chain_pem_one(c, i, out, e);
	return rc;
}

/* RFC 9773 section 4.1. The serial is the content of its DER INTEGER: with a
 * leading zero byte where the first bit is set. */
int chain_cert_id(const struct chain *c, struct buf *out, struct err *e)
{
	X509 *leaf = c->certs[0].x509;
	const ASN1_OCTET_STRING *aki = X509_get0_authority_key_id(leaf);
	unsigned char der[SERIAL_MAX + 8], *p = der;
	int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(leaf), NULL);

	if (!aki)
		return err_set(e, ERR_ABSENT,
		               "certificate has no authority key identifier");
	if (len < 3 || (size_t)len > sizeof der)
		return err_set(e, ERR_INVALID, "serial of the certificate");
	i2d_ASN1_INTEGER(X509_get0_serialNumber(leaf), &p);
	b64url_add(out, ASN1_STRING_get0_data(aki),
	           (size_t)ASN1_STRING_length(aki));
	buf_addc(out, '.');
	b64url_add(out, der + 2, (size_t)len - 2);
	return out->full ? err_set(e, ERR_NOSPACE, "certificate id") : 0;
}
