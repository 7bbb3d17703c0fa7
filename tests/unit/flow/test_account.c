/* SPDX-License-Identifier: Apache-2.0 */
/* The account: found or made, brought up to date, lost and found again. */
#include "fixture.h"

/* A fresh agent over the same storage. */
static void restart(struct flows *f)
{
	flows_end_ca(f);
	flows_make_ca(f);
}

static const char *account_key_of(struct flows *f)
{
	const char *key = NULL;

	assert_int_equal(memory_count(&f->d->memory, "accounts/", &key), 1);
	return key;
}

static struct account_record stored(struct flows *f)
{
	struct account_record r;
	struct err e;

	assert_int_equal(account_record_read(
				 str_of(memory_get(&f->d->memory,
	                                           account_key_of(f))),
				 &r, &e),
	                 0);
	return r;
}

static void a_new_account_is_made_and_kept(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	assert_true(f->fake->last_had_jwk);
	assert_non_null(strstr(f->fake->last_payload,
	                       "\"mailto:admin@example.com\""));
	assert_non_null(strstr(f->fake->last_payload,
	                       "\"termsOfServiceAgreed\":true"));
	struct account_record r = stored(f);
	assert_string_equal(r.url, ca_kid(f->ca));
	assert_true(r.terms_agreed);
	account_record_free(&r);
	flows_logged(f, "account key->register");
	flows_logged(f, "account update->ready");
}

static void an_account_of_before_is_used_without_a_word(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	char *kid = mem_strdup(ca_kid(f->ca));
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_string_equal(ca_kid(f->ca), kid);
	assert_int_equal(f->fake->count[FAKE_NEW_ACCOUNT], 1);
	assert_int_equal(f->fake->count[FAKE_ACCOUNT], 0);
	free(kid);
}

static void other_contacts_are_told_to_the_ca(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	names_free(&f->account_spec.contacts);
	names_add(&f->account_spec.contacts, "mailto:new@example.com");
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->fake->count[FAKE_ACCOUNT], 1);
	assert_non_null(strstr(f->fake->last_payload, "new@example.com"));
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->fake->count[FAKE_ACCOUNT], 1);
}

static bool no_key_yet;

static void key_is_stored_already(void *arg, enum fake_place place, int id)
{
	struct flows *f = arg;
	(void)id;

	if (place == FAKE_NEW_ACCOUNT)
		no_key_yet = memory_count(&f->d->memory, "accounts/", NULL) == 0;
}

static void the_key_is_kept_before_the_ca_hears_of_it(void **state)
{
	struct flows *f = *state;

	no_key_yet = true;
	f->fake->heard = key_is_stored_already;
	f->fake->arg = f;
	assert_int_equal(flows_register(f), 0);
	assert_false(no_key_yet);
}

/* As after a crash between newAccount and the save. */
static void an_account_whose_url_got_lost_is_found_by_its_key(void **state)
{
	struct flows *f = *state;
	struct buf text = BUF_INIT(RECORD_MAX);

	assert_int_equal(flows_register(f), 0);
	char *kid = mem_strdup(ca_kid(f->ca));
	struct account_record r = stored(f);
	free(r.url);
	r.url = NULL;
	account_record_write(&r, &text);
	account_record_free(&r);
	memory_set(&f->d->memory, account_key_of(f), text.ptr, text.len);
	buf_free(&text);
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_string_equal(ca_kid(f->ca), kid);
	r = stored(f);
	assert_string_equal(r.url, kid);
	account_record_free(&r);
	free(kid);
}

static void an_account_that_the_ca_forgot_is_made_anew(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	fake_forget(f->fake);
	account_forget(f->account);
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ACCOUNT], 2);
	fake_forget(f->fake); /* and where only an update tells it */
	names_free(&f->account_spec.contacts);
	names_add(&f->account_spec.contacts, "mailto:new@example.com");
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ACCOUNT], 3);
	flows_logged(f, "fault state=update");
}

/* ---- refusals ---- */

static void terms_that_nobody_agreed_to_are_named(void **state)
{
	struct flows *f = *state;

	f->fake->terms = "https://ca.test/terms";
	f->account_spec.terms_agreed = false;
	restart(f);
	flows_register(f);
	flows_failed_with(f, ERR_DENIED, "agree first");
	flows_failed_with(f, ERR_DENIED, "accept_terms = yes");
	flows_failed_with(f, ERR_DENIED, "https://ca.test/terms");
	assert_string_equal(f->e.problem,
	                    "urn:ietf:params:acme:error:userActionRequired");
}

/* A CA that is down is down, whatever its terms. */
static void terms_are_not_blamed_for_what_may_pass(void **state)
{
	struct flows *f = *state;

	f->fake->terms = "https://ca.test/terms";
	f->account_spec.terms_agreed = false;
	restart(f);
	fake_say(f->fake, FAKE_NEW_ACCOUNT, -1, 503, "Retry-After: 3600\r\n",
	         "");
	flows_register(f);
	flows_failed_with(f, ERR_RETRY, "HTTP 503");
	assert_true(f->e.retry_at > now_wall() + 3000000);
}

