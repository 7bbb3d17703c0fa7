/* SPDX-License-Identifier: Apache-2.0 */
/* What exists becomes what should exist: at start, over reloads and
 * declarations, when an operator wants it, and when a CA does not. */
#include "keeper.h"

#include "renew/renew_inside.h"

#include <time.h>

#define A "[certificate a.test]\nnames = a.test\nissuer = le\n"
#define B "[certificate b.test]\nnames = b.test\nissuer = other\n"

/* ---- start ---- */

static void what_is_missing_is_ordered(void **state)
{
	struct keeper *k = *state;
	struct renew_counts counts;

	keeper_configure(k, A B);
	keeper_turns(k, 20);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 0); /* not loaded */
	keeper_load(k);
	keeper_until(k, &k->issued, 2);
	assert_int_equal(k->installs, 2);
	assert_int_equal(k->failed, 0);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1);
	assert_int_equal(k->other->count[FAKE_NEW_ORDER], 1);
	renew_count(k->renew, &counts);
	assert_int_equal(counts.wanted, 2);
	assert_int_equal(counts.current, 2);
	assert_int_equal(counts.failing, 0);
}

static int64_t in_hundred_days(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec + 100 * 86400) * 1000;
}

/* Served on while it lives; archived and withdrawn when it has expired. */
static void what_nobody_wants_is_retired_when_it_has_expired(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	keeper_configure(k, B);
	renew_sweep(k->renew);
	assert_non_null(inventory_find(renew_inventory(k->renew), "a.test"));
	assert_int_equal(k->withdrawn, 0);
	keeper_until(k, &k->issued, 2); /* b.test is wanted: it stays */
	now_replace(in_hundred_days, NULL);
	renew_sweep(k->renew);
	now_replace(NULL, NULL);
	assert_null(inventory_find(renew_inventory(k->renew), "a.test"));
	assert_non_null(inventory_find(renew_inventory(k->renew), "b.test"));
	assert_int_equal(k->withdrawn, 1);
	keeper_turns(k, 50);
	assert_null(memory_get(&k->f->d->memory, "certificates/a.test"));
	assert_non_null(memory_get(&k->f->d->memory, "archive/a.test"));
	assert_non_null(memory_get(&k->f->d->memory, "certificates/b.test"));
}

static void what_is_there_is_installed_and_not_ordered(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	renew_free(k->renew);
	keeper_new_renew(k);
	k->installs = 0;
	renew_configure(k->renew, k->conf, NULL, 0);
	keeper_load(k);
	assert_int_equal(k->installs, 1);
	keeper_turns(k, 100);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1);
	assert_in_range(keeper_leg(k, "a.test")->due.at - now_wall(),
	                INT64_C(86400000) * 55, INT64_C(86400000) * 61);
}

static void damaged_certificates_are_set_aside_and_others_loaded(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	memory_set(&k->f->d->memory, "certificates/junk", "junk", 4);
	const char *good = memory_get(&k->f->d->memory, "certificates/a.test");
	memory_set(&k->f->d->memory, "certificates/copy", good, strlen(good));
	k->f->d->memory.page = 1;
	k->loaded = false;
	k->installs = 0;
	keeper_load(k);
	keeper_turns(k, 20);
	assert_int_equal(k->installs, 1); /* the copy speaks for nobody */
	assert_int_equal(k->f->d->alarms, 1);
	assert_string_equal(k->f->d->alarm_key, "certificates/junk");
	assert_null(memory_get(&k->f->d->memory, "certificates/junk"));
	assert_non_null(memory_get(&k->f->d->memory, "certificates/copy"));
	assert_null(inventory_find(renew_inventory(k->renew), "copy"));
}

static void load_failed(void *arg, int rc, const struct err *e)
{
	struct keeper *k = arg;

	assert_int_equal(rc, ERR_RETRY);
	assert_non_null(strstr(e->text, "the test says so"));
	k->waits++;
}

static acme_status lists_fail(void *arg, const char *verb, const char *key)
{
	(void)arg;
	(void)key;
	return strcmp(verb, "list") ? ACME_OK : ACME_RETRY;
}

