/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl plugins: what was found in the plugin folder, and what was not taken
 * and why. */
#include <stdio.h>

#include "ctl/client.h"

static const char *text_of(const json_t *object, const char *key)
{
	return ctl_clean(json_string_value(json_object_get(object, key)));
}

static enum ctl_exit run(const struct ctl *ctl)
{
	json_t *result, *item;
	size_t i;
	enum ctl_exit rc = client_ask(ctl, "plugins", NULL, &result);

	if (rc)
		return rc;
	if (ctl->json)
		ctl_print_json(result);
	else
		json_array_foreach(json_object_get(result, "plugins"), i, item)
		{
			printf("%-16s %-10s %-8s %s\n", text_of(item, "name"),
			       text_of(item, "kind"), text_of(item, "version"),
			       text_of(item, "file"));
			if (json_object_get(item, "error"))
				printf("  refused: %s\n",
				       text_of(item, "error"));
		}
	json_decref(result);
	return CTL_OK;
}

const struct subcommand PLUGINS = {
	.name = "plugins",
	.args = "",
	.options = "socket json",
	.run = run,
	.help = "List the plugins that the agent found",
};
