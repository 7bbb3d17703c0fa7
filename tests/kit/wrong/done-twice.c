/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks op-one-done of docs/plugin-abi.md: present calls done twice. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("done-twice", present, right)
