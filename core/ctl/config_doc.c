/* SPDX-License-Identifier: Apache-2.0 */
/* acmectl config-doc: prints docs/config.md; a test compares the two. */
#include <stdio.h>

#include "base/buf.h"
#include "conf/schema.h"
#include "ctl/ctl.h"

static enum ctl_exit run(const struct ctl *ctl)
{
	struct buf text = BUF_INIT(1 << 20);

	(void)ctl;
	schema_markdown(&text);
	fwrite(text.ptr, 1, text.len, stdout);
	buf_free(&text);
	return CTL_OK;
}

const struct subcommand CONFIG_DOC = {
	.name = "config-doc",
	.args = "",
	.options = "",
	.run = run,
};
