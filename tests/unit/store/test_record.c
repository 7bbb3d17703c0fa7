/* SPDX-License-Identifier: Apache-2.0 */
/* Records: what is written is read back, and what is wrong in one field is
 * refused by the name of that field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"
#include "store/record.h"

#define PEM "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"

static void secret_of(struct secret *s, const char *text)
{
	struct err e;

	assert_int_equal(secret_copy(s, text, strlen(text), &e), 0);
}

static struct account_record an_account(void)
{
	struct account_record r = {
		.directory = mem_strdup("https://ca.test/dir"),
		.url = mem_strdup("https://ca.test/acct/1"),
		.terms_agreed = true,
	};

	names_add(&r.contacts, "mailto:admin@example.com");
	names_add(&r.contacts, "mailto:zw\303\266lf@example.com");
	secret_of(&r.key, PEM);
	return r;
}

static struct order_record an_order(void)
{
	struct order_record r = {
		.certificate = mem_strdup("example.com"),
		.issuer = mem_strdup("le"),
		.state = mem_strdup("authorize"),
		.kind = KEY_RSA3072,
		.account = mem_strdup("https://ca.test/acct/1"),
		.url = mem_strdup("https://ca.test/order/1"),
		.finalize = mem_strdup("https://ca.test/finalize/1"),
		.download = mem_strdup("https://ca.test/cert/1"),
		.started = INT64_C(1800000000123),
		.authz = mem_array(2, sizeof *r.authz),
		.authz_count = 2,
	};

	names_add(&r.identifiers, "example.com");
	names_add(&r.identifiers, "*.example.com");
	secret_of(&r.key, PEM);
	r.authz[0].url = mem_strdup("https://ca.test/authz/1");
	r.authz[0].identifier = mem_strdup("example.com");
	r.authz[0].type = mem_strdup("dns-01");
	r.authz[0].instance = mem_strdup("hetzner");
	r.authz[0].token = mem_strdup("token");
	r.authz[0].cookie = BUF_INIT(4096);
	buf_add(&r.authz[0].cookie, "\0\xff\n", 3);
	r.authz[1].url = mem_strdup("https://ca.test/authz/2");
	return r;
}

static struct cert_record a_certificate(void)
{
	struct cert_record r = { .name = mem_strdup("example.com") };

	for (enum key_kind kind = KEY_EC256; kind <= KEY_EC384; kind++) {
		struct cert_key k = {
			.kind = kind,
			.issuer = mem_strdup("le"),
			.serial = mem_strdup(key_kind_name(kind)),
			.not_before = INT64_C(1800000000000),
			.not_after = INT64_C(1800000045001),
			.issued = INT64_C(1800000000007),
			.revoked = kind == KEY_EC384,
			.chain = mem_strdup("-----BEGIN CERTIFICATE-----\n"),
		};
		names_add(&k.identifiers, "example.com");
		secret_of(&k.key, PEM);
		cert_record_set(&r, &k);
	}
	return r;
}

/* ---- round trips ---- */

static void an_account_is_read_as_it_was_written(void **state)
{
	struct account_record r = an_account(), back;
	struct buf text = BUF_INIT(RECORD_MAX);
	struct err e;
	(void)state;

	assert_int_equal(account_record_write(&r, &text), 0);
	assert_int_equal(account_record_read(buf_str(&text), &back, &e), 0);
	assert_string_equal(back.directory, r.directory);
	assert_string_equal(back.url, r.url);
	assert_true(names_equal(&back.contacts, &r.contacts));
	assert_true(back.terms_agreed);
	assert_string_equal(back.key.ptr, PEM);
	account_record_free(&back);
	buf_reset(&text);
	free(r.url);
	r.url = NULL;
	assert_int_equal(account_record_write(&r, &text), 0);
	assert_int_equal(account_record_read(buf_str(&text), &back, &e), 0);
	assert_null(back.url);
	account_record_free(&back);
	account_record_free(&r);
	account_record_free(&r);
	buf_free(&text);
}

