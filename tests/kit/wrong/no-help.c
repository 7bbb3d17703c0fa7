/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks descriptor-options of docs/plugin-abi.md: an option has no help. */
#include "wrong.h"

static const acme_option FOLDER = {
	.size = sizeof FOLDER, .type = ACME_STR, .name = "folder",
};
static const acme_option *const OPTIONS[] = { &FOLDER, NULL };

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
}

WRONG_OPS(present, right)
WRONG_DESCRIPTOR("no-help", .open = wrong_open, .close = wrong_close,
		 .options = OPTIONS, .challenge = &OPS)
