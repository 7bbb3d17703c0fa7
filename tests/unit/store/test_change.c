/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a certificate: what was there is kept, what somebody else wrote
 * meanwhile is not lost, what is damaged is never overwritten. */
#include "desk.h"

#define PEM "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
#define KEY "certificates/a.test"

struct changing {
	struct desk *d;
	const char *serial; /* what the change puts in */
	int changes, ends, rc;
	int seen; /* keys that the last change found */
	struct err e;
	size_t keys; /* of the record at the end */
	int refuse;
	int others; /* so many times somebody else is first */
};

static void set_key(struct cert_record *r, enum key_kind kind,
                    const char *serial)
{
	struct cert_key k = { .kind = kind,
		              .issuer = mem_strdup("le"),
		              .serial = mem_strdup(serial),
		              .chain = mem_strdup("PEM"),
		              .not_after = 1000 };
	struct err e;

	names_add(&k.identifiers, "a.test");
	assert_int_equal(secret_copy(&k.key, PEM, strlen(PEM), &e), 0);
	cert_record_set(r, &k);
}

/* A stored record with one key, as text. */
static void record_text(const char *name, const char *serial, struct buf *out)
{
	struct cert_record r = { .name = mem_strdup(name) };

	set_key(&r, KEY_EC256, serial);
	assert_int_equal(cert_record_write(&r, out), 0);
	cert_record_free(&r);
}

static int change(void *arg, struct cert_record *r, struct err *e)
{
	struct changing *c = arg;

	c->changes++;
	c->seen = (int)r->key_count;
	assert_string_equal(r->name, "a.test");
	if (c->refuse)
		return err_set(e, ERR_DENIED, "not like this");
	set_key(r, KEY_EC384, c->serial);
	return 0;
}

static void ended(void *arg, int rc, const struct err *e,
                  const struct cert_record *r)
{
	struct changing *c = arg;

	c->ends++;
	c->rc = rc;
	c->e = e ? *e : (struct err){ 0 };
	assert_true(!r == (rc < 0));
	c->keys = r ? r->key_count : 0;
}

static bool has_ended(void *arg)
{
	return ((struct changing *)arg)->ends > 0;
}

static int run(struct desk *d, struct changing *c)
{
	c->d = d;
	if (!c->serial)
		c->serial = "one";
	d->memory.arg = c;
	store_change(d->store, "a.test", change, ended, c);
	assert_int_equal(c->ends, 0);
	assert_true(loop_run_until(d->b->loop, has_ended, c, BENCH_PATIENCE));
	assert_int_equal(c->ends, 1);
	return c->rc;
}

/* The serial of a key type in what is stored; "" if there is none. */
static const char *serial_in(struct desk *d, const char *key,
                             enum key_kind kind)
{
	static char serial[64];
	struct cert_record r;
	struct err e;

	*serial = '\0';
	if (desk_get(d, key) < 0)
		return serial;
	assert_int_equal(cert_record_read(str_of(d->value), &r, &e), 0);
	struct cert_key *k = cert_record_find(&r, kind);
	if (k)
		snprintf(serial, sizeof serial, "%s", k->serial);
	cert_record_free(&r);
	return serial;
}

static void the_first_change_makes_the_record(void **state)
{
	struct desk *d = *state;
	struct changing c = { 0 };

	assert_int_equal(run(d, &c), 0);
	assert_int_equal(c.changes, 1);
	assert_int_equal(c.seen, 0);
	assert_int_equal(c.keys, 1);
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
	assert_int_equal(desk_get(d, "archive/a.test"), ERR_ABSENT);
}

static void the_predecessor_goes_to_the_archive(void **state)
{
	struct desk *d = *state;
	struct changing first = { .serial = "one" }, second = { .serial = "two" };

	assert_int_equal(run(d, &first), 0);
	assert_int_equal(run(d, &second), 0);
	assert_int_equal(second.seen, 1);
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "two");
	assert_string_equal(serial_in(d, "archive/a.test", KEY_EC384), "one");
}

