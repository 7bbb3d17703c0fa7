/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of every kind, their forms, and the digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/key.h"
#include "crypto/random.h"
#include "crypto/sha.h"

static const char EC_SEC1[] = /* openssl ecparam -genkey, P-256 */
    "-----BEGIN EC PARAMETERS-----\n"
    "BggqhkjOPQMBBw==\n"
    "-----END EC PARAMETERS-----\n"
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIEKaOv2UI1qjsPc8LLBFJbrn5VIsckuedm1y1wdpras4oAoGCCqGSM49\n"
    "AwEHoUQDQgAECvZLZOzpy0/3ADYem1cfi1XQYywX2QbkYdMBY/IgiGDx3lafl3W5\n"
    "ELuVTCEhNi0kPOfN9O8EMXn46+ZxCRf8Ow==\n"
    "-----END EC PRIVATE KEY-----\n";

static void kinds_are_parsed_and_named(void **state)
{
	static const char *const names[] = { "ecdsa:256", "ecdsa:384",
		                             "ecdsa:521", "rsa:2048",
		                             "rsa:3072",  "rsa:4096" };
	enum key_kind kind;
	struct err e;
	(void)state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(key_kind_parse(str_of(names[i]), &kind, &e),
		                 0);
		assert_string_equal(key_kind_name(kind), names[i]);
	}
	assert_int_equal(key_kind_parse(STR("ECDSA"), &kind, &e), 0);
	assert_int_equal(kind, KEY_EC256);
	assert_int_equal(key_kind_parse(STR("rsa"), &kind, &e), 0);
	assert_int_equal(kind, KEY_RSA2048);
	assert_string_equal(key_kind_family(kind), "RSA");
	assert_int_equal(key_kind_parse(STR("rsa:1024"), &kind, &e),
	                 ERR_INVALID);
	assert_int_equal(key_kind_parse(STR("other"), &kind, &e), ERR_INVALID);
	assert_int_equal(key_kind_parse(STR(""), &kind, &e), ERR_INVALID);
}

static void round_trip(enum key_kind kind)
{
	struct key *k, *again;
	struct secret text;
	struct err e;

	assert_int_equal(key_new(kind, &k, &e), 0);
	assert_int_equal(key_kind_of(k), kind);
	assert_int_equal(key_pem(k, &text, &e), 0);
	assert_memory_equal(text.ptr, "-----BEGIN PRIVATE KEY-----\n", 28);
	assert_int_equal(
	    key_from_pem((struct str){ text.ptr, text.len }, &again, &e), 0);
	assert_int_equal(key_kind_of(again), kind);
	assert_true(key_equal(k, again));
	assert_string_equal(key_jwk(k), key_jwk(again));
	assert_string_equal(key_thumbprint(k), key_thumbprint(again));
	key_free(again);
	secret_free(&text);
	assert_int_equal(key_der(k, &text, &e), 0);
	assert_int_equal(
	    key_from_der((struct str){ text.ptr, text.len }, &again, &e), 0);
	assert_true(key_equal(k, again));
	key_free(again);
	assert_int_equal(
	    key_from_der((struct str){ text.ptr, text.len - 1 }, &again, &e),
	    ERR_INVALID);
	secret_free(&text);
	key_free(k);
}

static void every_kind_survives_a_round_trip(void **state)
{
	(void)state;

	round_trip(KEY_EC256);
	round_trip(KEY_EC384);
	round_trip(KEY_EC521);
	round_trip(KEY_RSA2048);
}

static void coordinates_keep_their_leading_zeros(void **state)
{
	struct key *k;
	struct err e;
	(void)state;

	for (int i = 0; i < 300; i++) { /* 1 in 128 begins with zero */
		assert_int_equal(key_new(KEY_EC256, &k, &e), 0);
		assert_int_equal(strlen(key_jwk(k)),
		                 strlen("{'crv':'P-256','kty':'EC','x':'',"
		                        "'y':''}") +
		                     43 + 43);
		key_free(k);
	}
}

static void different_keys_are_not_equal(void **state)
{
	struct key *a, *b;
	struct err e;
	(void)state;

	assert_int_equal(key_new(KEY_EC256, &a, &e), 0);
	assert_int_equal(key_new(KEY_EC256, &b, &e), 0);
	assert_false(key_equal(a, b));
	key_free(a);
	key_free(b);
}

