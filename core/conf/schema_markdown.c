/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/config.md, printed from the schema. The file is checked in, and a test
 * compares it with what this prints, so it cannot go stale.
 */
#include "conf/schema.h"

static const char INTRO[] =
    "# Configuration\n"
    "\n"
    "<!-- Made from core/conf/schema.c by `acmectl config-doc`; edit there. "
    "-->\n"
    "\n"
    "The agent reads `/etc/acme-agent/acme-agent.ini` (or what `-c` names) "
    "and,\n"
    "sorted by name, all `conf.d/*.ini` beside it; hidden files and other "
    "endings\n"
    "are left alone. It does not matter which section stands in which file.\n"
    "`acmectl check` finds mistakes, `acmectl reload` makes changes so: all of "
    "them,\n"
    "or, when something is wrong anywhere, none.\n"
    "\n"
    "## How to write it\n"
    "\n"
    "    ; a comment\n"
    "    # also one\n"
    "    [certificate example.com]        ; a section: its kind, its name\n"
    "    names = example.com,\n"
    "            www.example.com          ; a list goes on behind a comma\n"
    "    renew = 30d\n"
    "\n"
    "- A value ends at the end of its line or in front of ` ;`. In double "
    "quotes it\n"
    "  is taken as it stands, and may be empty or contain ` ;`.\n"
    "- Lists are separated by commas. Durations are `30s`, `5m`, `12h`, "
    "`90d`;\n"
    "  switches are `yes`, `no`, `on`, `off`, `true`, `false`. Paths are "
    "absolute.\n"
    "- A secret of a plugin is best written as `file:/path`, `env:NAME` or\n"
    "  `credential:NAME` (of systemd), so that it does not stand here.\n"
    "- A section or a key may stand once. Unknown ones are errors.\n"
    "- Files are UTF-8. A line holds 64 KiB, a file 16 MiB, a list 1000 "
    "items.\n";

static const char *const TYPE[] = {
	[SCHEMA_WORD] = "word",      [SCHEMA_BOOL] = "yes or no",
	[SCHEMA_COUNT] = "number",   [SCHEMA_DURATION] = "duration",
	[SCHEMA_RENEW] = "time",     [SCHEMA_PATH] = "path",
	[SCHEMA_URL] = "URL",        [SCHEMA_NAME] = "name",
	[SCHEMA_KEY] = "key type",   [SCHEMA_PATTERN] = "pattern",
	[SCHEMA_HOST] = "host name", [SCHEMA_CONTACT] = "address",
};

static void print_default(struct buf *out, const struct schema_key *k)
{
	if (k->flags & SCHEMA_REQUIRED)
		buf_adds(out, "required");
	else if (!strcmp(k->name, "plugin_dir"))
		buf_adds(out, "where they were installed");
	else if (k->fallback && *k->fallback)
		buf_addf(out, "`%s`", k->fallback);
}

static void print_key(struct buf *out, const struct schema_key *k)
{
	buf_addf(out, "| `%s` | ", k->name);
	if (k->type == SCHEMA_WORD) {
		for (const char *p = k->choices; *p; p++)
			*p == ' ' ? buf_adds(out, ", ") : buf_addc(out, *p);
	} else {
		buf_adds(out, TYPE[k->type]);
	}
	if (k->type == SCHEMA_COUNT)
		buf_addf(out, ", %lld to %lld", (long long)k->min,
			 (long long)k->max);
	buf_adds(out, k->flags & SCHEMA_LIST ? ", list | " : " | ");
	print_default(out, k);
	buf_addf(out, " | %s |\n", k->help);
}

void schema_markdown(struct buf *out)
{
	static const char *const NAME[] = { "", " [NAME]", " NAME" };

	buf_adds(out, INTRO);
	for (size_t i = 0; i < SCHEMA_KINDS; i++) {
		const struct schema_section *s = &SCHEMA[i];
		buf_addf(out, "\n## `[%s%s]`\n\n%s\n\n", s->name,
			 NAME[s->named], s->help);
		buf_adds(out, "| key | value | default | meaning |\n"
			      "| --- | --- | --- | --- |\n");
		for (size_t j = 0; j < s->count; j++)
			print_key(out, &s->keys[j]);
	}
}