static void what_is_refused_writes_nothing(void **state)
{
	struct desk *d = *state;
	struct changing first = { 0 }, second = { .refuse = 1 };

	assert_int_equal(run(d, &first), 0);
	assert_int_equal(run(d, &second), ERR_DENIED);
	assert_string_equal(second.e.text, "not like this");
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
	assert_int_equal(desk_get(d, "archive/a.test"), ERR_ABSENT);
}

/* ---- somebody else ---- */

static acme_status somebody_is_first(void *arg, const char *verb,
                                     const char *key)
{
	struct changing *c = arg;
	struct buf text = BUF_INIT(RECORD_MAX);

	if (strcmp(verb, "put") || strcmp(key, KEY) || !c->others)
		return ACME_OK;
	c->others--;
	record_text("a.test", "theirs", &text);
	memory_set(&c->d->memory, KEY, text.ptr, text.len);
	buf_free(&text);
	return ACME_OK;
}

static void a_conflict_begins_again_with_what_is_there(void **state)
{
	struct desk *d = *state;
	struct changing c = { .others = 2 };

	d->memory.before = somebody_is_first;
	assert_int_equal(run(d, &c), 0);
	assert_int_equal(c.changes, 3);
	assert_int_equal(c.keys, 2);
	assert_string_equal(serial_in(d, KEY, KEY_EC256), "theirs");
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
	assert_string_equal(serial_in(d, "archive/a.test", KEY_EC256), "theirs");
}

static void conflicts_without_end_have_an_end(void **state)
{
	struct desk *d = *state;
	struct changing c = { .others = 100 };

	d->memory.before = somebody_is_first;
	assert_int_equal(run(d, &c), ERR_CONFLICT);
	assert_in_range(c.changes, 2, 10);
	assert_string_equal(serial_in(d, KEY, KEY_EC256), "theirs");
}

/* ---- damage ---- */

static void a_damaged_value_is_set_aside_and_made_anew(void **state)
{
	struct desk *d = *state;
	struct changing c = { 0 };

	assert_int_equal(desk_put(d, "archive/a.test", "the predecessor"), 0);
	assert_int_equal(desk_put(d, KEY, "{\"format\":1,"), 0);
	assert_int_equal(run(d, &c), 0);
	assert_int_equal(c.seen, 0);
	assert_int_equal(d->alarms, 1);
	assert_string_equal(d->alarm_key, KEY);
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
	assert_int_equal(desk_count(d, "damaged"), 1);
	assert_int_equal(desk_get(d, d->b->key), 0);
	assert_string_equal(d->value, "{\"format\":1,");
	/* What was good before it is still there. */
	assert_int_equal(desk_get(d, "archive/a.test"), 0);
	assert_string_equal(d->value, "the predecessor");
}

static acme_status no_room_for_damage(void *arg, const char *verb,
                                      const char *key)
{
	(void)arg;
	return !strcmp(verb, "put") && strncmp(key, "damaged/", 8) == 0
	               ? ACME_NOSPACE
	               : ACME_OK;
}

static void a_damaged_value_that_cannot_be_kept_is_not_overwritten(void **state)
{
	struct desk *d = *state;
	struct changing c = { 0 };

	memory_set(&d->memory, KEY, "junk", 4);
	d->memory.before = no_room_for_damage;
	assert_int_equal(run(d, &c), ERR_NOSPACE);
	assert_string_equal(memory_get(&d->memory, KEY), "junk");
	assert_int_equal(c.changes, 0);
}

/* While the copy of the junk is written, somebody puts something good. */
static acme_status somebody_mends_it(void *arg, const char *verb,
                                     const char *key)
{
	if (!strncmp(key, "damaged/", 8)) {
		struct changing *c = arg;
		c->others = 1;
		return somebody_is_first(arg, verb, KEY);
	}
	return ACME_OK;
}