/* Without knowing what is there, nothing is ordered. */
static void nothing_is_ordered_while_the_storage_is_away(void **state)
{
	struct keeper *k = *state;
	struct err e;

	keeper_configure(k, A);
	k->f->d->memory.before = lists_fail;
	renew_load(k->renew, load_failed, k);
	keeper_until(k, &k->waits, 1);
	keeper_turns(k, 50);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 0);
	assert_int_equal(renew_now(k->renew, "a.test", true, keeper_waited, k,
	                           &e),
	                 ERR_RETRY);
	k->f->d->memory.before = NULL;
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
}

static void a_load_that_begins_twice_ends_once(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, "");
	renew_load(k->renew, keeper_waited, k);
	renew_load(k->renew, keeper_waited, k);
	keeper_turns(k, 30);
	assert_int_equal(k->waits, 1);
}

/* The list was read before the order ended, and arrives after it. */
static void a_load_brings_nothing_back_that_was_replaced_meanwhile(void **state)
{
	struct keeper *k = *state;
	struct cert_record r;
	struct err e;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	const char *text = memory_get(&k->f->d->memory, "certificates/a.test");
	assert_int_equal(cert_record_read(str_of(text), &r, &e), 0);
	free(r.keys[0].serial);
	r.keys[0].serial = mem_strdup("4e:e3");
	k->loaded = false;
	unsigned installs = k->installs;
	renew_load(k->renew, keeper_loaded, k);
	k->renew->orders.install(k->renew->orders.arg, &r);
	assert_true(loop_run_until(k->f->d->b->loop, keeper_has_loaded, k,
	                           BENCH_PATIENCE));
	assert_string_equal(keeper_leg(k, "a.test")->serial, "4e:e3");
	assert_int_equal(k->installs, installs + 1);
	k->loaded = false; /* the next one is as good as any */
	keeper_load(k);
	assert_int_equal(k->installs, installs + 2);
	cert_record_free(&r);
}

/* ---- what was left over ---- */

struct crash {
	struct keeper *k;
	const char *words;
	bool hit;
};

/* From when the order's record says so, nothing is stored any more. */
static acme_status crash_after(void *arg, const char *verb, const char *key)
{
	struct crash *c = arg;
	const char *text = memory_get(&c->k->f->d->memory, key);

	if (!strcmp(verb, "put") && !strncmp(key, "orders/", 7) && text &&
	    strstr(text, c->words))
		c->hit = true;
	return c->hit ? ACME_BROKEN : ACME_OK;
}

static acme_status crash_before(void *arg, const char *verb, const char *key)
{
	(void)verb;
	(void)key;
	return ((struct crash *)arg)->hit ? ACME_BROKEN : ACME_OK;
}

static bool has_crashed(void *arg)
{
	return ((struct crash *)arg)->hit;
}

static void crash_in(struct keeper *k, const char *words)
{
	struct crash c = { .k = k, .words = words };

	k->f->d->memory.after = crash_after;
	k->f->d->memory.before = crash_before;
	k->f->d->memory.arg = &c;
	assert_true(loop_run_until(k->f->d->b->loop, has_crashed, &c, 5000));
	renew_free(k->renew);
	k->f->d->memory.after = k->f->d->memory.before = NULL;
	keeper_new_renew(k);
	k->issued = k->failed = k->waits = 0;
	renew_configure(k->renew, k->conf, NULL, 0);
}

static bool nothing_is_left(void *arg)
{
	struct keeper *k = arg;

	return scripted_count(&k->f->web) == 0 &&
	       memory_count(&k->f->d->memory, "orders/", NULL) == 0;
}

/* The certificate is there and not due; only its challenges still stand. */
static void what_a_crash_left_presented_is_taken_away_at_start(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	crash_in(k, "\"state\":\"cleanup\"");
	assert_int_equal(scripted_count(&k->f->web), 1);
	keeper_load(k);
	assert_true(loop_run_until(k->f->d->b->loop, nothing_is_left, k, 5000));
	keeper_turns(k, 50);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1);
	assert_int_equal(k->issued, 0);
	assert_int_equal(k->failed, 0);
	assert_false(keeper_leg(k, "a.test")->leftover);
	assert_in_range(keeper_leg(k, "a.test")->due.at - now_wall(),
	                INT64_C(86400000) * 55, INT64_C(86400000) * 61);
}

