/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks publish-own of docs/plugin-abi.md: another token than its own is published. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	s->host->publish(op, ACME_PUBLISH_TOKEN, acme_text("of-somebody-else"),
			 c->key_authorization);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("foreign-token", present, right)
