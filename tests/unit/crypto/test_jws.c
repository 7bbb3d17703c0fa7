/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, checked by verifying them, and the vectors of RFC 7515 and 7638. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/b64.h"
#include "crypto/jws.h"
#include "crypto/ossl.h"
#include "crypto/sha.h"

/* The value of a member of flattened JSON, which has no escapes. */
static struct str part(const struct buf *jws, const char *name)
{
	char open[32];

	snprintf(open, sizeof open, "\"%s\":\"", name);
	const char *at = strstr(jws->ptr, open);
	assert_non_null(at);
	at += strlen(open);
	return (struct str){ at, strcspn(at, "\"") };
}

static char *decoded(struct str text)
{
	struct buf b = BUF_INIT(65536);

	assert_int_equal(b64url_decode(&b, text), 0);
	buf_addc(&b, '\0');
	return b.ptr;
}

static void assert_part(const struct buf *jws, const char *name,
                        const char *expected)
{
	char *text = decoded(part(jws, name));

	assert_string_equal(text, expected);
	free(text);
}

/* RFC 7515 A.2 and RFC 7638 section 3.1 use this key. */
static const char RFC7515_A2_N[] =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx"
    "HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
    "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH"
    "SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
    "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8"
    "NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

static int bad_signature(const struct key *key, const struct buf *jws)
{
	struct str p = part(jws, "protected"), l = part(jws, "payload");
	struct buf input = BUF_INIT(65536), sig = BUF_INIT(1024);
	struct buf der = BUF_INIT(1024);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	buf_addf(&input, "%.*s.%.*s", STR_ARG(p), STR_ARG(l));
	assert_int_equal(b64url_decode(&sig, part(jws, "signature")), 0);
	if (key_kind_of(key) <= KEY_EC521) {
		ECDSA_SIG *pair = ECDSA_SIG_new();
		const unsigned char *raw = (unsigned char *)sig.ptr;
		int half = (int)sig.len / 2;
		unsigned char *room = buf_extend(&der, 256);
		ECDSA_SIG_set0(pair, BN_bin2bn(raw, half, NULL),
		               BN_bin2bn(raw + half, half, NULL));
		der.len = (size_t)i2d_ECDSA_SIG(pair, &room);
		ECDSA_SIG_free(pair);
	} else {
		buf_add(&der, sig.ptr, sig.len);
	}
	EVP_DigestVerifyInit(ctx, NULL, ossl_digest(key_kind_of(key)), NULL,
	                     ossl_pkey(key));
	int rc = EVP_DigestVerify(ctx, (unsigned char *)der.ptr, der.len,
	                          (unsigned char *)input.ptr, input.len);
	EVP_MD_CTX_free(ctx);
	buf_free(&input);
	buf_free(&sig);
	buf_free(&der);
	return rc != 1;
}

static void sign_and_verify(enum key_kind kind, const char *alg,
                            size_t signature_len)
{
	struct buf jws = BUF_INIT(8192), expected = BUF_INIT(8192);
	struct key *k;
	struct err e;

	assert_int_equal(key_new(kind, &k, &e), 0);
	assert_int_equal(jws_sign(k, "https://ca.test/acct/1", "n0nce",
	                          "https://ca.test/order", STR("{\"a\":1}"),
	                          &jws, &e),
	                 0);
	buf_addf(&expected,
	         "{\"alg\":\"%s\",\"kid\":\"https://ca.test/acct/1\","
	         "\"nonce\":\"n0nce\",\"url\":\"https://ca.test/order\"}",
	         alg);
	assert_part(&jws, "protected", expected.ptr);
	assert_part(&jws, "payload", "{\"a\":1}");
	assert_int_equal(part(&jws, "signature").len, signature_len);
	assert_int_equal(bad_signature(k, &jws), 0);
	key_free(k);
	buf_free(&jws);
	buf_free(&expected);
}

static void every_algorithm_signs(void **state)
{
	(void)state;

	for (int i = 0; i < 20; i++) /* r or s with leading zeros */
		sign_and_verify(KEY_EC256, "ES256", 86);
	sign_and_verify(KEY_EC384, "ES384", 128);
	sign_and_verify(KEY_EC521, "ES512", 176);
	sign_and_verify(KEY_RSA2048, "RS256", 342);
}

static void without_kid_the_key_itself_is_in_the_header(void **state)
{
	struct buf jws = BUF_INIT(8192), expected = BUF_INIT(8192);
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_new(KEY_EC256, &k, &e), 0);
	assert_int_equal(
	    jws_sign(k, NULL, NULL, "https://ca.test/x", STR(""), &jws, &e), 0);
	buf_addf(&expected,
	         "{\"alg\":\"ES256\",\"jwk\":%s,\"url\":\"https://ca.test/x\"}",
	         key_jwk(k));
	assert_part(&jws, "protected", expected.ptr);
	assert_int_equal(part(&jws, "payload").len, 0);
	assert_int_equal(bad_signature(k, &jws), 0);
	key_free(k);
	buf_free(&jws);
	buf_free(&expected);
}

