/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks challenge-again of docs/plugin-abi.md: the second present fails. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	answer(self, op, s->count++ ? ACME_CONFLICT : ACME_OK);
}

WRONG_PLUGIN("present-once", present, right)
