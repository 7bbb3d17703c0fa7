/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks secret-cookie of docs/plugin-abi.md: the secret is the cookie. */
#include "wrong.h"

static const acme_option TOKEN = {
	.size = sizeof TOKEN, .type = ACME_SECRET, .flags = ACME_REQUIRED,
	.name = "token", .help = "A secret.",
};
static const acme_option *const OPTIONS[] = { &TOKEN, NULL };

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;
	acme_entry e = { .size = sizeof e };

	(void)c;
	e.value = s->host->secret(op, "token");
	s->host->emit(op, &e);
	answer(self, op, ACME_OK);
}

WRONG_OPS(present, right)
WRONG_DESCRIPTOR("secret-cookie", .open = wrong_open, .close = wrong_close,
		 .options = OPTIONS, .challenge = &OPS)