static void a_nonce_cannot_break_out_of_the_header(void **state)
{
	static const char *const bad[] = { "a\",\"x\":\"", "a\\", "a b", "a\n",
		                           "\xc3\xa9" };
	struct buf jws = BUF_INIT(8192);
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_new(KEY_EC256, &k, &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(jws_sign(k, NULL, bad[i], "https://ca.test/",
		                          STR(""), &jws, &e),
		                 ERR_INVALID);
	assert_int_equal(jws.len, 0);
	jws = BUF_INIT(100);
	assert_int_equal(
	    jws_sign(k, NULL, "n", "https://ca.test/", STR(""), &jws, &e),
	    ERR_NOSPACE);
	key_free(k);
	buf_free(&jws);
}

/* RFC 7638 section 3.1, checked as text: the key's private half is not in the
 * RFC, so the thumbprint is computed over our canonical form of it. */
static void thumbprint_is_that_of_rfc_7638(void **state)
{
	struct buf jwk = BUF_INIT(2048), sum = BUF_INIT(64);
	uint8_t digest[SHA256_LEN];
	(void)state;

	buf_addf(&jwk, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"%s\"}",
	         "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAt"
	         "VT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn6"
	         "4tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FD"
	         "W2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9"
	         "1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINH"
	         "aQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw");
	sha256(jwk.ptr, jwk.len, digest);
	b64url_add(&sum, digest, sizeof digest);
	assert_string_equal(sum.ptr,
	                    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	buf_free(&jwk);
	buf_free(&sum);
}

/* The RSA key of RFC 7515 A.2.1 as PKCS#8: our JWK must give back its "n". */
static void jwk_of_an_rsa_key_is_that_of_rfc_7515(void **state)
{
	static const char pem[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"
	    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"
	    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"
	    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"
	    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"
	    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"
	    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"
	    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"
	    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"
	    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"
	    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"
	    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"
	    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"
	    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"
	    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"
	    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"
	    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"
	    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"
	    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"
	    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"
	    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"
	    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"
	    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"
	    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"
	    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"
	    "03k2+ZQwVK0JKSHuLFkuQ3U=\n"
	    "-----END PRIVATE KEY-----\n";
	struct buf jwk = BUF_INIT(2048);
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_from_pem(str_of(pem), &k, &e), 0);
	buf_addf(&jwk, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"%s\"}",
	         RFC7515_A2_N);
	assert_string_equal(key_jwk(k), jwk.ptr);
	key_free(k);
	buf_free(&jwk);
}

/* The EC key of RFC 7515 A.3.1. */
static void jwk_of_an_ec_key_is_that_of_rfc_7515(void **state)
{
	static const char pem[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
	    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
	    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
	    "-----END PRIVATE KEY-----\n";
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_from_pem(str_of(pem), &k, &e), 0);
	assert_string_equal(
	    key_jwk(k),
	    "{\"crv\":\"P-256\",\"kty\":\"EC\","
	    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	key_free(k);
}

static void binding_is_an_hmac_over_the_account_key(void **state)
{
	struct buf jws = BUF_INIT(8192);
	struct secret mac;
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_new(KEY_EC256, &k, &e), 0);
	assert_int_equal(secret_copy(&mac, "0123456789abcdef", 16, &e), 0);
	assert_int_equal(
	    jws_bind("kid-1", &mac, "https://ca.test/new-acct", k, &jws, &e),
	    0);
	assert_part(&jws, "protected",
	            "{\"alg\":\"HS256\",\"kid\":\"kid-1\","
	            "\"url\":\"https://ca.test/new-acct\"}");
	assert_part(&jws, "payload", key_jwk(k));
	assert_int_equal(part(&jws, "signature").len, 43);
	secret_free(&mac);
	key_free(k);
	buf_free(&jws);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_algorithm_signs),
		cmocka_unit_test(without_kid_the_key_itself_is_in_the_header),
		cmocka_unit_test(a_nonce_cannot_break_out_of_the_header),
		cmocka_unit_test(thumbprint_is_that_of_rfc_7638),
		cmocka_unit_test(jwk_of_an_rsa_key_is_that_of_rfc_7515),
		cmocka_unit_test(jwk_of_an_ec_key_is_that_of_rfc_7515),
		cmocka_unit_test(binding_is_an_hmac_over_the_account_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
