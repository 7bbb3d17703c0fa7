/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks op-cookie of docs/plugin-abi.md: a cookie of 5,000 bytes. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	static const char large[5000];
	struct self *s = self;
	acme_entry e = { .size = sizeof e };

	(void)c;
	e.value.ptr = large;
	e.value.len = sizeof large;
	s->host->emit(op, &e);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("large-cookie", present, right)
