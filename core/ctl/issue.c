/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl issue: try now what is missing or has failed. */
#include "ctl/outcome.h"

static enum ctl_exit run(const struct ctl *ctl)
{
	return outcome_ask(ctl, "issue",
			   json_pack("{s:s}", "name", ctl->argv[0]));
}

const struct subcommand ISSUE = {
	.name = "issue",
	.args = "NAME",
	.least = 1,
	.most = 1,
	.options = "socket json no-wait",
	.run = run,
	.help = "Obtain a configured certificate now, if it is missing",
	.more = "Forgets the waiting time after a failure. A certificate that "
		"is valid stays;\n`renew` replaces it.",
};
