/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-arguments of docs/plugin-abi.md: the token is read after present has returned. */
#include "wrong.h"

static void later(void *self, acme_op op, void *arg)
{
	struct self *s = self;

	(void)arg;
	answer(self, op, *s->lent.ptr ? ACME_OK : ACME_RETRY);
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	s->lent = c->token;
	s->host->after(op, 10, later, NULL);
}

WRONG_PLUGIN("keeps-argument", present, right)
