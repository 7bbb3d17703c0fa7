/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks thread-two of docs/plugin-abi.md: a job answers its operation itself. */
#include "wrong.h"

static void job(acme_op op, void *arg)
{
	answer(arg, op, ACME_OK);
}

static void then(void *self, acme_op op, void *arg)
{
	(void)arg;
	answer(self, op, ACME_OK);
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	s->host->work(op, job, then, s);
}

WRONG_PLUGIN("done-in-job", present, right)