static void an_order_is_read_as_it_was_written(void **state)
{
	struct order_record r = an_order(), back;
	struct buf text = BUF_INIT(RECORD_MAX);
	struct err e;
	(void)state;

	assert_int_equal(order_record_write(&r, &text), 0);
	assert_int_equal(order_record_read(buf_str(&text), &back, &e), 0);
	assert_string_equal(back.certificate, r.certificate);
	assert_string_equal(back.issuer, r.issuer);
	assert_string_equal(back.state, r.state);
	assert_int_equal(back.kind, KEY_RSA3072);
	assert_true(names_equal(&back.identifiers, &r.identifiers));
	assert_string_equal(back.account, r.account);
	assert_string_equal(back.url, r.url);
	assert_string_equal(back.finalize, r.finalize);
	assert_string_equal(back.download, r.download);
	assert_true(back.started == r.started);
	assert_int_equal(back.authz_count, 2);
	assert_string_equal(back.authz[0].identifier, "example.com");
	assert_string_equal(back.authz[0].type, "dns-01");
	assert_string_equal(back.authz[0].instance, "hetzner");
	assert_string_equal(back.authz[0].token, "token");
	assert_int_equal(back.authz[0].cookie.len, 3);
	assert_memory_equal(back.authz[0].cookie.ptr, "\0\xff\n", 3);
	assert_string_equal(back.authz[1].url, "https://ca.test/authz/2");
	assert_null(back.authz[1].type);
	assert_int_equal(back.authz[1].cookie.len, 0);
	order_record_free(&back);
	order_record_free(&r);
	order_record_free(&r);
	buf_free(&text);
}

static void a_certificate_is_read_as_it_was_written(void **state)
{
	struct cert_record r = a_certificate(), back;
	struct buf text = BUF_INIT(RECORD_MAX);
	struct err e;
	(void)state;

	assert_int_equal(cert_record_write(&r, &text), 0);
	assert_int_equal(cert_record_read(buf_str(&text), &back, &e), 0);
	assert_string_equal(back.name, "example.com");
	assert_int_equal(back.key_count, 2);
	struct cert_key *k = cert_record_find(&back, KEY_EC384);
	assert_non_null(k);
	assert_true(k->revoked);
	assert_false(back.keys[0].revoked);
	assert_string_equal(k->serial, "ecdsa:384");
	assert_true(k->not_before == INT64_C(1800000000000));
	assert_true(k->not_after == INT64_C(1800000045001));
	assert_true(k->issued == INT64_C(1800000000007));
	assert_string_equal(k->key.ptr, PEM);
	assert_string_equal(k->chain, "-----BEGIN CERTIFICATE-----\n");
	cert_record_drop(&back, KEY_EC256);
	cert_record_drop(&back, KEY_RSA4096);
	assert_int_equal(back.key_count, 1);
	assert_int_equal(back.keys[0].kind, KEY_EC384);
	assert_null(cert_record_find(&back, KEY_EC256));
	cert_record_free(&back);
	cert_record_free(&r);
	buf_free(&text);
}

/* ---- refusals ---- */

typedef int read_fn(struct str text, struct err *e);

static int read_account(struct str text, struct err *e)
{
	struct account_record r;
	int rc = account_record_read(text, &r, e);

	if (rc < 0)
		assert_null(r.directory);
	account_record_free(&r);
	return rc;
}

static int read_order(struct str text, struct err *e)
{
	struct order_record r;
	int rc = order_record_read(text, &r, e);

	if (rc < 0)
		assert_null(r.certificate);
	order_record_free(&r);
	return rc;
}

static int read_cert(struct str text, struct err *e)
{
	struct cert_record r;
	int rc = cert_record_read(text, &r, e);

	if (rc < 0)
		assert_null(r.name);
	cert_record_free(&r);
	return rc;
}

/* Where the members of a record are: "a/0/b" goes into a["0"]["b"]. */
static json_t *place(json_t *root, const char *path, const char **key)
{
	char part[64];
	const char *slash;

	for (; (slash = strchr(path, '/')); path = slash + 1) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		root = json_is_array(root)
		               ? json_array_get(root, (size_t)atoll(part))
		               : json_object_get(root, part);
		assert_non_null(root);
	}
	*key = path;
	return root;
}

