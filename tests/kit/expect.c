/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expect RULE FILE [TAPE [OPTION=VALUE ...]]: runs the kit on a plugin and holds
 * what it finds against what it should: "nothing", or the rule that this plugin
 * was written to break. A plugin that is wrong in one way may be found in
 * several, but the rule's name must be among them.
 */
#include <acme/kit.h>

#include <string.h>

static int judge(const kit_report *r, const char *rule)
{
	int ok = strcmp(rule, "nothing") ? kit_report_has(r, rule)
					 : kit_report_count(r) == 0;

	kit_report_print(r, stdout);
	if (!ok)
		printf("should have found: %s\n", rule);
	return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
	kit_check check = { .size = sizeof check, .limit_s = 60 };
	char options[4096] = "";
	kit_report *r;
	int rc;

	if (argc < 3)
		return 2;
	check.path = argv[2];
	check.out = stdout;
	check.tape = argc > 3 && *argv[3] ? argv[3] : NULL;
	for (int i = 4; i < argc; i++) {
		size_t len = strlen(options);
		snprintf(options + len, sizeof options - len, "%s\n", argv[i]);
	}
	check.options = options;
	if (!strcmp(argv[1], "thread-block"))
		check.limit_s = 5; /* one of them never comes back */
	r = kit_report_new();
	rc = kit_check_file(&check, r) < 0 ? 2 : judge(r, argv[1]);
	kit_report_free(r);
	return rc;
}
