/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of challenge plugins: present, present again, cleanup, cleanup
 * again, cleanup without a present; then both with each fault at each place.
 * With a tape the answers must be right as well; without one no provider is
 * there, and only what holds then is asked for.
 */
#include "inside.h"

#include <string.h>

struct run {
	const kit_setup *setup;
	kit_report *report;
	uint32_t type;
	char cookie[4200];
};

static acme_challenge challenge_of(struct run *run)
{
	acme_challenge c = kit_example(run->type);

	c.cookie = acme_text(run->cookie);
	return c;
}

static kit_call *present(kit *k, void *arg)
{
	struct run *run = arg;
	acme_challenge c;

	run->cookie[0] = '\0';
	c = challenge_of(run);
	return kit_present(k, &c);
}

static kit_call *cleanup(kit *k, void *arg)
{
	acme_challenge c = challenge_of(arg);

	return kit_cleanup(k, &c);
}

static void take_cookie(struct run *run, kit_call *call)
{
	snprintf(run->cookie, sizeof run->cookie, "%s",
		 kit_result_of(call)->cookie);
}

/* ---- as it should be ---- */

static void expect_ok(kit *k, kit_call *call, const char *rule,
		      const char *what)
{
	const kit_result *res = kit_result_of(call);
	bool provider = k->tape != NULL;

	/* without a provider nothing but "try again" can be expected */
	if (!provider && res->status == ACME_RETRY)
		return;
	if (res->status != ACME_OK)
		kit_found(k, rule, "%s was answered with status %u: %s", what,
			  res->status, res->text);
	else if (tape_left(k->tape))
		kit_found(k, "challenge-tape",
			  "%s: %zu requests of the tape were not made", what,
			  tape_left(k->tape));
}

static void expect_token(kit *k, const struct run *run, bool there)
{
	const char *have = kit_published(k, kit_example(run->type).token.ptr);

	if (run->type != ACME_HTTP_01)
		return;
	if (!there && have)
		kit_found(k, "challenge-cleanup",
			  "the token is still published after cleanup");
}

static void in_order(struct run *run)
{
	kit *k = kit_open(run->setup, run->report);
	kit_call *call;

	if (!k)
		return;
	call = present(k, run);
	kit_run(k);
	expect_ok(k, call, "challenge-ok", "present");
	take_cookie(run, call);
	if (kit_result_of(call)->status == ACME_OK) {
		acme_challenge c = challenge_of(run);
		c.cookie = acme_text("");
		call = kit_present(k, &c);
		kit_run(k);
		expect_ok(k, call, "challenge-again", "present again");
		if (*kit_result_of(call)->cookie)
			take_cookie(run, call);
	}
	call = cleanup(k, run);
	kit_run(k);
	expect_ok(k, call, "challenge-cleanup", "cleanup");
	expect_token(k, run, false);
	call = cleanup(k, run);
	kit_run(k);
	expect_ok(k, call, "challenge-cleanup", "cleanup again");
	kit_close(k);
}

/* After a crash of the agent: another instance, no present, no cookie. */
static void of_nothing(struct run *run)
{
	kit *k = kit_open(run->setup, run->report);

	if (!k)
		return;
	run->cookie[0] = '\0';
	k->failed = true; /* the tape does not speak of this */
	kit_call *call = cleanup(k, run);
	kit_run(k);
	const kit_result *res = kit_result_of(call);
	if (res->status != ACME_OK && res->status != ACME_RETRY)
		kit_found(k, "challenge-cleanup",
			  "cleanup of what was never presented: status %u: %s",
			  res->status, res->text);
	kit_close(k);
}

/* ---- with faults ---- */

static bool provider_failed(const kit *k)
{
	return k->tape && k->fail >= KIT_FAIL_HTTP &&
	       k->fail <= KIT_FAIL_HTTP_404 && tape_left(k->tape);
}

static void after_present(kit *k, kit_call *call, void *arg)
{
	struct run *run = arg;

	if (kit_result_of(call)->status == ACME_OK && provider_failed(k))
		kit_found(k, "challenge-ok",
			  "present says OK although the provider did not");
	take_cookie(run, call);
	call = cleanup(k, run);
	kit_run(k);
}

static void after_cleanup(kit *k, kit_call *call, void *arg)
{
	const kit_result *res = kit_result_of(call);
	bool gone = k->fail == KIT_FAIL_HTTP_404 && k->failed_delete;

	(void)arg;
	if (gone && res->status != ACME_OK)
		kit_found(k, "challenge-cleanup",
			  "cleanup of what is gone (404): status %u: %s",
			  res->status, res->text);
	if (k->fail != KIT_FAIL_HTTP_404 && provider_failed(k) &&
	    res->status == ACME_OK)
		kit_found(k, "challenge-ok",
			  "cleanup says OK although the provider did not");
}

static kit_call *present_first(kit *k, void *arg)
{
	kit_call *call = present(k, arg);

	kit_run(k);
	take_cookie(arg, call);
	return call;
}

static void sweep(struct run *run)
{
	struct sweep s = {
		.setup = run->setup,
		.report = run->report,
		.begin = present,
		.after = after_present,
		.arg = run,
	};

	sweep_run(&s);
	s.before = present_first;
	s.begin = cleanup;
	s.after = after_cleanup;
	sweep_run(&s);
}

size_t kit_challenge_contract(const kit_setup *setup, kit_report *r)
{
	static const uint32_t types[] = { ACME_HTTP_01, ACME_DNS_01 };
	size_t before = kit_report_count(r);

	if (kit_descriptor(setup->plugin, r) < 0)
		return kit_report_count(r) - before;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct run run = { .setup = setup, .report = r };
		run.type = types[i];
		if (!(setup->plugin->challenge->types & types[i]))
			continue;
		in_order(&run);
		of_nothing(&run);
		sweep(&run);
	}
	return kit_report_count(r) - before;
}

size_t kit_contract(const kit_setup *setup, kit_report *r)
{
	size_t before = kit_report_count(r);

	if (kit_descriptor(setup->plugin, r) < 0)
		return kit_report_count(r) - before;
	if (setup->plugin->challenge)
		kit_challenge_contract(setup, r);
	if (setup->plugin->storage)
		kit_storage_contract(setup, r);
	return kit_report_count(r) - before;
}