static void refused(read_fn *fn, json_t *changed, const char *path,
                    const char *value)
{
	char *text = json_dumps(changed, 0);
	const char *last = strrchr(path, '/');
	struct err e = { 0 };

	if (fn(str_of(text), &e) != ERR_INVALID)
		fail_msg("%s = %s was taken", path, value);
	if (!strstr(e.text, last ? last + 1 : path) && !strstr(e.text, "key"))
		fail_msg("%s: %s", path, e.text);
	if (strstr(e.text, "AAAA"))
		fail_msg("%s: tells the key", path);
	free(text);
}

/* The record with one member of another type, and without it. */
static void wrong_in(read_fn *fn, const char *good, const char *path,
                     bool optional)
{
	static const char *const VALUES[] = { "7", "\"x\"", "[]", "{}", "true",
		                              "[[]]" };
	json_t *o = json_loads(good, 0, NULL), *old;
	const char *key;
	json_t *at = place(o, path, &key);

	old = json_incref(json_object_get(at, key));
	assert_non_null(old);
	for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
		json_t *v = json_loads(VALUES[i], JSON_DECODE_ANY, NULL);
		bool same = json_typeof(v) == json_typeof(old) ||
		            (json_is_boolean(v) && json_is_boolean(old));
		json_object_set_new(at, key, v);
		if (!same)
			refused(fn, o, path, VALUES[i]);
	}
	if (!optional) {
		json_object_del(at, key);
		refused(fn, o, path, "nothing");
	}
	json_decref(old);
	json_decref(o);
}

static void wrong_value(read_fn *fn, const char *good, const char *path,
                        const char *value)
{
	json_t *o = json_loads(good, 0, NULL);
	const char *key;
	json_t *at = place(o, path, &key);

	json_object_set_new(at, key, json_loads(value, JSON_DECODE_ANY, NULL));
	refused(fn, o, path, value);
	json_decref(o);
}

static void each_wrong_field_of_an_account_is_refused(void **state)
{
	struct account_record r = an_account();
	struct buf text = BUF_INIT(RECORD_MAX);
	(void)state;

	account_record_write(&r, &text);
	wrong_in(read_account, text.ptr, "format", false);
	wrong_in(read_account, text.ptr, "directory", false);
	wrong_in(read_account, text.ptr, "contacts", false);
	wrong_in(read_account, text.ptr, "terms_agreed", false);
	wrong_in(read_account, text.ptr, "url", true);
	wrong_in(read_account, text.ptr, "private_key", false);
	wrong_value(read_account, text.ptr, "format", "2");
	wrong_value(read_account, text.ptr, "private_key", "\"AAAA\"");
	wrong_value(read_account, text.ptr, "contacts", "[1]");
	account_record_free(&r);
	buf_free(&text);
}

static void each_wrong_field_of_an_order_is_refused(void **state)
{
	struct order_record r = an_order();
	struct buf text = BUF_INIT(RECORD_MAX);
	(void)state;

	order_record_write(&r, &text);
	wrong_in(read_order, text.ptr, "certificate", false);
	wrong_in(read_order, text.ptr, "issuer", false);
	wrong_in(read_order, text.ptr, "state", false);
	wrong_in(read_order, text.ptr, "type", false);
	wrong_in(read_order, text.ptr, "identifiers", false);
	wrong_in(read_order, text.ptr, "started", false);
	wrong_in(read_order, text.ptr, "account", true);
	wrong_in(read_order, text.ptr, "url", true);
	wrong_in(read_order, text.ptr, "finalize", true);
	wrong_in(read_order, text.ptr, "download", true);
	wrong_in(read_order, text.ptr, "private_key", false);
	wrong_in(read_order, text.ptr, "authorizations", false);
	wrong_in(read_order, text.ptr, "authorizations/0/url", false);
	wrong_in(read_order, text.ptr, "authorizations/0/identifier", true);
	wrong_in(read_order, text.ptr, "authorizations/0/challenge", true);
	wrong_in(read_order, text.ptr, "authorizations/0/instance", true);
	wrong_in(read_order, text.ptr, "authorizations/0/token", true);
	wrong_in(read_order, text.ptr, "authorizations/0/cookie", true);
	wrong_value(read_order, text.ptr, "started", "\"yesterday\"");
	wrong_value(read_order, text.ptr, "type", "\"other\"");
	wrong_value(read_order, text.ptr, "type", "\"dsa:1024\"");
	wrong_value(read_order, text.ptr, "authorizations/0/cookie", "\"*\"");
	order_record_free(&r);
	buf_free(&text);
}

