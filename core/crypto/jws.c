/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Signatures (RFC 7515), only in the form that ACME uses (RFC 8555
 * section 6.2). The JSON is written by hand: three members of base64url text,
 * and a header whose strings are checked to need no escapes. What is signed is
 * the text that is sent, so it is made once.
 */
#include "crypto/jws.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/b64.h"
#include "crypto/ossl.h"

enum {
	HEADER_MAX = 16 * 1024,
	INPUT_MAX = 2 * 1024 * 1024,
	SIGNATURE_MAX = 1024,
};

/* ECDSA signatures are r and s of `octets` each (RFC 7518 section 3.4). */
static const struct alg {
	const char *name;
	int octets;
} ALGS[KEY_KINDS] = {
	[KEY_EC256] = { "ES256", 32 },  [KEY_EC384] = { "ES384", 48 },
	[KEY_EC521] = { "ES512", 66 },  [KEY_RSA2048] = { "RS256", 0 },
	[KEY_RSA3072] = { "RS256", 0 }, [KEY_RSA4096] = { "RS256", 0 },
};

/* Appends ,"name":"text" to the header; NULL text adds nothing. */
static int add_member(struct buf *header, const char *name, const char *text,
                      struct err *e)
{
	if (!text)
		return 0;
	for (const char *p = text; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || *p == '"' || *p == '\\')
			return err_set(e, ERR_INVALID,
			               "%s has a character that does not "
			               "belong there",
			               name);
	if (buf_addf(header, ",\"%s\":\"%s\"", name, text) < 0)
		return err_set(e, ERR_INVALID, "%s is too long", name);
	return 0;
}

/* base64url(header) "." base64url(payload) */
static int make_input(const struct buf *header, struct str payload,
                      struct buf *input, struct err *e)
{
	b64url_add(input, header->ptr, header->len);
	buf_addc(input, '.');
	b64url_add(input, payload.ptr, payload.len);
	if (input->full)
		return err_set(e, ERR_INVALID, "payload over %d bytes",
		               INPUT_MAX);
	return 0;
}

/* Writes the three parts in JSON. */
static int finish(const struct buf *input, const void *signature, size_t len,
                  struct buf *out, struct err *e)
{
	const char *dot = memchr(input->ptr, '.', input->len);
	size_t first = (size_t)(dot - input->ptr);

	buf_adds(out, "{\"protected\":\"");
	buf_add(out, input->ptr, first);
	buf_adds(out, "\",\"payload\":\"");
	buf_add(out, dot + 1, input->len - first - 1);
	buf_adds(out, "\",\"signature\":\"");
	b64url_add(out, signature, len);
	if (buf_adds(out, "\"}") < 0)
		return err_set(e, ERR_NOSPACE, "request over %zu bytes",
		               out->max);
	return 0;
}

/* DER to r || s, in place. Returns the length, 0 if it is no signature. */
static size_t flatten(unsigned char sig[SIGNATURE_MAX], size_t len, int octets)
{
	const unsigned char *p = sig;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &p, (long)len);
	size_t done = 0;

	if (pair &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, octets) == octets &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + octets, octets) ==
	            octets)
		done = (size_t)octets * 2;
	ECDSA_SIG_free(pair);
	return done;
}

static int sign_input(const struct key *key, const struct buf *input,
                      struct buf *out, struct err *e)
{
	enum key_kind kind = key_kind_of(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[SIGNATURE_MAX];
	size_t len = sizeof sig;
	bool ok = ctx &&
	          EVP_DigestSignInit(ctx, NULL, ossl_digest(kind), NULL,
	                             ossl_pkey(key)) == 1 &&
	          EVP_DigestSign(ctx, sig, &len,
	                         (const unsigned char *)input->ptr,
	                         input->len) == 1;

	EVP_MD_CTX_free(ctx);
	if (ok && ALGS[kind].octets)
		len = flatten(sig, len, ALGS[kind].octets);
	if (!ok || len == 0)
		return ossl_fail(e, ERR_RETRY, "signing a request");
	return finish(input, sig, len, out, e);
}

int jws_sign(const struct key *key, const char *kid, const char *nonce,
             const char *url, struct str payload, struct buf *out,
             struct err *e)
{
	struct buf header = BUF_INIT(HEADER_MAX), input = BUF_INIT(INPUT_MAX);
	int rc = 0;

	buf_addf(&header, "{\"alg\":\"%s\"", ALGS[key_kind_of(key)].name);
	if (!kid)
		buf_addf(&header, ",\"jwk\":%s", key_jwk(key));
	rc = rc ? rc : add_member(&header, "kid", kid, e);
	rc = rc ? rc : add_member(&header, "nonce", nonce, e);
	rc = rc ? rc : add_member(&header, "url", url, e);
	buf_addc(&header, '}');
	rc = rc ? rc : make_input(&header, payload, &input, e);
	rc = rc ? rc : sign_input(key, &input, out, e);
	buf_free(&header);
	buf_free(&input);
	return rc;
}

int jws_bind(const char *kid, const struct secret *mac, const char *url,
             const struct key *account, struct buf *out, struct err *e)
{
	struct buf header = BUF_INIT(HEADER_MAX), input = BUF_INIT(INPUT_MAX);
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	int rc = 0;

	buf_adds(&header, "{\"alg\":\"HS256\"");
	rc = rc ? rc : add_member(&header, "kid", kid, e);
	rc = rc ? rc : add_member(&header, "url", url, e);
	buf_addc(&header, '}');
	rc = rc ? rc : make_input(&header, str_of(key_jwk(account)), &input, e);
	if (rc == 0 &&
	    !HMAC(EVP_sha256(), mac->ptr, (int)mac->len,
	          (const unsigned char *)input.ptr, input.len, sum, &len))
		rc = ossl_fail(e, ERR_INVALID, "external account binding");
	rc = rc ? rc : finish(&input, sum, len, out, e);
	buf_free(&header);
	buf_free(&input);
	return rc;
}
