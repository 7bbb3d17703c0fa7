/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks challenge-cleanup of docs/plugin-abi.md: cleanup does not withdraw the token. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	s->host->publish(op, ACME_PUBLISH_TOKEN, c->token,
			 c->key_authorization);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("leaves-token", present, right)