static void other_forms_are_read(void **state)
{
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_from_pem(str_of(EC_SEC1), &k, &e), 0);
	assert_int_equal(key_kind_of(k), KEY_EC256);
	key_free(k);
	key_free(NULL);
}

static void what_is_no_key_is_refused_without_quoting_it(void **state)
{
	static const char *const bad[] = {
		"",
		"hunter2",
		"-----BEGIN PRIVATE KEY-----\nhunter2\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n",
	};
	struct key *k;
	struct err e;
	(void)state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(key_from_pem(str_of(bad[i]), &k, &e),
		                 ERR_INVALID);
		assert_null(k);
		assert_null(strstr(e.text, "hunter2"));
	}
	assert_int_equal(key_new(KEY_OTHER, &k, &e), ERR_INVALID);
}

static void a_small_rsa_key_is_refused(void **state)
{
	static const char small[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKac8RhUtbJOYEq3\n"
	    "pTdvUfEyzfJiJ+PSqwsX8qERe9TBugpfyhOC9TnMjheaRPQfAedxbKN2s7FL3ydq\n"
	    "ksQ5v1jsQjFMF6K0nohmyCFReyiU3guxHguJRkOxd9/1d5vl1Y2dcDDz8otwYOkb\n"
	    "RITSlNpBC/Uwlk3AJZM4sxpyIMrFAgMBAAECgYBsODRBYYRDNLVG0tH1l9DZoe4z\n"
	    "KZ5PVF7U7dEi3YBZSRvV8TIISl+OE1eX7RQsnJdYBUxTQJ6m4mkn6Qk7e2bVBnAs\n"
	    "20VxMjZaBRSOlQxH5HJsd8cQ1EqEW/NS0gtfBByCmtivNvJhyRctzNJrj3ZWaA+K\n"
	    "bNVSuOPPbExGNgEKYQJBAN1da6wgidfLLQ1KUVxvcl61Zn5ES5Tpf+8z+YN2Ned6\n"
	    "9fI7JftW+KqvhqAl8oiI8n1320p8wWP9BgSS9mpztocCQQDArnuPl/RM1NKlFTJJ\n"
	    "drrHGqOxpo5IlcXJ6rWUgxmYk83xMHW7ct3msQGoMsafew4eR9RyrrIjWQu8Tmif\n"
	    "eLtTAkEAiAU1eijsSmsQHdCCuffJIST5+7BfePsZn5QiR4NFkB1gLx3lMtG4Lrl4\n"
	    "UcO/ieIMjsgtOVH7S0NYhUsAm1zK1QJAQ8SafLSLHgK0W4+K8j+qDaEW9cKIxIq4\n"
	    "1/2PA77gX8OMaUoL/nO2DA8xcAD7zteu7YOB+xvqV3hYIlDJh10lNQJAGoohPrUe\n"
	    "0ciuuYzjxXFQdxf9i9aNan0HoRaPXutCQPBV3NcK7plIoGyvyuDb1zkB2Us5R9jr\n"
	    "XyZvEKrUt6Xvtg==\n"
	    "-----END PRIVATE KEY-----\n";
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_from_pem(str_of(small), &k, &e), ERR_INVALID);
	assert_string_equal(e.text, "key is of a type or size that is not "
	                            "supported");
}

static void digests_are_those_of_fips_180(void **state)
{
	char hex[SHA256_HEX];
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	(void)state;

	assert_string_equal(sha256_hex("abc", 3, hex),
	                    "ba7816bf8f01cfea414140de5dae2223"
	                    "b00361a396177a9cb410ff61f20015ad");
	assert_string_equal(sha256_hex(NULL, 0, hex),
	                    "e3b0c44298fc1c149afbf4c8996fb924"
	                    "27ae41e4649b934ca495991b7852b855");
	crypto_random(a, sizeof a);
	crypto_random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_parsed_and_named),
		cmocka_unit_test(every_kind_survives_a_round_trip),
		cmocka_unit_test(coordinates_keep_their_leading_zeros),
		cmocka_unit_test(different_keys_are_not_equal),
		cmocka_unit_test(other_forms_are_read),
		cmocka_unit_test(what_is_no_key_is_refused_without_quoting_it),
		cmocka_unit_test(a_small_rsa_key_is_refused),
		cmocka_unit_test(digests_are_those_of_fips_180),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
