/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl check: is the configuration right? Needs no agent. */
#include <stdio.h>

#include "conf/conf.h"
#include "ctl/ctl.h"

static void print_json(const char *path, const struct conf_errors *errors)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errors->count; i++)
		json_array_append_new(
		    list, json_pack("{s:s?,s:b}", "text", errors->items[i].text,
				    "warning", errors->items[i].warning));
	json_t *all = json_pack("{s:s,s:b,s:I,s:o}", "file", path, "ok",
				errors->errors == 0, "errors",
				(json_int_t)errors->errors, "messages", list);
	ctl_print_json(all);
	json_decref(all);
}

static enum ctl_exit run(const struct ctl *ctl)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct conf *conf;
	const char *path = ctl->argc ? ctl->argv[0] : CONF_PATH;
	int rc = conf_load(path, &conf, &errors);

	if (ctl->json) {
		print_json(path, &errors);
	} else {
		for (size_t i = 0; i < errors.count; i++)
			fprintf(stderr, "%s\n", errors.items[i].text);
		if (errors.more)
			fprintf(stderr, "and %zu more\n", errors.more);
		if (!rc)
			printf("%s: issuers: %zu, certificates: %zu; fine\n",
			       path, conf->issuer_count,
			       conf->certificate_count);
	}
	conf_unref(conf);
	conf_errors_free(&errors);
	return rc ? CTL_FAILED : CTL_OK;
}

const struct subcommand CHECK = {
	.name = "check",
	.args = "[FILE]",
	.most = 1,
	.options = "json",
	.run = run,
	.help = "Check the configuration; needs no agent",
	.more = "FILE is " CONF_PATH " when it is not named.\n"
		"What plugins think of their options is told by `acme-agent "
		"-t`, which loads them.",
};
