/* SPDX-License-Identifier: Apache-2.0 */
/* Chains with every fault that a CA, or somebody in between, could make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "authority.h"
#include "crypto/chain.h"

enum { DAY = 86400 };
#define NOW_MS (AUTHORITY_NOW * 1000)

/* A root that is not sent, an intermediate, a leaf with its key as ours. */
static EVP_PKEY *root_key, *middle_key, *leaf_key;
static X509 *root, *middle;
static struct key *our_key;

static int setup(void **state)
{
	struct secret der;
	struct err e;
	(void)state;

	root_key = authority_key();
	middle_key = authority_key();
	root = authority_issue(&(struct authority_wish){ .cn = "Root",
	                                                 .key = root_key,
	                                                 .ca = true,
	                                                 .from = -9 * DAY,
	                                                 .until = 900 * DAY });
	middle =
	    authority_issue(&(struct authority_wish){ .cn = "Middle CA",
	                                              .key = middle_key,
	                                              .issuer = root,
	                                              .issuer_key = root_key,
	                                              .ca = true,
	                                              .from = -9 * DAY,
	                                              .until = 90 * DAY });
	assert_int_equal(key_new(KEY_EC256, &our_key, &e), 0);
	assert_int_equal(key_der(our_key, &der, &e), 0);
	const unsigned char *p = (unsigned char *)der.ptr;
	leaf_key = d2i_AutoPrivateKey(NULL, &p, (long)der.len);
	assert_non_null(leaf_key);
	secret_free(&der);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(leaf_key);
	X509_free(root);
	X509_free(middle);
	key_free(our_key);
	return 0;
}

/* A leaf of the intermediate for ten days, changed by `wish`. */
static X509 *leaf_of(struct authority_wish wish)
{
	wish.key = wish.key ? wish.key : leaf_key;
	wish.issuer = wish.issuer ? wish.issuer : middle;
	wish.issuer_key = wish.issuer_key ? wish.issuer_key : middle_key;
	wish.until = wish.until ? wish.until : 10 * DAY;
	return authority_issue(&wish);
}

static struct chain *chain_of(X509 *leaf, X509 *second, X509 *third)
{
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	struct chain *c;
	struct err e;

	authority_pem(&pem, leaf);
	if (second)
		authority_pem(&pem, second);
	if (third)
		authority_pem(&pem, third);
	assert_int_equal(chain_read(buf_str(&pem), &c, &e), 0);
	buf_free(&pem);
	X509_free(leaf);
	return c;
}

static const struct str NAMES[] = { { "a.test", 6 }, { "www.a.test", 10 } };

/* Checks a chain, frees it, and compares the reason. */
static void verdict(struct chain *c, const char *why)
{
	struct err e = { .code = ERR_OK };
	int rc = chain_check(c, our_key, NAMES, 2, NOW_MS, &e);

	chain_free(c);
	assert_string_equal(why ? why : "", e.text);
	assert_int_equal(rc, why ? ERR_INVALID : 0);
}

static void a_good_chain_passes(void **state)
{
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:WWW.a.TEST" }),
	                 middle, NULL),
	        NULL);
	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:www.a.test,DNS:a.test,DNS:a.test" }),
	                 middle, root),
	        NULL);
	verdict(
	    chain_of(leaf_of((struct authority_wish){
			 .names = "DNS:www.a.test,DNS:a.test", .from = 1800 }),
	             NULL, NULL),
	    NULL);
}

static void another_key_is_refused(void **state)
{
	EVP_PKEY *other = authority_key();
	(void)state;

	verdict(
	    chain_of(leaf_of((struct authority_wish){
			 .names = "DNS:a.test,DNS:www.a.test", .key = other }),
	             middle, NULL),
	    "certificate is for another key");
	EVP_PKEY_free(other);
}

static void other_names_are_refused(void **state)
{
	(void)state;

	verdict(
	    chain_of(leaf_of((struct authority_wish){ .names = "DNS:a.test" }),
	             middle, NULL),
	    "certificate lacks the name www.a.test");
	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test,DNS:x.test" }),
	                 middle, NULL),
	        "certificate has the name x.test, which was not asked for");
	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test,"
				      "URI:https://evil.test" }),
	                 middle, NULL),
	        "certificate has the name (other), which was not asked for");
	verdict(chain_of(leaf_of((struct authority_wish){ .cn = "a.test" }),
	                 middle, NULL),
	        "certificate lacks the name a.test");
}

