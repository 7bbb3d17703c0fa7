/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acmectl: the operator's tool. A table of subcommands, each in a file of its
 * own; a table of options, of which each subcommand takes some. What a person
 * should read goes to stdout, what went wrong to stderr, and the exit code says
 * which of the two it was.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "conf/conf.h"
#include "ctl/ctl.h"

static const struct subcommand *const COMMANDS[] = {
	&STATUS, &ISSUE,   &RENEW, &REVOKE,  &RELOAD,
	&CHECK,  &PLUGINS, &PLUGIN, &WATCH, &SEGMENT, &CONFIG_DOC,
};

enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

struct ctl_option {
	const char *name;
	char letter; /* 0: none */
	const char *arg;
	size_t offset; /* of a bool, or of a const char * if there is `arg` */
	const char *help;
};

#define AT(member) offsetof(struct ctl, member)

/* clang-format off */
static const struct ctl_option OPTIONS[] = {
	{ "socket",  's', "PATH",   AT(socket),  "the agent's control socket" },
	{ "cert",     0,  "FILE",   AT(cert),    "a certificate as PEM" },
	{ "reason",   0,  "REASON", AT(reason),  "unspecified, keyCompromise, superseded, cessationOfOperation ..." },
	{ "issuer",   0,  "NAME",   AT(issuer),  "the issuer of a certificate that is not stored" },
	{ "json",    'j', NULL,     AT(json),    "print JSON" },
	{ "all",     'a', NULL,     AT(all),     "all certificates" },
	{ "no-wait",  0,  NULL,     AT(no_wait), "do not wait for the result" },
	{ "names",    0,  NULL,     AT(names),   "print all names of each certificate" },
	{ "option",  'o', "K=V",    AT(plugin_options), "an option of the plugin; may be repeated" },
	{ "tape",     0,  "FILE",   AT(tape),    "what the provider is asked and answers" },
};
/* clang-format on */

enum { OPTION_COUNT = sizeof(OPTIONS) / sizeof(OPTIONS[0]) };

void ctl_say(const char *fmt, ...)
{
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	fflush(stdout);
	fprintf(stderr, "acmectl: %s\n", text);
}

enum ctl_exit ctl_fail(const struct err *e)
{
	char at[NOW_TEXT];

	if (e->problem[0])
		ctl_say("%s (%s)", e->text, e->problem);
	else
		ctl_say("%s", e->text);
	if (e->retry_at)
		ctl_say("will be tried again at %s",
			now_text(e->retry_at, 0, at));
	return CTL_FAILED;
}

void ctl_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT);
	putchar('\n');
}

const char *ctl_clean(const char *text)
{
	static char buffers[4][512];
	static unsigned next;
	char *out = buffers[next++ % 4];

	if (!text || !*text)
		return "-";
	snprintf(out, sizeof(buffers[0]), "%s", text);
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return out;
}

static bool takes(const struct subcommand *command, const char *option)
{
	size_t len = strlen(option);

	for (const char *p = command->options; *p;) {
		size_t n = strcspn(p, " ");
		if (n == len && !memcmp(p, option, n))
			return true;
		p += n;
		p += strspn(p, " ");
	}
	return false;
}

static void print_usage(FILE *to)
{
	fputs("usage: acmectl COMMAND [OPTION ...] [NAME]\n\n", to);
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (COMMANDS[i]->help)
			fprintf(to, "  %-9s %-9s %s\n", COMMANDS[i]->name,
				COMMANDS[i]->args, COMMANDS[i]->help);
	fputs("\nacmectl COMMAND --help tells more; so does acmectl(1).\n", to);
}

static void print_help(const struct subcommand *command)
{
	printf("usage: acmectl %s%s%s [OPTION ...]\n\n%s.\n\n", command->name,
	       *command->args ? " " : "", command->args,
	       command->help ? command->help : "For the build");
	if (command->more)
		printf("%s\n\n", command->more);
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct ctl_option *o = &OPTIONS[i];
		if (!takes(command, o->name))
			continue;
		char letter[] = { '-', o->letter, ',', '\0' };
		char name[40];
		snprintf(name, sizeof(name), "--%s%s%s", o->name,
			 o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-3s %-16s %s\n", o->letter ? letter : "", name,
		       o->help);
	}
	printf("  %-3s %-16s %s\n", "-h,", "--help", "this");
}

