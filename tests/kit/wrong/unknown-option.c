/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks own-schema of docs/plugin-abi.md: an option is read that is not in the schema. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;

	(void)c;
	s->count = s->host->option_bool(op, "dry_run");
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("unknown-option", present, right)