static void an_account_that_is_deactivated_is_refused(void **state)
{
	struct flows *f = *state;

	fake_say(f->fake, FAKE_NEW_ACCOUNT, 1, 200,
	         "Location: https://ca.test/1\r\n",
	         "{\"status\":\"deactivated\"}");
	flows_register(f);
	flows_failed_with(f, ERR_DENIED, "the account is deactivated");
	assert_null(ca_kid(f->ca));
}

static void an_answer_that_is_no_account_is_refused(void **state)
{
	static const struct {
		const char *headers, *body;
		enum err_code code;
		const char *words;
	} cases[] = {
		{ "", "{\"status\":\"valid\"}", ERR_BROKEN, "without Location" },
		{ "Location: ftp://x/\r\n", "{\"status\":\"valid\"}",
		  ERR_INVALID, "Location" },
		{ "Location: https://ca.test/1\r\n", "<html>", ERR_BROKEN,
		  "not an account" },
		{ "Location: https://ca.test/1\r\n", "{\"status\":7}",
		  ERR_BROKEN, "status" },
	};
	struct flows *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fake_say(f->fake, FAKE_NEW_ACCOUNT, 1, 201, cases[i].headers,
		         cases[i].body);
		flows_register(f);
		flows_failed_with(f, cases[i].code, cases[i].words);
		assert_non_null(strstr(f->e.text, "account: register"));
	}
	assert_int_equal(flows_register(f), 0);
}

/* ---- storage ---- */

static void a_damaged_account_is_set_aside_and_made_anew(void **state)
{
	struct flows *f = *state;
	const char *damaged;

	assert_int_equal(flows_register(f), 0);
	memory_set(&f->d->memory, account_key_of(f), "junk", 4);
	restart(f);
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->d->alarms, 1);
	assert_int_equal(memory_count(&f->d->memory, "damaged/", &damaged), 1);
	assert_string_equal(memory_get(&f->d->memory, damaged), "junk");
	struct account_record r = stored(f);
	account_record_free(&r);
}

static acme_status full(void *arg, const char *verb, const char *key)
{
	(void)arg;
	(void)key;
	return strcmp(verb, "put") ? ACME_OK : ACME_NOSPACE;
}

static void a_damaged_account_is_not_lost_to_a_full_disk(void **state)
{
	struct flows *f = *state;

	assert_int_equal(flows_register(f), 0);
	memory_set(&f->d->memory, account_key_of(f), "junk", 4);
	restart(f);
	f->d->memory.before = full;
	flows_register(f);
	flows_failed_with(f, ERR_NOSPACE, "account: load");
	assert_string_equal(memory_get(&f->d->memory, account_key_of(f)),
	                    "junk");
	f->d->memory.before = NULL;
	assert_int_equal(flows_register(f), 0);
}

static void a_full_disk_costs_no_account(void **state)
{
	struct flows *f = *state;

	f->d->memory.before = full;
	flows_register(f);
	flows_failed_with(f, ERR_NOSPACE, "storage memory");
	assert_int_equal(f->fake->count[FAKE_NEW_ACCOUNT], 0);
	f->d->memory.before = NULL;
	assert_int_equal(flows_register(f), 0);
	assert_int_equal(f->fake->count[FAKE_NEW_ACCOUNT], 1);
	struct account_record r = stored(f);
	assert_string_equal(r.url, ca_kid(f->ca));
	account_record_free(&r);
}

/* ---- ends ---- */

static void an_account_may_end_at_any_turn(void **state)
{
	struct flows *f = *state;

	for (int turns = 0; turns < 60; turns++) {
		const char *key;
		account_start(f->account, flows_ended, f);
		for (int i = 0; i < turns && !f->ends; i++)
			loop_run_once(f->d->b->loop, 1);
		f->ends = 0;
		restart(f);
		flows_turns(f, 2);
		assert_int_equal(f->ends, 0);
		if (turns % 3 == 0 &&
		    memory_count(&f->d->memory, "accounts/", &key))
			memory_del(&f->d->memory, key);
	}
}

int main(void)
{
#define T(test) \
	cmocka_unit_test_setup_teardown(test, flows_setup, flows_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_account_is_made_and_kept),
		T(an_account_of_before_is_used_without_a_word),
		T(other_contacts_are_told_to_the_ca),
		T(the_key_is_kept_before_the_ca_hears_of_it),
		T(an_account_whose_url_got_lost_is_found_by_its_key),
		T(an_account_that_the_ca_forgot_is_made_anew),
		T(terms_that_nobody_agreed_to_are_named),
		T(terms_are_not_blamed_for_what_may_pass),
		T(an_account_that_is_deactivated_is_refused),
		T(an_answer_that_is_no_account_is_refused),
		T(a_damaged_account_is_set_aside_and_made_anew),
		T(a_damaged_account_is_not_lost_to_a_full_disk),
		T(a_full_disk_costs_no_account),
		T(an_account_may_end_at_any_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
