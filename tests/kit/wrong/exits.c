/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-alive of docs/plugin-abi.md: exit is called when nothing works. */
#include <unistd.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)self;
	(void)op;
	(void)c;
	_exit(3);
}

WRONG_PLUGIN("exits", present, right)