/* Who asks for a renewal meanwhile gets one. */
static void a_renewal_does_not_end_with_the_cleanup_of_another(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	crash_in(k, "\"state\":\"cleanup\"");
	k->f->web.hold_cleanup = true;
	keeper_load(k);
	keeper_until(k, &k->f->web.cleanups, 1);
	keeper_renew(k, "a.test", true);
	keeper_let_go(k);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 0);
	assert_int_equal(k->issued, 1);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 2);
	assert_true(nothing_is_left(k));
}

/* A renewal that was under way is brought to its end, due or not. */
static void a_renewal_that_a_crash_interrupted_goes_on(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	keeper_renew(k, "a.test", true);
	crash_in(k, "\"state\":\"authorize\"");
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 2);
	assert_true(nothing_is_left(k));
}

/* ---- an operator ---- */

static void an_operator_may_renew_at_once(void **state)
{
	struct keeper *k = *state;
	struct err e;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	keeper_renew(k, "a.test", false); /* nothing to do */
	assert_int_equal(k->waits, 1);
	assert_int_equal(k->waits_failed, 0);
	keeper_renew(k, "a.test", true);
	keeper_renew(k, "a.test", true); /* the same order */
	keeper_until(k, &k->waits, 3);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 2);
	assert_int_equal(renew_now(k->renew, "x.test", true, keeper_waited, k,
	                           &e),
	                 ERR_ABSENT);
}

static void an_operator_need_not_wait_for_the_next_try(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	k->f->fake->unfit = "a.test";
	keeper_load(k);
	keeper_until(k, &k->failed, 1);
	keeper_renew(k, "a.test", false);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 1);
	assert_non_null(strstr(k->wait_error.text, "the order failed"));
	k->f->fake->unfit = NULL;
	keeper_renew(k, "a.test", false);
	keeper_until(k, &k->waits, 2);
	assert_int_equal(k->waits_failed, 1);
	assert_null(keeper_leg(k, "a.test")->last_error);
}

static bool is_lost(void *arg)
{
	struct leg *leg = keeper_leg(arg, "a.test");

	return leg->order && order_is_lost(leg->order);
}

/* The order that runs has failed already: to wait for it would tell nothing. */
static void an_operator_who_comes_late_gets_another_order(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	k->f->fake->unfit = "a.test";
	k->f->web.hold_cleanup = true;
	keeper_load(k);
	assert_true(loop_run_until(k->f->d->b->loop, is_lost, k, 5000));
	k->f->fake->unfit = NULL;
	keeper_renew(k, "a.test", false);
	keeper_let_go(k);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 0);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 2);
}

static void who_waits_for_a_ca_that_is_down_is_told(void **state)
{
	struct keeper *k = *state;

	fake_say(k->f->fake, FAKE_NEW_ACCOUNT, -1, 403, "", "go away");
	keeper_configure(k, A);
	keeper_load(k);
	keeper_turns(k, 30);
	keeper_renew(k, "a.test", true);
	keeper_until(k, &k->waits, 1);
	assert_int_equal(k->waits_failed, 1);
	assert_non_null(strstr(k->wait_error.text, "HTTP 403"));
	fake_hush(k->f->fake, FAKE_NEW_ACCOUNT);
	keeper_renew(k, "a.test", true);
	keeper_until(k, &k->waits, 2);
	assert_int_equal(k->waits_failed, 1);
}

static void who_waits_when_the_agent_stops_is_told(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_renew(k, "a.test", true);
	keeper_turns(k, 5);
	renew_free(k->renew);
	k->renew = NULL;
	assert_int_equal(k->waits, 1);
	assert_int_equal(k->wait_error.code, ERR_CANCELED);
	renew_free(NULL);
}

/* ---- reloads ---- */

