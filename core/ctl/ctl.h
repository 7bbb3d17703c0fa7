/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

enum { CTL_WORDS = 64 };

/* An option that was given several times. */
struct ctl_words {
	const char *items[CTL_WORDS];
	size_t count;
};

/* What the command line said; each subcommand takes the options it names. */
struct ctl {
	const char *socket; /* --socket, $ACME_AGENT_SOCKET, or the default */
	const char *cert;   /* --cert */
	const char *reason; /* --reason */
	const char *issuer; /* --issuer */
	bool json;          /* --json */
	bool all;           /* --all */
	bool no_wait;       /* --no-wait */
	bool names;         /* --names */
	const char *tape;   /* --tape */
	struct ctl_words plugin_options; /* --option ... */
	int argc;           /* what is no option */
	char **argv;
};

/* Exit codes; acmectl(1) lists them. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
};

struct subcommand {
	const char *name;
	const char *args;    /* "NAME", "[NAME]", "" */
	int least, most;     /* how many of them */
	const char *options; /* blank-separated */
	enum ctl_exit (*run)(const struct ctl *ctl);
	const char *help; /* one line; NULL: hidden */
	const char *more; /* for --help, may be NULL */
};

extern const struct subcommand CHECK, CONFIG_DOC, ISSUE, PLUGIN, PLUGINS, RELOAD,
    RENEW, REVOKE, SEGMENT, STATUS, WATCH;

/* "acmectl: ..." on stderr. */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for an error, with the CA's problem; the exit code that fits. */
enum ctl_exit ctl_fail(const struct err *e);
/* One line of JSON on stdout. */
void ctl_print_json(const json_t *value);
/* Foreign text for a terminal: control characters become '?'. In a buffer that
 * the next but three calls reuse. NULL becomes "-". */
const char *ctl_clean(const char *text);
