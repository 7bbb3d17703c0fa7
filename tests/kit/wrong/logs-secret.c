/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks secret-log of docs/plugin-abi.md: the secret is in the log. */
#include "wrong.h"

static const acme_option TOKEN = {
	.size = sizeof TOKEN, .type = ACME_SECRET, .flags = ACME_REQUIRED,
	.name = "token", .help = "A secret.",
};
static const acme_option *const OPTIONS[] = { &TOKEN, NULL };

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;
	acme_str token = s->host->secret(op, "token");

	(void)c;
	acme_logf(s->host, op, ACME_LOG_DEBUG, "token %.*s", ACME_ARG(token));
	answer(self, op, ACME_OK);
}

WRONG_OPS(present, right)
WRONG_DESCRIPTOR("logs-secret", .open = wrong_open, .close = wrong_close,
		 .options = OPTIONS, .challenge = &OPS)
