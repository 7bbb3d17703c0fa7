/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl revoke: tell the CA that a certificate must not be trusted. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "ctl/client.h"

/* RFC 5280 section 5.3.1; those that a subscriber may give. */
static const struct {
	const char *name;
	int code;
} REASONS[] = {
	{ "unspecified", 0 },          { "keyCompromise", 1 },
	{ "affiliationChanged", 3 },   { "superseded", 4 },
	{ "cessationOfOperation", 5 }, { "privilegeWithdrawn", 9 },
};

static int reason_code(const char *text)
{
	for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++)
		if (!strcasecmp(text, REASONS[i].name))
			return REASONS[i].code;
	return -1;
}

/* {"name"} or {"certificate"}; NULL with the reason said. */
static json_t *target(const struct ctl *ctl)
{
	struct buf pem = BUF_INIT(64 << 10);
	struct err e = { 0 };
	json_t *params = NULL;

	if (!ctl->cert)
		return json_pack("{s:s}", "name", ctl->argv[0]);
	if (file_read(ctl->cert, &pem, &e))
		ctl_say("%s", e.text);
	else if (!pem.ptr || !strstr(pem.ptr, "-----BEGIN CERTIFICATE-----"))
		ctl_say("%s: no certificate in PEM form", ctl->cert);
	else if (strstr(pem.ptr, "PRIVATE KEY"))
		ctl_say("%s: there is a private key in it; give the "
			"certificate alone",
			ctl->cert);
	else if (!(params = json_pack("{s:s}", "certificate", pem.ptr)))
		ctl_say("%s: not a text", ctl->cert);
	buf_free(&pem);
	return params;
}

static enum ctl_exit run(const struct ctl *ctl)
{
	int reason = ctl->reason ? reason_code(ctl->reason) : 0;
	json_t *params, *result, *item;
	size_t i;

	if ((ctl->argc == 1) == (ctl->cert != NULL)) {
		ctl_say("revoke: give a NAME or --cert FILE");
		return CTL_USAGE;
	}
	if (reason < 0) {
		ctl_say("'%s' is no reason; see acmectl revoke --help",
			ctl->reason);
		return CTL_USAGE;
	}
	if (!(params = target(ctl)))
		return CTL_FAILED;
	json_object_set_new(params, "reason", json_integer(reason));
	if (ctl->issuer)
		json_object_set_new(params, "issuer", json_string(ctl->issuer));
	enum ctl_exit rc = client_ask(ctl, "revoke", params, &result);
	if (rc)
		return rc;
	if (ctl->json)
		ctl_print_json(result);
	else
		json_array_foreach(json_object_get(result, "revoked"), i, item)
		    printf("revoked serial %s\n",
			   ctl_clean(json_string_value(item)));
	json_decref(result);
	return CTL_OK;
}

const struct subcommand REVOKE = {
	.name = "revoke",
	.args = "[NAME]",
	.most = 1,
	.options = "socket json cert reason issuer",
	.run = run,
	.help = "Revoke a certificate at its CA",
	.more = "Reasons: unspecified, keyCompromise, affiliationChanged, "
		"superseded,\ncessationOfOperation, privilegeWithdrawn.\n"
		"A configured certificate that was revoked is replaced by a "
		"new one with a new key.",
};
