/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, pages, and what becomes of damaged values: over the real plugin "file"
 * and over one in memory that fails when it is told to. */
#include "desk.h"

/* ---- keys ---- */

static void a_name_stands_in_its_key_as_it_is(void **state)
{
	char key[STORE_KEY_MAX];
	(void)state;

	assert_string_equal(store_certificate_key("example.com", key),
	                    "certificates/example.com");
	assert_string_equal(store_certificate_key("*.a.test~0badcafe", key),
	                    "certificates/*.a.test~0badcafe");
	assert_string_equal(store_order_key("a.test", KEY_RSA2048, key),
	                    "orders/a.test@rsa:2048");
	assert_int_equal(strncmp(store_account_key("le", "https://a/", key),
	                         "accounts/le@", 12),
	                 0);
}

static void another_directory_is_another_account(void **state)
{
	char a[STORE_KEY_MAX], b[STORE_KEY_MAX];
	(void)state;

	store_account_key("le", "https://a.test/dir", a);
	store_account_key("le", "https://b.test/dir", b);
	assert_string_not_equal(a, b);
}

/* Two names never share a key, and no key breaks the rules of storages. */
static void odd_names_have_good_keys_of_their_own(void **state)
{
	static char long1[300], long2[300], edge[162], over[162];
	const char *const names[] = {
		"",        ".",        "..",       ".hidden",
		"a/b",     "a_b",      "a b",      "a\nb",
		"a\x7f" "b", "\xc3\xb6.test", "\xc3\xa4.test", "../../etc/passwd",
		long1,     long2,      edge,       over,
		"a+0123456789abcdef", "a",
	};
	enum { COUNT = sizeof names / sizeof *names };
	static char keys[COUNT][STORE_KEY_MAX];
	(void)state;

	memset(long1, 'x', sizeof long1 - 1);
	memset(long2, 'x', sizeof long2 - 1);
	long2[sizeof long2 - 2] = 'y';
	memset(edge, 'z', 160);
	memset(over, 'z', 161);
	for (size_t i = 0; i < COUNT; i++) {
		store_certificate_key(names[i], keys[i]);
		const char *part = strchr(keys[i], '/') + 1;
		assert_in_range(strlen(part), 1, 200);
		assert_null(strchr(part, '/'));
		assert_true(*part != '.');
		for (const char *p = part; *p; p++)
			assert_in_range(*p, 0x21, 0x7e);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(keys[i], keys[j]);
	}
}

/* Nobody may choose a name that is the shortened form of another one. */
static void a_shortened_name_is_nobodys_own_name(void **state)
{
	char key[STORE_KEY_MAX], again[STORE_KEY_MAX];
	(void)state;

	store_certificate_key("a/b", key);
	store_certificate_key(strchr(key, '/') + 1, again);
	assert_string_not_equal(key, again);
}

/* ---- values ---- */

static void values_come_back_with_their_version(void **state)
{
	struct desk *d = *state;
	char first[128];

	assert_int_equal(desk_get(d, "accounts/a"), ERR_ABSENT);
	assert_int_equal(desk_put(d, "accounts/a", "one"), 0);
	assert_int_equal(desk_get(d, "accounts/a"), 0);
	assert_string_equal(d->value, "one");
	snprintf(first, sizeof first, "%s", d->version);
	assert_string_not_equal(first, "");
	store_put(d->store, "accounts/a", STR("two"), EXPECT_NONE, desk_answer,
	          d);
	assert_int_equal(desk_wait(d), ERR_CONFLICT);
	store_put(d->store, "accounts/a", STR("two"), str_of(first),
	          desk_answer, d);
	assert_int_equal(desk_wait(d), 0);
	store_put(d->store, "accounts/a", STR("three"), str_of(first),
	          desk_answer, d);
	assert_int_equal(desk_wait(d), ERR_CONFLICT);
	assert_int_equal(desk_get(d, "accounts/a"), 0);
	assert_string_equal(d->value, "two");
	store_del(d->store, "accounts/a", desk_answer, d);
	assert_int_equal(desk_wait(d), 0);
	assert_int_equal(desk_get(d, "accounts/a"), ERR_ABSENT);
	store_del(d->store, "accounts/a", desk_answer, d);
	assert_int_equal(desk_wait(d), 0);
}

static void all_values_are_listed_page_by_page(void **state)
{
	struct desk *d = *state;
	char key[64];

	d->memory.page = 7;
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "certificates/c%d", i);
		assert_int_equal(desk_put(d, key, "v"), 0);
	}
	assert_int_equal(desk_put(d, "orders/x@rsa:2048", "v"), 0);
	assert_int_equal(desk_count(d, "certificates"), 50);
	assert_int_equal(desk_count(d, "orders"), 1);
	assert_int_equal(desk_count(d, "nothing"), 0);
}

