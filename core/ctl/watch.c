/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl watch: what happens, as it happens, until interrupted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/client.h"

/* "2026-11-21T19:36:09.123Z issued name=example.com" */
static void print_event(const json_t *event)
{
	const char *key;
	json_t *value;

	printf("%s %s",
	       ctl_clean(json_string_value(json_object_get(event, "at"))),
	       ctl_clean(json_string_value(json_object_get(event, "event"))));
	json_object_foreach((json_t *)event, key, value)
	{
		if (!strcmp(key, "at") || !strcmp(key, "event"))
			continue;
		char *text =
		    json_is_string(value)
			? NULL
			: json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		printf(" %s=%s", ctl_clean(key),
		       ctl_clean(text ? text : json_string_value(value)));
		free(text);
	}
	putchar('\n');
}

static enum ctl_exit follow(const struct ctl *ctl, struct client *client)
{
	struct err e = { 0 };
	json_t *event;

	while (!client_next(client, &event, &e)) {
		if (!json_object_get(event, "event"))
			; /* not for us */
		else if (ctl->json)
			ctl_print_json(event);
		else
			print_event(event);
		json_decref(event);
		if (fflush(stdout) == EOF)
			return CTL_OK; /* the reader of a pipe has gone */
	}
	ctl_say("the agent has gone");
	return CTL_UNREACHABLE;
}

static enum ctl_exit run(const struct ctl *ctl)
{
	struct client *client;
	struct err e = { 0 };
	json_t *result;
	enum ctl_exit rc;

	if (client_open(&client, ctl->socket, &e)) {
		ctl_say("%s", e.text);
		return CTL_UNREACHABLE;
	}
	if (client_call(client, "watch", NULL, &result, &e))
		rc = ctl_fail(&e);
	else
		rc = follow(ctl, client);
	json_decref(result);
	client_close(client);
	return rc;
}

const struct subcommand WATCH = {
	.name = "watch",
	.args = "",
	.options = "socket json",
	.run = run,
	.help = "Print events as they happen",
};
