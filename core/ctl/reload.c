/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl reload: the configuration anew, whole or not at all. */
#include <stdio.h>

#include "ctl/client.h"

static enum ctl_exit run(const struct ctl *ctl)
{
	json_t *result, *item;
	size_t i;
	enum ctl_exit rc = client_ask(ctl, "reload", NULL, &result);

	if (rc)
		return rc;
	if (ctl->json) {
		ctl_print_json(result);
	} else {
		json_array_foreach(json_object_get(result, "warnings"), i, item)
		    ctl_say("%s", ctl_clean(json_string_value(item)));
		puts("configuration reloaded");
	}
	json_decref(result);
	return CTL_OK;
}

const struct subcommand RELOAD = {
	.name = "reload",
	.args = "",
	.options = "socket json",
	.run = run,
	.help = "Make the agent read its configuration again",
	.more = "A configuration with an error is refused; the running one "
		"stays.",
};
