/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks version-minor of docs/plugin-abi.md: it needs an agent that does not exist yet. */
#include "wrong.h"

static void present(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
}

WRONG_OPS(present, right)

static const acme_plugin PLUGIN = {
	.size = sizeof PLUGIN,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 999,
	.name = "newer",
	.version = "1",
	.about = "Wrong in one way.",
	.open = wrong_open,
	.close = wrong_close,
	.challenge = &OPS,
};

const acme_plugin *acme_plugin_v0(void)
{
	return &PLUGIN;
}