static void dates_out_of_range_are_refused(void **state)
{
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test",
			     .from = -2 * DAY,
			     .until = -DAY }),
	                 middle, NULL),
	        "certificate expired at 2027-01-14T08:00:00Z");
	verdict(
	    chain_of(leaf_of((struct authority_wish){
			 .names = "DNS:a.test,DNS:www.a.test", .from = 7200 }),
	             middle, NULL),
	    "certificate is not valid before 2027-01-15T10:00:00Z; is our "
	    "clock right?");
}

static void an_expired_issuer_is_refused(void **state)
{
	X509 *old =
	    authority_issue(&(struct authority_wish){ .cn = "Middle CA",
	                                              .key = middle_key,
	                                              .issuer = root,
	                                              .issuer_key = root_key,
	                                              .ca = true,
	                                              .from = -9 * DAY,
	                                              .until = -1 });
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test" }),
	                 old, NULL),
	        "issuer Middle CA expired at 2027-01-15T07:59:59Z");
	X509_free(old);
}

static void a_chain_in_wrong_order_is_refused(void **state)
{
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test" }),
	                 root, middle),
	        "certificate 1 was not issued by certificate 2: subject issuer "
	        "mismatch");
}

static void a_false_signature_is_refused(void **state)
{
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test",
			     .issuer_key = root_key }),
	                 middle, NULL),
	        "signature of certificate 1 by certificate 2 is wrong");
}

static void only_a_ca_may_issue_and_a_leaf_is_none(void **state)
{
	X509 *plain =
	    authority_issue(&(struct authority_wish){ .cn = "Middle CA",
	                                              .key = middle_key,
	                                              .issuer = root,
	                                              .issuer_key = root_key,
	                                              .from = -DAY,
	                                              .until = DAY });
	(void)state;

	verdict(chain_of(leaf_of((struct authority_wish){
			     .names = "DNS:a.test,DNS:www.a.test" }),
	                 plain, NULL),
	        "certificate 1 was not issued by certificate 2: invalid CA "
	        "certificate");
	verdict(
	    chain_of(leaf_of((struct authority_wish){
			 .names = "DNS:a.test,DNS:www.a.test", .ca = true }),
	             middle, NULL),
	    "first certificate is that of a CA");
	X509_free(plain);
}

static void facts_are_what_the_certificates_say(void **state)
{
	struct chain *c =
	    chain_of(leaf_of((struct authority_wish){
			 .cn = "a\nb",
			 .names = "DNS:A.test,IP:192.0.2.7,IP:2001:DB8::1",
			 .from = -DAY }),
	             middle, NULL);
	const struct chain_facts *f = chain_facts(c);
	char hex[SHA256_HEX];
	(void)state;

	assert_int_equal(chain_count(c), 2);
	assert_int_equal(f->not_before, NOW_MS - DAY * 1000);
	assert_int_equal(f->not_after, NOW_MS + 10LL * DAY * 1000);
	assert_int_equal(strlen(f->serial), 11);
	assert_memory_equal(f->serial, "6f:0a:00:", 9);
	assert_string_equal(f->subject, "CN=a\\0Ab");
	assert_string_equal(f->issuer, "CN=Middle CA");
	assert_string_equal(f->issuer_cn, "Middle CA");
	assert_string_equal(f->root_cn, "Root");
	assert_int_equal(f->san_count, 3);
	assert_string_equal(f->sans[0], "a.test");
	assert_string_equal(f->sans[1], "192.0.2.7");
	assert_string_equal(f->sans[2], "2001:db8::1");
	assert_int_equal(f->kind, KEY_EC256);
	struct str der = chain_der(c, 0);
	assert_string_equal(f->fingerprint, sha256_hex(der.ptr, der.len, hex));
	assert_int_equal(chain_der(c, 2).len, 0);
	chain_free(c);
}

static void pem_is_normalised(void **state)
{
	X509 *leaf = leaf_of((struct authority_wish){ .names = "DNS:a.test" });
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX), out = BUF_INIT(CHAIN_PEM_MAX);
	struct buf plain = BUF_INIT(CHAIN_PEM_MAX);
	struct chain *c;
	struct err e;
	(void)state;

	buf_adds(&pem, " subject=a.test\r\n\n");
	authority_pem(&pem, leaf);
	buf_adds(&pem, "\n\nissuer: x\n");
	authority_pem(&pem, middle);
	buf_adds(&pem, "\n");
	authority_pem(&plain, leaf);
	authority_pem(&plain, middle);
	assert_int_equal(chain_read(buf_str(&pem), &c, &e), 0);
	assert_int_equal(chain_pem(c, &out, &e), 0);
	assert_string_equal(out.ptr, plain.ptr);
	struct buf small = BUF_INIT(100);
	assert_int_equal(chain_pem(c, &small, &e), ERR_NOSPACE);
	assert_int_equal(chain_pem_one(c, 2, &out, &e), ERR_ABSENT);
	chain_free(c);
	X509_free(leaf);
	buf_free(&pem);
	buf_free(&out);
	buf_free(&plain);
	buf_free(&small);
}