static void no_call_is_answered_after_it_was_canceled(void **state)
{
	struct desk *d = *state;
	struct store_op *op = store_get(d->store, "a/b", desk_answer, d);

	store_cancel(&op);
	assert_null(op);
	store_cancel(&op);
	store_put(d->store, "a/c", STR("v"), EXPECT_ANY, desk_answer, d);
	store_each(d->store, "a", desk_count_each, desk_answer, d);
	store_free(d->store);
	d->store = store_new(d->storage, &d->log, desk_alarm, d);
	desk_turns(d);
	assert_int_equal(d->answers, 0);
}

/* ---- damage ---- */

static struct err damage(void)
{
	struct err e;

	err_set(&e, ERR_INVALID, "no JSON at all");
	return e;
}

static struct store_op *set_aside(struct desk *d, const char *value,
                                  const char *version)
{
	struct err e = damage();

	return store_set_aside(d->store, "certificates/a", str_of(value),
	                       str_of(version), &e, desk_answer, d);
}

static void a_damaged_value_is_kept_elsewhere(void **state)
{
	struct desk *d = *state;

	assert_int_equal(desk_put(d, "certificates/a", "junk"), 0);
	assert_int_equal(desk_get(d, "certificates/a"), 0);
	set_aside(d, "junk", d->version);
	assert_int_equal(desk_wait(d), 0);
	assert_int_equal(d->alarms, 1);
	assert_string_equal(d->alarm_key, "certificates/a");
	assert_string_equal(d->alarm.text, "no JSON at all");
	assert_int_equal(desk_get(d, "certificates/a"), ERR_ABSENT);
	assert_int_equal(desk_count(d, "damaged"), 1);
	assert_non_null(strstr(d->b->key, "Z/certificates/a"));
	assert_int_equal(desk_get(d, d->b->key), 0);
	assert_string_equal(d->value, "junk");
}

static void what_replaced_a_damaged_value_meanwhile_stays(void **state)
{
	struct desk *d = *state;
	char version[128];

	assert_int_equal(desk_put(d, "certificates/a", "junk"), 0);
	assert_int_equal(desk_get(d, "certificates/a"), 0);
	snprintf(version, sizeof version, "%s", d->version);
	assert_int_equal(desk_put(d, "certificates/a", "good"), 0);
	set_aside(d, "junk", version);
	assert_int_equal(desk_wait(d), 0);
	assert_int_equal(desk_get(d, "certificates/a"), 0);
	assert_string_equal(d->value, "good");
	assert_int_equal(desk_count(d, "damaged"), 1);
}

static acme_status disk_is_full(void *arg, const char *verb, const char *key)
{
	(void)arg;
	(void)key;
	return strcmp(verb, "put") ? ACME_OK : ACME_NOSPACE;
}

static void what_cannot_be_copied_is_not_deleted(void **state)
{
	struct desk *d = *state;

	memory_set(&d->memory, "certificates/a", "junk", 4);
	d->memory.before = disk_is_full;
	set_aside(d, "junk", "1");
	assert_int_equal(desk_wait(d), ERR_NOSPACE);
	assert_non_null(strstr(d->e.text, "certificates/a"));
	assert_string_equal(memory_get(&d->memory, "certificates/a"), "junk");
	assert_int_equal(d->alarms, 1);
}

static void setting_aside_goes_on_when_nobody_waits(void **state)
{
	struct desk *d = *state;

	memory_set(&d->memory, "certificates/a", "junk", 4);
	struct store_op *op = set_aside(d, "junk", "1");
	store_cancel(&op);
	assert_null(op);
	desk_turns(d);
	assert_int_equal(d->answers, 0);
	assert_null(memory_get(&d->memory, "certificates/a"));
	assert_int_equal(memory_count(&d->memory, "damaged/", NULL), 1);
	memory_set(&d->memory, "certificates/a", "junk", 4);
	set_aside(d, "junk", "3"); /* ends with the store, in the teardown */
}

int main(void)
{
#define MEMORY(test) \
	cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)
#define FILES(test)                                                            \
	{ #test " (file)", test, desk_setup_file, desk_teardown, NULL }
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_stands_in_its_key_as_it_is),
		cmocka_unit_test(another_directory_is_another_account),
		cmocka_unit_test(odd_names_have_good_keys_of_their_own),
		cmocka_unit_test(a_shortened_name_is_nobodys_own_name),
		MEMORY(values_come_back_with_their_version),
		FILES(values_come_back_with_their_version),
		MEMORY(all_values_are_listed_page_by_page),
		FILES(all_values_are_listed_page_by_page),
		MEMORY(no_call_is_answered_after_it_was_canceled),
		FILES(no_call_is_answered_after_it_was_canceled),
		MEMORY(a_damaged_value_is_kept_elsewhere),
		FILES(a_damaged_value_is_kept_elsewhere),
		MEMORY(what_replaced_a_damaged_value_meanwhile_stays),
		FILES(what_replaced_a_damaged_value_meanwhile_stays),
		MEMORY(what_cannot_be_copied_is_not_deleted),
		MEMORY(setting_aside_goes_on_when_nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