static void a_reload_that_changes_nothing_disturbs_nothing(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_turns(k, 15);
	struct issuer *le = renew_issuer(k->renew, "le");
	for (int i = 0; i < 5; i++) {
		keeper_configure(k, A);
		keeper_turns(k, 3);
	}
	assert_ptr_equal(renew_issuer(k->renew, "le"), le);
	keeper_until(k, &k->issued, 1);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ACCOUNT], 1);
}

static bool order_is_ready(void *arg)
{
	struct leg *leg = keeper_leg(arg, "a.test");

	return leg->order && !strcmp(order_state(leg->order), "ready");
}

/* Runs until the order of a.test waits for the CA. */
static void until_ready(struct keeper *k)
{
	k->f->fake->pending_polls = 1000;
	assert_true(loop_run_until(k->f->d->b->loop, order_is_ready, k, BENCH_PATIENCE));
}

static void an_issuer_that_changes_takes_over_its_orders(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	until_ready(k);
	k->f->fake->orders[0].polls_left = 0;
	keeper_conf(k, "", "max_orders = 7\n", A);
	renew_configure(k->renew, k->conf, NULL, 0);
	keeper_until(k, &k->issued, 1);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1); /* it went on */
	assert_int_equal(k->failed, 0);
	flows_clean(k->f);
}

static void a_certificate_that_goes_ends_its_order(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A B);
	keeper_load(k);
	until_ready(k);
	keeper_until(k, &k->issued, 1); /* b.test */
	keeper_renew(k, "a.test", true);
	keeper_configure(k, B);
	assert_int_equal(k->waits, 1); /* who waited for it is told */
	assert_int_equal(k->wait_error.code, ERR_CANCELED);
	keeper_turns(k, 50);
	assert_null(keeper_leg(k, "a.test")->order);
	assert_int_equal(k->failed, 0);
	k->f->fake->orders[0].polls_left = 0;
	keeper_configure(k, A B);
	keeper_until(k, &k->issued, 2);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 1);
}

static void a_certificate_with_other_names_is_ordered_anew(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	keeper_until(k, &k->issued, 1);
	keeper_configure(k, "[certificate a.test]\nissuer = le\n"
	                    "names = a.test, b.test\n");
	keeper_until(k, &k->issued, 2);
	assert_int_equal(keeper_leg(k, "a.test")->identifiers.count, 2);
	assert_int_equal(k->failed, 0);
}

/* Who has corrected a name need not wait a day for the next try. */
static void a_mended_wish_is_tried_at_once(void **state)
{
	struct keeper *k = *state;

	k->f->fake->unfit = "a.tset";
	keeper_configure(k, "[certificate a.test]\nissuer = le\n"
	                    "names = a.tset\n");
	keeper_load(k);
	keeper_until(k, &k->failed, 1);
	keeper_configure(k, A);
	keeper_until(k, &k->issued, 1);
	assert_int_equal(k->failed, 1);
	assert_null(keeper_leg(k, "a.test")->last_error);
}

/* The wish changes while an order for the old one is under way. */
static void a_wish_that_changes_ends_the_order_for_the_old_one(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	until_ready(k);
	k->f->fake->pending_polls = 0;
	keeper_configure(k, "[certificate a.test]\nissuer = le\n"
	                    "names = a.test, b.test\n");
	keeper_until(k, &k->issued, 1);
	assert_int_equal(k->failed, 0);
	assert_int_equal(keeper_leg(k, "a.test")->identifiers.count, 2);
	assert_int_equal(k->f->fake->count[FAKE_NEW_ORDER], 2);
	flows_clean(k->f);
}

static void a_certificate_that_changes_its_issuer_is_ordered_there(void **state)
{
	struct keeper *k = *state;

	keeper_configure(k, A);
	keeper_load(k);
	until_ready(k);
	keeper_configure(k, "[certificate a.test]\nnames = a.test\n"
	                    "issuer = other\n");
	keeper_until(k, &k->issued, 1);
	assert_string_equal(keeper_leg(k, "a.test")->issuer, "other");
	assert_int_equal(k->failed, 0);
	flows_clean(k->f);
}

