/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-callback of docs/plugin-abi.md: an HTTP answer is read after the callback. */
#include "wrong.h"

static void later(void *self, acme_op op, void *arg)
{
	struct self *s = self;

	(void)arg;
	answer(self, op, s->answer->code == 200 ? ACME_OK : ACME_RETRY);
}

static void on_answer(void *self, acme_op op, void *arg,
		      const acme_http_response *res)
{
	struct self *s = self;

	(void)arg;
	s->answer = res;
	s->host->after(op, 10, later, NULL);
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	wrong_ask(self, op, "POST", on_answer);
}

WRONG_PLUGIN("keeps-answer", present, right)
