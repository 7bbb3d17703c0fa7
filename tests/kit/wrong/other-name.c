/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks load-name of docs/plugin-abi.md: the file is called otherwise. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("another-name", present, right)
