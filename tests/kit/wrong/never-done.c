/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks op-one-done of docs/plugin-abi.md: present never calls done. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)self;
	(void)op;
	(void)c;
}

WRONG_PLUGIN("never-done", present, right)
