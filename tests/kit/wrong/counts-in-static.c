/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-no-statics of docs/plugin-abi.md: a static counts the calls. */
#include "wrong.h"

static int calls;

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	calls++;
	answer(self, op, calls < 0 ? ACME_RETRY : ACME_OK);
}

WRONG_PLUGIN("counts-in-static", present, right)
