/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is OpenSSL's EVP_PKEY plus what ACME asks of it again and again: its
 * kind, its JWK (RFC 7517) and the thumbprint of that (RFC 7638). Those are
 * made with the key, because an account signs thousands of requests.
 *
 * Private forms leave only in a `struct secret`. On their way they pass a BIO
 * that wipes what it frees.
 */
#include "crypto/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/b64.h"
#include "base/mem.h"
#include "crypto/ossl.h"
#include "crypto/sha.h"

enum { KEY_TEXT_MAX = 64 * 1024, THUMBPRINT = 44, MODULUS_MAX = 512 };

struct key {
	EVP_PKEY *pkey;
	char *jwk;
	char thumbprint[THUMBPRINT];
	enum key_kind kind;
};

/* `bits` is what the name says and, for RSA, the size; `group` is OpenSSL's
 * name of a curve, `crv` that of JOSE, `octets` the size of a coordinate. */
static const struct kind {
	const char *name, *family, *group, *crv;
	int bits, octets;
} KINDS[KEY_KINDS] = {
	[KEY_OTHER] = { "other", "other", NULL, NULL, 0, 0 },
	[KEY_EC256] = { "ecdsa:256", "ECDSA", "prime256v1", "P-256", 256, 32 },
	[KEY_EC384] = { "ecdsa:384", "ECDSA", "secp384r1", "P-384", 384, 48 },
	[KEY_EC521] = { "ecdsa:521", "ECDSA", "secp521r1", "P-521", 521, 66 },
	[KEY_RSA2048] = { "rsa:2048", "RSA", NULL, NULL, 2048, 0 },
	[KEY_RSA3072] = { "rsa:3072", "RSA", NULL, NULL, 3072, 0 },
	[KEY_RSA4096] = { "rsa:4096", "RSA", NULL, NULL, 4096, 0 },
};

static const struct kind *kind_of(enum key_kind kind)
{
	return (unsigned)kind < KEY_KINDS ? &KINDS[kind] : &KINDS[KEY_OTHER];
}

int key_kind_parse(struct str text, enum key_kind *out, struct err *e)
{
	if (str_ieq(text, STR("ecdsa")))
		text = STR("ecdsa:256");
	else if (str_ieq(text, STR("rsa")))
		text = STR("rsa:2048");
	for (int i = KEY_EC256; i < KEY_KINDS; i++) {
		if (!str_ieq(text, str_of(KINDS[i].name)))
			continue;
		*out = (enum key_kind)i;
		return 0;
	}
	return err_set(e, ERR_INVALID,
	               "unknown key type \"%.*s\", expected ecdsa:256, "
	               "ecdsa:384, ecdsa:521, rsa:2048, rsa:3072 or rsa:4096",
	               text.len > 40 ? 40 : (int)text.len, text.ptr);
}

const char *key_kind_name(enum key_kind kind)
{
	return kind_of(kind)->name;
}

const char *key_kind_family(enum key_kind kind)
{
	return kind_of(kind)->family;
}

enum key_kind ossl_key_kind(const EVP_PKEY *pkey)
{
	char group[32] = "";
	int id = pkey ? EVP_PKEY_get_base_id(pkey) : EVP_PKEY_NONE;
	int bits = id == EVP_PKEY_RSA ? EVP_PKEY_get_bits(pkey) : 0;

	if (id == EVP_PKEY_EC)
		EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL);
	for (int i = KEY_EC256; i < KEY_KINDS; i++) {
		const struct kind *k = &KINDS[i];
		if (k->group ? !strcmp(group, k->group) : bits == k->bits)
			return (enum key_kind)i;
	}
	return KEY_OTHER;
}

EVP_PKEY *ossl_pkey(const struct key *k)
{
	return k->pkey;
}

/* Adds a public number, of `octets` bytes or of as few as it needs (0). */
static int add_number(struct buf *out, const EVP_PKEY *pkey, const char *param,
                      int octets)
{
	unsigned char bytes[MODULUS_MAX];
	BIGNUM *n = NULL;
	int len = -1;

	if (EVP_PKEY_get_bn_param(pkey, param, &n) == 1) {
		if (octets == 0)
			octets = BN_num_bytes(n);
		if (octets <= MODULUS_MAX)
			len = BN_bn2binpad(n, bytes, octets);
	}
	BN_free(n);
	return len < 0 ? -1 : b64url_add(out, bytes, (size_t)len);
}

