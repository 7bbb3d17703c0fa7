/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acmectl plugin check: a plugin before it is installed, in the host of the test
 * kit. What it says of itself goes to stdout, and so does what was found.
 */
#include <acme/kit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/ctl.h"

/* "name=value" lines, to free. */
static char *lines(const struct ctl_words *words)
{
	size_t size = 1;

	for (size_t i = 0; i < words->count; i++)
		size += strlen(words->items[i]) + 1;
	char *out = mem_array(size, 1), *at = out;
	for (size_t i = 0; i < words->count; i++)
		at += snprintf(at, size - (size_t)(at - out), "%s\n",
			       words->items[i]);
	return out;
}

static enum ctl_exit check(const struct ctl *ctl, const char *path)
{
	kit_report *report = kit_report_new();
	char *options = lines(&ctl->plugin_options);
	kit_check setup = {
		.size = sizeof setup,
		.path = path,
		.options = options,
		.tape = ctl->tape,
		.out = stdout,
	};
	int count = kit_check_file(&setup, report);

	if (count < 0)
		ctl_say("%s: %s", path, strerror(errno));
	else if (count == 0)
		puts("nothing was found");
	else
		kit_report_print(report, stdout);
	kit_report_free(report);
	free(options);
	return count == 0 ? CTL_OK : CTL_FAILED;
}

static enum ctl_exit run(const struct ctl *ctl)
{
	if (!strcmp(ctl->argv[0], "check"))
		return check(ctl, ctl->argv[1]);
	ctl_say("plugin '%s': there is only 'check'", ctl->argv[0]);
	return CTL_USAGE;
}

const struct subcommand PLUGIN = {
	.name = "plugin",
	.args = "check FILE",
	.least = 2,
	.most = 2,
	.options = "option tape",
	.run = run,
	.help = "Test a plugin in a host without an agent",
	.more = "Each finding begins with the name of its rule in "
		"docs/plugin-abi.md.\nThe plugin runs in a child process, for "
		"one minute at most.",
};
