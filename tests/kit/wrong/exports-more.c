/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks load-alone of docs/plugin-abi.md: more than the entry is exported. */
#include "wrong.h"

ACME_EXPORT int helper_of_everybody(void);

int helper_of_everybody(void)
{
	return 1;
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("exports-more", present, right)