static void refused(struct str pem, const char *why)
{
	struct chain *c;
	struct err e;

	assert_int_equal(chain_read(pem, &c, &e), ERR_INVALID);
	assert_null(c);
	assert_string_equal(e.text, why);
}

static void what_is_no_chain_is_refused(void **state)
{
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX + 1);
	(void)state;

	refused(STR(""), "certificate chain: no certificate in PEM");
	refused(STR("<html>"), "certificate chain: no certificate in PEM");
	refused(STR("\x30\x82\x00"), "certificate chain: binary, expected PEM");
	authority_pem(&pem, middle);
	refused((struct str){ pem.ptr, pem.len - 20 },
	        "certificate chain: certificate 1: PEM: bad end line");
	buf_adds(&pem, "-----BEGIN CERTIFI");
	refused(buf_str(&pem), "certificate chain: certificate 2: cut off");
	buf_adds(&pem, "CATE-----\nMAA=\n-----END CERTIFICATE-----\n");
	assert_int_equal(strncmp(pem.ptr, "-----BEGIN", 10), 0);
	struct chain *c;
	struct err e;
	assert_int_equal(chain_read(buf_str(&pem), &c, &e), ERR_INVALID);
	buf_reset(&pem);
	for (int i = 0; i <= CHAIN_CERTS_MAX; i++)
		authority_pem(&pem, middle);
	refused(buf_str(&pem), "certificate chain: certificate 11: over 10 "
	                       "certificates");
	while (buf_addc(&pem, '\n') == 0)
		;
	refused(buf_str(&pem), "certificate chain: over 262144 bytes");
	buf_free(&pem);
}

static void a_private_key_in_the_answer_is_refused(void **state)
{
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	struct secret text;
	struct err e;
	(void)state;

	authority_pem(&pem, middle);
	assert_int_equal(key_pem(our_key, &text, &e), 0);
	buf_add(&pem, text.ptr, text.len);
	secret_free(&text);
	refused(buf_str(&pem), "certificate chain: certificate 2: a PEM block "
	                       "that is no plain certificate: PRIVATE KEY");
	buf_free(&pem);
}

/* RFC 9773 appendix A. */
static void certificate_id_is_that_of_rfc_9773(void **state)
{
	static const char pem[] =
	    "-----BEGIN CERTIFICATE-----\n"
	    "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpF\n"
	    "eGFtcGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBa\n"
	    "MBYxFDASBgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
	    "AQcDQgAEeBZu7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4z\n"
	    "fwmBhcSrf47NUAFfqzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhb\n"
	    "a4dGQEHhs3uEe6CuLN4ByNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5\n"
	    "tgtiVvuERV6cT4mfutXIlwTb+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z\n"
	    "4KGVelYM5MdsO3pK\n"
	    "-----END CERTIFICATE-----\n";
	struct buf id = BUF_INIT(200);
	struct chain *c;
	struct err e;
	(void)state;

	assert_int_equal(chain_read(str_of(pem), &c, &e), 0);
	assert_int_equal(chain_cert_id(c, &id, &e), 0);
	assert_string_equal(id.ptr, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	assert_string_equal(chain_facts(c)->serial, "87:65:43:21");
	chain_free(c);
	buf_free(&id);
	X509_up_ref(root);
	c = chain_of(root, NULL, NULL);
	assert_int_equal(chain_cert_id(c, &id, &e), ERR_ABSENT);
	chain_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_chain_passes),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(other_names_are_refused),
		cmocka_unit_test(dates_out_of_range_are_refused),
		cmocka_unit_test(an_expired_issuer_is_refused),
		cmocka_unit_test(a_chain_in_wrong_order_is_refused),
		cmocka_unit_test(a_false_signature_is_refused),
		cmocka_unit_test(only_a_ca_may_issue_and_a_leaf_is_none),
		cmocka_unit_test(facts_are_what_the_certificates_say),
		cmocka_unit_test(pem_is_normalised),
		cmocka_unit_test(what_is_no_chain_is_refused),
		cmocka_unit_test(a_private_key_in_the_answer_is_refused),
		cmocka_unit_test(certificate_id_is_that_of_rfc_9773),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
