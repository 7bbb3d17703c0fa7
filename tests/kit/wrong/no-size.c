/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks version-size of docs/plugin-abi.md: an entry does not say its size. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;
	acme_entry e = { .size = 0 };

	(void)c;
	s->host->emit(op, &e);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("no-size", present, right)
