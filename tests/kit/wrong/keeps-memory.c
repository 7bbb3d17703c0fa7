/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-alloc of docs/plugin-abi.md: memory of an operation is used after its end. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	if (s->memory)
		memset(s->memory, 1, 16);
	s->memory = s->host->alloc(op, 16);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("keeps-memory", present, right)