static int usage_error(const struct subcommand *command)
{
	fprintf(stderr,
		"usage: acmectl %s%s%s [OPTION ...]; see acmectl %s "
		"--help\n",
		command->name, *command->args ? " " : "", command->args,
		command->name);
	return CTL_USAGE;
}

static bool add_word(struct ctl_words *words, const char *word)
{
	if (words->count == CTL_WORDS)
		return false;
	words->items[words->count++] = word;
	return true;
}

/* 0 to go on, -1 to print the help, CTL_USAGE. */
static int read_options(const struct subcommand *command, struct ctl *ctl,
			int argc, char **argv)
{
	struct option longs[OPTION_COUNT + 2] = { 0 };
	char shorts[2 * OPTION_COUNT + 3] = "h", *p = shorts + 1;
	int count = 0, found;

	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct ctl_option *o = &OPTIONS[i];
		if (!takes(command, o->name))
			continue;
		longs[count++] =
		    (struct option){ o->name,
				     o->arg ? required_argument : no_argument,
				     NULL, 256 + i };
		if (o->letter)
			*p++ = o->letter;
		if (o->letter && o->arg)
			*p++ = ':';
	}
	longs[count] = (struct option){ "help", no_argument, NULL, 'h' };
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (found == 'h')
			return -1;
		int i = found - 256;
		for (int j = 0; j < OPTION_COUNT && i < 0; j++)
			if (OPTIONS[j].letter == found)
				i = j;
		if (i < 0)
			return usage_error(command);
		void *at = (char *)ctl + OPTIONS[i].offset;
		if (OPTIONS[i].offset == AT(plugin_options)) {
			if (!add_word(at, optarg))
				return usage_error(command);
		} else if (OPTIONS[i].arg) {
			*(const char **)at = optarg;
		} else {
			*(bool *)at = true;
		}
	}
	ctl->argc = argc - optind;
	ctl->argv = argv + optind;
	return 0;
}

static int run(const struct subcommand *command, int argc, char **argv)
{
	const char *socket = getenv("ACME_AGENT_SOCKET");
	struct ctl ctl = {
		.socket =
		    socket && *socket ? socket : CONF_RUN_DIR "/control.sock",
	};
	int rc;

	argv[0] = (char *)"acmectl"; /* for the messages of getopt */
	rc = read_options(command, &ctl, argc, argv);
	if (rc > 0)
		return rc;
	if (rc < 0) {
		print_help(command);
		return CTL_OK;
	}
	if (ctl.argc < command->least || ctl.argc > command->most)
		return usage_error(command);
	return (int)command->run(&ctl);
}

/* Does this word take the next one with it? */
static bool takes_word(const char *word)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct ctl_option *o = &OPTIONS[i];
		if (!o->arg)
			continue;
		if (!strncmp(word, "--", 2) && !strcmp(word + 2, o->name))
			return true;
		if (o->letter && word[0] == '-' && word[1] == o->letter &&
		    !word[2])
			return true;
	}
	return false;
}

/* Moves the command in front of the options that stand before it; its index
 * is 1 then. False: there is none. */
static bool command_first(int argc, char **argv)
{
	int i = 1;

	while (i < argc && *argv[i] == '-')
		i += takes_word(argv[i]) ? 2 : 1;
	if (i >= argc)
		return false;
	char *command = argv[i];
	memmove(&argv[2], &argv[1], (size_t)(i - 1) * sizeof(*argv));
	argv[1] = command;
	return true;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return CTL_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("acmectl " ACME_VERSION);
		return CTL_OK;
	}
	if (!command_first(argc, argv)) {
		print_usage(stderr);
		return CTL_USAGE;
	}
	for (int i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], COMMANDS[i]->name))
			continue;
		int rc = run(COMMANDS[i], argc - 1, argv + 1);
		if (fflush(stdout) == EOF || ferror(stdout)) {
			ctl_say("cannot write the output");
			return rc ? rc : CTL_FAILED;
		}
		return rc;
	}
	ctl_say("'%s' is no command; see acmectl --help", argv[1]);
	return CTL_USAGE;
}
