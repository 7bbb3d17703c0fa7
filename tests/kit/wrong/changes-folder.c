/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-state of docs/plugin-abi.md: the working directory changes. */
#include <unistd.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, chdir("/") == 0 ? ACME_OK : ACME_RETRY);
}

WRONG_PLUGIN("changes-folder", present, right)
