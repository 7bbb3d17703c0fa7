/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks thread-block of docs/plugin-abi.md: present sleeps on the loop. */
#include <unistd.h>

#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	usleep(60000);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("sleeps", present, right)
