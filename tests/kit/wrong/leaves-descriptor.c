/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-descriptors of docs/plugin-abi.md: a descriptor is left open. */
#include <fcntl.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	if (!s->count++)
		s->count += open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0;
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("leaves-descriptor", present, right)
