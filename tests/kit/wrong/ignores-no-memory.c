/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-alive of docs/plugin-abi.md: alloc is believed to succeed. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;
	char *copy = s->host->alloc(op, c->token.len + 1);

	memcpy(copy, c->token.ptr, c->token.len);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("ignores-no-memory", present, right)
