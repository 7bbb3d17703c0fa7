/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-options of docs/plugin-abi.md: a secret is kept for the next call. */
#include "wrong.h"

static const acme_option TOKEN = {
	.size = sizeof TOKEN, .type = ACME_SECRET, .flags = ACME_REQUIRED,
	.name = "token", .help = "A secret.",
};
static const acme_option *const OPTIONS[] = { &TOKEN, NULL };

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	if (s->lent.ptr)
		s->count += *s->lent.ptr;
	s->lent = s->host->secret(op, "token");
	answer(self, op, ACME_OK);
}

WRONG_OPS(present, right)
WRONG_DESCRIPTOR("keeps-secret", .open = wrong_open, .close = wrong_close,
		 .options = OPTIONS, .challenge = &OPS)
