/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl renew: replace a certificate before it is due. */
#include "ctl/outcome.h"

static enum ctl_exit run(const struct ctl *ctl)
{
	if ((ctl->argc == 1) == ctl->all) {
		ctl_say("renew: give a NAME or --all");
		return CTL_USAGE;
	}
	if (ctl->all)
		return outcome_ask(ctl, "renew", json_pack("{s:b}", "all", 1));
	return outcome_ask(ctl, "renew",
			   json_pack("{s:s}", "name", ctl->argv[0]));
}

const struct subcommand RENEW = {
	.name = "renew",
	.args = "[NAME]",
	.most = 1,
	.options = "socket json all no-wait",
	.run = run,
	.help = "Replace a certificate now, although it is valid",
	.more = "The old one serves until the new one is there. CAs limit how "
		"many certificates\nthey give for the same names.",
};
