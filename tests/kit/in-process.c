/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in-process TAPE: the kit as docs/plugin-guide.md shows it, with the example
 * plugin linked into the test program; and a host that is driven by hand.
 */
#include <acme/kit.h>

#include <string.h>

static int by_hand(const kit_setup *setup, kit_report *r)
{
	acme_challenge c = kit_example(ACME_DNS_01);
	kit *k = kit_open(setup, r);
	kit_call *call;
	int ok;

	if (!k)
		return 0;
	call = kit_present(k, &c);
	ok = !kit_result_of(call)->done; /* not before a turn */
	kit_run(k);
	ok = ok && kit_result_of(call)->done &&
	     kit_result_of(call)->status == ACME_OK &&
	     !strcmp(kit_result_of(call)->cookie, "rec-1");
	kit_fail(k, KIT_FAIL_HTTP_403, 1);
	call = kit_present(k, &c);
	kit_run(k);
	ok = ok && kit_failed(k) &&
	     kit_result_of(call)->status == ACME_DENIED &&
	     !strcmp(kit_result_of(call)->text, "HTTP 403");
	kit_close(k);
	return ok;
}

int main(int argc, char **argv)
{
	kit_report *r = kit_report_new();
	kit_setup s = { .size = sizeof s };
	int ok;

	s.plugin = acme_plugin_v0();
	s.options = "url=https://api.example.net/v1/records\ntoken=4711";
	s.tape = argc > 1 ? argv[1] : NULL;
	kit_challenge_contract(&s, r);
	ok = by_hand(&s, r);
	if (!ok)
		puts("driven by hand it does something else");
	ok = kit_report_print(r, stdout) == 0 && ok;
	kit_report_free(r);
	return ok ? 0 : 1;
}
