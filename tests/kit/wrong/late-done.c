/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks op-deadline of docs/plugin-abi.md: a cancelled operation is answered, by the timer of the instance. */
#include "wrong.h"

static void later(void *self, acme_op op, void *arg)
{
	struct self *s = self;

	(void)op;
	(void)arg;
	if (s->kept.id)
		answer(self, s->kept, ACME_OK);
	s->kept.id = 0;
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	s->kept = op;
	s->host->after(s->root, 10, later, NULL);
}

WRONG_PLUGIN("late-done", present, right)