static void what_replaced_the_damage_meanwhile_is_changed(void **state)
{
	struct desk *d = *state;
	struct changing c = { 0 };

	memory_set(&d->memory, KEY, "junk", 4);
	d->memory.before = somebody_mends_it;
	assert_int_equal(run(d, &c), 0);
	assert_int_equal(c.seen, 1);
	assert_string_equal(serial_in(d, KEY, KEY_EC256), "theirs");
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
}

static void a_record_of_another_name_counts_as_damaged(void **state)
{
	struct desk *d = *state;
	struct buf text = BUF_INIT(RECORD_MAX);
	struct changing c = { 0 };

	record_text("b.test", "theirs", &text);
	assert_int_equal(desk_put(d, KEY, text.ptr), 0);
	buf_free(&text);
	assert_int_equal(run(d, &c), 0);
	assert_int_equal(c.seen, 0);
	assert_string_equal(d->alarm.text, "is of certificate b.test");
	assert_int_equal(desk_count(d, "damaged"), 1);
}

/* ---- failures and cancellation at each call ---- */

struct nth {
	struct changing c;
	unsigned n;
};

static acme_status nth_fails(void *arg, const char *verb, const char *key)
{
	struct desk *d = ((struct changing *)arg)->d;
	(void)verb;
	(void)key;

	return d->memory.calls == ((struct nth *)arg)->n ? ACME_RETRY
	                                                 : ACME_OK;
}

static void a_failure_at_any_call_leaves_old_or_new(void **state)
{
	struct desk *d = *state;
	struct changing first = { .serial = "one" };

	assert_int_equal(run(d, &first), 0);
	for (unsigned n = 0; n < 3; n++) {
		struct nth nth = { .c = { .serial = "two" }, .n = n };
		d->memory.calls = 0;
		d->memory.before = nth_fails;
		assert_int_equal(run(d, &nth.c), ERR_RETRY);
		d->memory.before = NULL;
		assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
	}
}

/* The answer got lost, the value did not. */
static void a_lost_answer_leaves_the_new_value(void **state)
{
	struct desk *d = *state;
	struct nth nth = { .n = 2 };

	d->memory.calls = 0;
	d->memory.after = nth_fails;
	assert_int_equal(run(d, &nth.c), ERR_RETRY);
	d->memory.after = NULL;
	assert_string_equal(serial_in(d, KEY, KEY_EC384), "one");
}

static void a_change_may_be_canceled_at_any_turn(void **state)
{
	struct desk *d = *state;

	for (int turns = 0; turns < 12; turns++) {
		struct changing c = { .d = d, .serial = "one" };
		struct change *change_op =
			store_change(d->store, "a.test", change, ended, &c);
		for (int i = 0; i < turns && !c.ends; i++)
			loop_run_once(d->b->loop, 0);
		if (c.ends)
			continue;
		change_cancel(&change_op);
		assert_null(change_op);
		change_cancel(&change_op);
		desk_turns(d);
		assert_int_equal(c.ends, 0);
	}
}

int main(void)
{
#define MEMORY(test) \
	cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)
#define FILES(test)                                                            \
	{ #test " (file)", test, desk_setup_file, desk_teardown, NULL }
	const struct CMUnitTest tests[] = {
		MEMORY(the_first_change_makes_the_record),
		FILES(the_first_change_makes_the_record),
		MEMORY(the_predecessor_goes_to_the_archive),
		FILES(the_predecessor_goes_to_the_archive),
		MEMORY(what_is_refused_writes_nothing),
		MEMORY(a_conflict_begins_again_with_what_is_there),
		MEMORY(conflicts_without_end_have_an_end),
		MEMORY(a_damaged_value_is_set_aside_and_made_anew),
		FILES(a_damaged_value_is_set_aside_and_made_anew),
		MEMORY(a_damaged_value_that_cannot_be_kept_is_not_overwritten),
		MEMORY(what_replaced_the_damage_meanwhile_is_changed),
		MEMORY(a_record_of_another_name_counts_as_damaged),
		MEMORY(a_failure_at_any_call_leaves_old_or_new),
		MEMORY(a_lost_answer_leaves_the_new_value),
		MEMORY(a_change_may_be_canceled_at_any_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