/* Members in lexicographic order, no white space: RFC 7638 section 3. */
static int make_jwk(struct key *k, struct err *e)
{
	const struct kind *kind = kind_of(k->kind);
	struct buf jwk = BUF_INIT(2048), sum = BUF_INIT(THUMBPRINT);
	uint8_t digest[SHA256_LEN];
	int bad;

	if (kind->crv) {
		buf_addf(&jwk, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"",
		         kind->crv);
		bad = add_number(&jwk, k->pkey, OSSL_PKEY_PARAM_EC_PUB_X,
		                 kind->octets);
		buf_adds(&jwk, "\",\"y\":\"");
		bad |= add_number(&jwk, k->pkey, OSSL_PKEY_PARAM_EC_PUB_Y,
		                  kind->octets);
	} else {
		buf_adds(&jwk, "{\"e\":\"");
		bad = add_number(&jwk, k->pkey, OSSL_PKEY_PARAM_RSA_E, 0);
		buf_adds(&jwk, "\",\"kty\":\"RSA\",\"n\":\"");
		bad |= add_number(&jwk, k->pkey, OSSL_PKEY_PARAM_RSA_N, 0);
	}
	bad |= buf_adds(&jwk, "\"}");
	if (!bad) {
		sha256(jwk.ptr, jwk.len, digest);
		b64url_add(&sum, digest, sizeof digest);
		memcpy(k->thumbprint, sum.ptr, sum.len + 1);
		k->jwk = mem_strdup(jwk.ptr);
	}
	buf_free(&jwk);
	buf_free(&sum);
	return bad ? ossl_fail(e, ERR_INVALID, "public key") : 0;
}

/* Takes `pkey` over, also when it fails. */
static int wrap(EVP_PKEY *pkey, struct key **out, struct err *e)
{
	struct key *k = mem_alloc(sizeof *k);
	int rc;

	*out = NULL;
	k->pkey = pkey;
	k->kind = ossl_key_kind(pkey);
	if (k->kind == KEY_OTHER)
		rc = err_set(e, ERR_INVALID,
		             "key is of a type or size that is not supported");
	else
		rc = make_jwk(k, e);
	if (rc < 0) {
		key_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

int key_new(enum key_kind kind, struct key **out, struct err *e)
{
	const struct kind *k = kind_of(kind);
	EVP_PKEY *pkey;

	*out = NULL;
	if (!k->bits)
		return err_set(e, ERR_INVALID, "no such kind of key");
	pkey = k->crv ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", k->crv)
	              : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)k->bits);
	if (!pkey)
		return ossl_fail(e, ERR_RETRY, "making a key");
	return wrap(pkey, out, e);
}

void key_free(struct key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k->jwk);
	free(k);
}

static int write_pem(BIO *bio, EVP_PKEY *pkey)
{
	return PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL,
	                                     NULL);
}

static int write_der(BIO *bio, EVP_PKEY *pkey)
{
	return i2d_PKCS8PrivateKeyInfo_bio(bio, pkey);
}

static int export_key(const struct key *k, int (*write)(BIO *, EVP_PKEY *),
                      struct secret *out, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *bytes;
	long len;
	int rc;

	*out = SECRET_NONE;
	if (!bio || write(bio, k->pkey) != 1 ||
	    (len = BIO_get_mem_data(bio, &bytes)) <= 0)
		rc = ossl_fail(e, ERR_RETRY, "encoding a private key");
	else
		rc = secret_copy(out, bytes, (size_t)len, e);
	BIO_free(bio);
	return rc;
}

int key_pem(const struct key *k, struct secret *out, struct err *e)
{
	return export_key(k, write_pem, out, e);
}

int key_der(const struct key *k, struct secret *out, struct err *e)
{
	return export_key(k, write_der, out, e);
}

/* Never ask on a terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

int key_from_pem(struct str pem, struct key **out, struct err *e)
{
	*out = NULL;
	if (pem.len > KEY_TEXT_MAX)
		return err_set(e, ERR_INVALID, "private key over %d bytes",
		               KEY_TEXT_MAX);
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	EVP_PKEY *pkey =
		bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL)
		    : NULL;
	BIO_free(bio);
	if (pkey) {
		ERR_clear_error();
		return wrap(pkey, out, e);
	}
	if (memmem(pem.ptr, pem.len, "ENCRYPTED", 9)) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID, "private key is encrypted");
	}
	return ossl_fail(e, ERR_INVALID, "no private key in PEM");
}

int key_pem_der(struct str pem, struct secret *out, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	unsigned char *der = NULL;
	char *name = NULL, *header = NULL;
	long len = 0;
	int rc = -1;

	*out = SECRET_NONE;
	if (bio && pem.len <= KEY_TEXT_MAX &&
	    PEM_read_bio(bio, &name, &header, &der, &len) &&
	    !strcmp(name, PEM_STRING_PKCS8INF))
		rc = secret_copy(out, der, (size_t)len, e);
	else
		rc = ossl_fail(e, ERR_INVALID, "no PKCS#8 key in PEM");
	BIO_free(bio);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)len);
	return rc;
}

int key_from_der(struct str der, struct key **out, struct err *e)
{
	const unsigned char *p = (const unsigned char *)der.ptr;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *pkey = NULL;

	*out = NULL;
	if (der.len <= KEY_TEXT_MAX)
		info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.len);
	if (info && p == (const unsigned char *)der.ptr + der.len)
		pkey = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (!pkey)
		return ossl_fail(e, ERR_INVALID, "no private key in DER");
	return wrap(pkey, out, e);
}

enum key_kind key_kind_of(const struct key *k)
{
	return k->kind;
}

const char *key_jwk(const struct key *k)
{
	return k->jwk;
}

const char *key_thumbprint(const struct key *k)
{
	return k->thumbprint;
}

bool key_equal(const struct key *a, const struct key *b)
{
	return !strcmp(a->jwk, b->jwk);
}
