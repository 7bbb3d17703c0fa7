/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-children of docs/plugin-abi.md: a child process is left behind. */
#include <unistd.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	if (!s->count++ && fork() == 0) {
		pause();
		_exit(0);
	}
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("leaves-child", present, right)
