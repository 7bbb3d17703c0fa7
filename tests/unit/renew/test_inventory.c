/* SPDX-License-Identifier: Apache-2.0 */
/* Wishes against facts: who wins, what stays, what is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "renew/inventory.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1800000000000)

static void want(struct inventory *inv, const char *name, const char *issuer,
                 const char *id, bool first)
{
	struct wish w = { .name = name,
		          .issuer = issuer,
		          .origin = "test",
		          .kinds = { KEY_EC256 },
		          .kind_count = 1 };

	names_add(&w.identifiers, id);
	names_add(&w.challenges, "http-01");
	assert_int_equal(inventory_want(inv, &w), first);
	names_free(&w.identifiers);
	names_free(&w.challenges);
}

static struct item *store(struct inventory *inv, const char *name,
                          const char *issuer, const char *id,
                          enum key_kind kind)
{
	struct cert_record r = { .name = mem_strdup(name), .key_count = 1 };

	r.keys[0] = (struct cert_key){ .kind = kind,
		                       .issuer = mem_strdup(issuer),
		                       .serial = mem_strdup("01:02"),
		                       .not_before = NOW,
		                       .not_after = NOW + 90 * DAY,
		                       .issued = NOW + 1 };
	names_add(&r.keys[0].identifiers, id);
	struct item *item = inventory_stored(inv, &r);
	cert_record_free(&r);
	return item;
}

static void the_first_wish_for_a_name_wins(void **state)
{
	struct inventory *inv = inventory_new();
	(void)state;

	inventory_begin(inv);
	want(inv, "a", "le", "a.test", true);
	want(inv, "a", "zerossl", "a.test", false);
	want(inv, "b", "le", "b.test", true);
	inventory_end(inv);
	assert_int_equal(inventory_count(inv), 2);
	assert_string_equal(inventory_find(inv, "a")->wish.issuer, "le");
	inventory_begin(inv);
	want(inv, "a", "zerossl", "a.test", true);
	inventory_end(inv);
	assert_string_equal(inventory_find(inv, "a")->wish.issuer, "zerossl");
	assert_true(inventory_find(inv, "a")->wanted);
	inventory_free(inv);
	inventory_free(NULL);
}

static void what_nobody_wants_any_more_stays_unwanted(void **state)
{
	struct inventory *inv = inventory_new();
	(void)state;

	store(inv, "old", "le", "old.test", KEY_EC256);
	inventory_begin(inv);
	want(inv, "a", "le", "a.test", true);
	inventory_end(inv);
	inventory_begin(inv);
	inventory_end(inv);
	assert_int_equal(inventory_count(inv), 2);
	assert_false(inventory_find(inv, "a")->wanted);
	assert_false(inventory_find(inv, "a")->legs[KEY_EC256].wanted);
	struct item *old = inventory_find(inv, "old");
	assert_false(old->wanted);
	assert_true(old->legs[KEY_EC256].stored);
	assert_true(item_not_after(old) == NOW + 90 * DAY);
	inventory_forget(inv, old);
	assert_null(inventory_find(inv, "old"));
	assert_int_equal(inventory_count(inv), 1);
	inventory_free(inv);
}

static void a_fact_is_current_when_it_is_what_is_wished(void **state)
{
	struct inventory *inv = inventory_new();
	(void)state;

	inventory_begin(inv);
	want(inv, "a", "le", "a.test", true);
	inventory_end(inv);
	struct item *item = inventory_find(inv, "a");
	struct leg *leg = &item->legs[KEY_EC256];
	assert_true(leg->wanted);
	assert_false(item->legs[KEY_RSA2048].wanted);
	assert_false(leg_is_current(leg));
	assert_true(leg_renew_at(leg) == 0);
	store(inv, "a", "le", "a.test", KEY_EC256);
	assert_true(leg_is_current(leg));
	assert_in_range(leg_renew_at(leg), NOW + 50 * DAY, NOW + 62 * DAY);
	leg->forced = true;
	assert_true(leg_renew_at(leg) == 0);
	leg->forced = false;
	store(inv, "a", "zerossl", "a.test", KEY_EC256);
	assert_false(leg_is_current(leg));
	store(inv, "a", "le", "b.test", KEY_EC256);
	assert_false(leg_is_current(leg));
	store(inv, "a", "le", "a.test", KEY_RSA2048);
	assert_false(leg_is_current(leg)); /* what is stored is all there is */
	assert_true(item->legs[KEY_RSA2048].stored);
	store(inv, "a", "le", "a.test", KEY_EC256);
	leg->revoked = true;
	assert_false(leg_is_current(leg));
	inventory_free(inv);
}