/* ---- declarations ---- */

static void what_nginx_declares_comes_after_the_configuration(void **state)
{
	struct keeper *k = *state;
	struct declaration list[3] = {
		{ .name = mem_strdup("a.test"), .issuer = mem_strdup("other") },
		{ .name = mem_strdup("d.test"), .issuer = mem_strdup("other") },
		{ .name = mem_strdup("e.test"), .issuer = mem_strdup("nobody") },
	};
	struct declarations by = { .owner = mem_strdup("/|/etc/nginx.conf"),
		                   .list = list,
		                   .count = 3 };

	for (int i = 0; i < 3; i++)
		names_add(&list[i].identifiers, list[i].name);
	keeper_conf(k, "", "", A);
	renew_configure(k->renew, k->conf, &by, 1);
	keeper_load(k);
	keeper_until(k, &k->issued, 2);
	assert_string_equal(keeper_leg(k, "a.test")->item->wish.issuer, "le");
	struct item *d = keeper_leg(k, "d.test")->item;
	assert_string_equal(d->wish.origin, "nginx /etc/nginx.conf");
	assert_null(inventory_find(renew_inventory(k->renew), "e.test"));
	flows_logged(k->f, "declared issuer unknown");
	renew_configure(k->renew, k->conf, NULL, 0);
	assert_false(d->wanted);
	assert_true(d->legs[KEY_EC256].stored);
	renew_configure(k->renew, k->conf, &by, 1);
	assert_true(d->wanted);
	keeper_turns(k, 30);
	assert_int_equal(k->other->count[FAKE_NEW_ORDER], 1);
	for (int i = 0; i < 3; i++) {
		free(list[i].name);
		free(list[i].issuer);
		names_free(&list[i].identifiers);
	}
	free(by.owner);
}

/* ---- ends ---- */

static void renew_may_end_at_any_turn(void **state)
{
	struct keeper *k = *state;

	keeper_conf(k, "", "", A B);
	for (int turns = 0; turns < 60; turns++) {
		renew_free(k->renew);
		keeper_new_renew(k);
		renew_configure(k->renew, k->conf, NULL, 0);
		renew_load(k->renew, keeper_loaded, k);
		for (int i = 0; i < turns; i++)
			loop_run_once(k->f->d->b->loop, 1);
		memory_del(&k->f->d->memory, "certificates/a.test");
		memory_del(&k->f->d->memory, "certificates/b.test");
		k->f->fake->order_count %= FAKE_ORDERS / 2;
		k->other->order_count %= FAKE_ORDERS / 2;
	}
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, keeper_setup, keeper_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_missing_is_ordered),
		T(what_nobody_wants_is_retired_when_it_has_expired),
		T(what_is_there_is_installed_and_not_ordered),
		T(damaged_certificates_are_set_aside_and_others_loaded),
		T(nothing_is_ordered_while_the_storage_is_away),
		T(a_load_that_begins_twice_ends_once),
		T(a_load_brings_nothing_back_that_was_replaced_meanwhile),
		T(what_a_crash_left_presented_is_taken_away_at_start),
		T(a_renewal_does_not_end_with_the_cleanup_of_another),
		T(a_renewal_that_a_crash_interrupted_goes_on),
		T(an_operator_may_renew_at_once),
		T(an_operator_need_not_wait_for_the_next_try),
		T(an_operator_who_comes_late_gets_another_order),
		T(who_waits_for_a_ca_that_is_down_is_told),
		T(who_waits_when_the_agent_stops_is_told),
		T(a_reload_that_changes_nothing_disturbs_nothing),
		T(an_issuer_that_changes_takes_over_its_orders),
		T(a_certificate_that_goes_ends_its_order),
		T(a_certificate_with_other_names_is_ordered_anew),
		T(a_mended_wish_is_tried_at_once),
		T(a_wish_that_changes_ends_the_order_for_the_old_one),
		T(a_certificate_that_changes_its_issuer_is_ordered_there),
		T(what_nginx_declares_comes_after_the_configuration),
		T(renew_may_end_at_any_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