static void each_wrong_field_of_a_certificate_is_refused(void **state)
{
	struct cert_record r = a_certificate();
	struct buf text = BUF_INIT(RECORD_MAX);
	(void)state;

	cert_record_write(&r, &text);
	wrong_in(read_cert, text.ptr, "name", false);
	wrong_in(read_cert, text.ptr, "keys", false);
	wrong_in(read_cert, text.ptr, "keys/1/type", false);
	wrong_in(read_cert, text.ptr, "keys/1/issuer", false);
	wrong_in(read_cert, text.ptr, "keys/1/identifiers", false);
	wrong_in(read_cert, text.ptr, "keys/1/serial", false);
	wrong_in(read_cert, text.ptr, "keys/1/not_before", false);
	wrong_in(read_cert, text.ptr, "keys/1/not_after", false);
	wrong_in(read_cert, text.ptr, "keys/1/issued", false);
	wrong_in(read_cert, text.ptr, "keys/1/revoked", true);
	wrong_in(read_cert, text.ptr, "keys/1/private_key", false);
	wrong_in(read_cert, text.ptr, "keys/1/chain", false);
	wrong_value(read_cert, text.ptr, "keys/1/type", "\"ecdsa:256\"");
	wrong_value(read_cert, text.ptr, "keys/1/not_after", "\"2027\"");
	wrong_value(read_cert, text.ptr, "keys", "[{},{},{},{},{},{},{},{},{}]");
	cert_record_free(&r);
	buf_free(&text);
}

static void what_is_cut_off_anywhere_is_refused(void **state)
{
	struct cert_record r = a_certificate();
	struct buf text = BUF_INIT(RECORD_MAX);
	struct err e;
	(void)state;

	cert_record_write(&r, &text);
	for (size_t n = 0; n < text.len - 2; n++)
		assert_int_equal(read_cert((struct str){ text.ptr, n }, &e),
		                 ERR_INVALID);
	cert_record_free(&r);
	buf_free(&text);
}

static void what_does_not_fit_is_not_written_in_part(void **state)
{
	struct order_record r = an_order();
	struct buf text = BUF_INIT(200);
	(void)state;

	assert_int_equal(order_record_write(&r, &text), -1);
	order_record_free(&r);
	buf_free(&text);
}

/* ---- names ---- */

static struct names names_of(const char *a, const char *b, const char *c)
{
	struct names n = { 0 };

	names_add(&n, a);
	if (b)
		names_add(&n, b);
	if (c)
		names_add(&n, c);
	return n;
}

static void names_are_the_same_in_any_order(void **state)
{
	struct names ab = names_of("a", "b", NULL),
		     ba = names_of("b", "a", NULL),
		     abc = names_of("a", "b", "c"), none = { 0 }, copy;
	(void)state;

	assert_false(names_equal(&ab, &ba));
	assert_true(names_same(&ab, &ba));
	assert_true(names_same(&ab, &ab));
	assert_false(names_same(&ab, &abc));
	assert_false(names_same(&abc, &ab));
	assert_false(names_same(&none, &ab));
	assert_true(names_same(&none, &none));
	names_copy(&copy, &abc);
	assert_true(names_equal(&copy, &abc));
	struct str *strs = names_strs(&copy);
	assert_true(str_eq(strs[2], STR("c")));
	free(strs);
	names_free(&copy);
	names_free(&ab);
	names_free(&ba);
	names_free(&abc);
	names_free(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_is_read_as_it_was_written),
		cmocka_unit_test(an_order_is_read_as_it_was_written),
		cmocka_unit_test(a_certificate_is_read_as_it_was_written),
		cmocka_unit_test(each_wrong_field_of_an_account_is_refused),
		cmocka_unit_test(each_wrong_field_of_an_order_is_refused),
		cmocka_unit_test(each_wrong_field_of_a_certificate_is_refused),
		cmocka_unit_test(what_is_cut_off_anywhere_is_refused),
		cmocka_unit_test(what_does_not_fit_is_not_written_in_part),
		cmocka_unit_test(names_are_the_same_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
