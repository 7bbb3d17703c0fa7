/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate requests of every kind of key, read back and verified by OpenSSL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/csr.h"

static X509_REQ *request(enum key_kind kind, const struct str *names,
                         size_t count)
{
	struct buf der = BUF_INIT(65536);
	struct key *k;
	struct err e;

	assert_int_equal(key_new(kind, &k, &e), 0);
	assert_int_equal(csr_new(k, names, count, &der, &e), 0);
	const unsigned char *p = (unsigned char *)der.ptr;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.len);
	assert_non_null(req);
	assert_ptr_equal(p, der.ptr + der.len);
	assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	key_free(k);
	buf_free(&der);
	return req;
}

static void names_and_addresses_become_sans(void **state)
{
	const struct str names[] = { STR("a.test"), STR("*.a.test"),
		                     STR("192.0.2.7"), STR("2001:db8::1") };
	X509_REQ *req = request(KEY_EC256, names, 4);
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
	GENERAL_NAMES *sans =
	    X509V3_get_d2i(exts, NID_subject_alt_name, NULL, NULL);
	(void)state;

	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)),
	                 0);
	assert_int_equal(sk_X509_EXTENSION_num(exts), 1);
	assert_int_equal(sk_GENERAL_NAME_num(sans), 4);
	GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, 1);
	assert_int_equal(san->type, GEN_DNS);
	assert_memory_equal(ASN1_STRING_get0_data(san->d.dNSName), "*.a.test",
	                    8);
	san = sk_GENERAL_NAME_value(sans, 2);
	assert_int_equal(san->type, GEN_IPADD);
	assert_memory_equal(ASN1_STRING_get0_data(san->d.iPAddress),
	                    "\xc0\x00\x02\x07", 4);
	san = sk_GENERAL_NAME_value(sans, 3);
	assert_int_equal(ASN1_STRING_length(san->d.iPAddress), 16);
	GENERAL_NAMES_free(sans);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	X509_REQ_free(req);
}

static void every_kind_of_key_signs(void **state)
{
	const struct str name = STR("a.test");
	(void)state;

	X509_REQ_free(request(KEY_EC384, &name, 1));
	X509_REQ_free(request(KEY_EC521, &name, 1));
	X509_REQ_free(request(KEY_RSA2048, &name, 1));
}

static void no_name_or_no_room_is_refused(void **state)
{
	const struct str name = STR("a.test"), empty = STR("");
	struct buf der = BUF_INIT(16);
	struct key *k;
	struct err e;
	(void)state;

	assert_int_equal(key_new(KEY_EC256, &k, &e), 0);
	assert_int_equal(csr_new(k, NULL, 0, &der, &e), ERR_INVALID);
	assert_int_equal(csr_new(k, &empty, 1, &der, &e), ERR_INVALID);
	assert_int_equal(csr_new(k, &name, 1, &der, &e), ERR_NOSPACE);
	key_free(k);
	buf_free(&der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_addresses_become_sans),
		cmocka_unit_test(every_kind_of_key_signs),
		cmocka_unit_test(no_name_or_no_room_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
