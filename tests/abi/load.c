/* SPDX-License-Identifier: Apache-2.0 */
/* load FOLDER NAME: can the agent load this plugin? */
#include <stdio.h>
#include <unistd.h>

#include "loop/loop.h"
#include "plugin/plugin.h"

int main(int argc, char **argv)
{
	struct plugins_setup setup = { .owner = getuid() };
	const struct plugin *plugin;
	struct err e;

	if (argc != 3)
		return 2;
	setup.loop = loop_new();
	setup.dir = argv[1];
	struct plugins *plugins = plugins_new(&setup);
	int rc = plugins_find(plugins, argv[2], &plugin, &e);
	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
	else
		printf("%s %s: %s\n", plugin->name, plugin->version,
		       plugin->about);
	plugins_free(plugins);
	loop_free(setup.loop);
	return rc < 0;
}