static void the_order_of_names_makes_no_other_certificate(void **state)
{
	struct inventory *inv = inventory_new();
	struct cert_record r = { .name = mem_strdup("a"), .key_count = 1 };
	struct wish w = { .name = "a",
		          .issuer = "le",
		          .origin = "",
		          .kinds = { KEY_EC256 },
		          .kind_count = 1 };
	(void)state;

	names_add(&w.identifiers, "b.test");
	names_add(&w.identifiers, "a.test");
	inventory_begin(inv);
	inventory_want(inv, &w);
	inventory_end(inv);
	r.keys[0] = (struct cert_key){ .kind = KEY_EC256,
		                       .issuer = mem_strdup("le"),
		                       .serial = mem_strdup("01") };
	names_add(&r.keys[0].identifiers, "a.test");
	names_add(&r.keys[0].identifiers, "b.test");
	struct item *item = inventory_stored(inv, &r);
	assert_true(leg_is_current(&item->legs[KEY_EC256]));
	cert_record_free(&r);
	names_free(&w.identifiers);
	inventory_free(inv);
}

static void errors_are_kept_until_they_are_over(void **state)
{
	struct inventory *inv = inventory_new();
	struct err e;
	(void)state;

	struct leg *leg = &store(inv, "a", "le", "a.test", KEY_EC256)
	                           ->legs[KEY_EC256];
	err_set(&e, ERR_DENIED, "no");
	leg_error(leg, &e, 7);
	leg_error(leg, &e, 8);
	assert_string_equal(leg->last_error->text, "no");
	assert_int_equal(leg->last_error_at, 8);
	leg_error(leg, NULL, 9);
	assert_null(leg->last_error);
	leg_error(leg, &e, 10); /* freed with the inventory */
	inventory_free(inv);
}

static void collect(void *arg, struct item *item)
{
	char *last = arg;

	assert_true(strcmp(last, item->name) < 0);
	snprintf(last, 32, "%s", item->name);
}

static void many_names_are_walked_in_order(void **state)
{
	struct inventory *inv = inventory_new();
	char name[32], last[32] = "";
	(void)state;

	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "n%d", i * 7919 % 2000);
		store(inv, name, "le", name, KEY_EC256);
	}
	assert_int_equal(inventory_count(inv), 2000);
	inventory_each(inv, collect, last);
	assert_string_equal(last, "n999");
	inventory_free(inv);
}

/* The same serial is renewed at the same time after each restart. */
static void the_dice_of_a_serial_are_thrown_once(void **state)
{
	struct inventory *a = inventory_new(), *b = inventory_new();
	(void)state;

	uint16_t first = store(a, "a", "le", "x", KEY_EC256)->legs[KEY_EC256].dice;
	uint16_t again = store(b, "b", "le", "y", KEY_EC256)->legs[KEY_EC256].dice;
	assert_int_equal(first, again);
	inventory_free(a);
	inventory_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_wish_for_a_name_wins),
		cmocka_unit_test(what_nobody_wants_any_more_stays_unwanted),
		cmocka_unit_test(a_fact_is_current_when_it_is_what_is_wished),
		cmocka_unit_test(the_order_of_names_makes_no_other_certificate),
		cmocka_unit_test(errors_are_kept_until_they_are_over),
		cmocka_unit_test(many_names_are_walked_in_order),
		cmocka_unit_test(the_dice_of_a_serial_are_thrown_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
