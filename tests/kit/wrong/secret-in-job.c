/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks thread-two of docs/plugin-abi.md: a job reads an option. */
#include "wrong.h"

static void job(acme_op op, void *arg)
{
	struct self *s = arg;

	s->count = (int)s->host->option_str(op, "none").len;
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

WRONG_PLUGIN("secret-in-job", present, right)
