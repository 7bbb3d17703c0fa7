/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks version-unknown of docs/plugin-abi.md: done with a status that does not exist. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, (acme_status)42);
}

WRONG_PLUGIN("odd-status", present, right)
