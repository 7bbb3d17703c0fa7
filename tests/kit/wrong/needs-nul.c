/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-arguments of docs/plugin-abi.md: the token is taken for a text with a NUL. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	s->count = (int)strlen(c->token.ptr);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("needs-nul", present, right)
