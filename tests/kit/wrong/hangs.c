/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks thread-block of docs/plugin-abi.md: present waits for ever. */
#include <unistd.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)self;
	(void)op;
	(void)c;
	for (;;)
		pause();
}

WRONG_PLUGIN("hangs", present, right)
