/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks op-handle of docs/plugin-abi.md: an operation that has ended is used again. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	if (s->kept.id)
		s->host->alloc(s->kept, 16);
	s->kept = op;
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("late-call", present, right)
