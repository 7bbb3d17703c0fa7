/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme-agent's command line, and what must happen before anything else: no core
 * files, no files for others, no privileges beyond the agent's own user.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/user.h"
#include "flow/account.h"
#include "flow/authorization.h"
#include "flow/order.h"
#include "flow/revocation.h"

enum { EXIT_USAGE = 2 };

static const char USAGE[] =
	"usage: acme-agent [-c FILE] [-t] [--run-dir DIR] [--state-dir DIR]\n"
	"       acme-agent [-c FILE] publish [--run-dir DIR] [--state-dir DIR]\n"
	"\n"
	"Obtains, renews and publishes certificates for nginx; see acme-agent(8).\n"
	"\n"
	"  publish          only publish what is stored, then end\n"
	"  -c, --conf FILE  configuration [" CONF_PATH "]\n"
	"  -t, --test       check the configuration and end\n"
	"  --run-dir DIR    socket and segment, before the configuration says it\n"
	"  --state-dir DIR  replica and lock, likewise\n"
	"  --shared         run as the workers' user (for `acme_agent launch`)\n"
	"  --lifeline FD    end when the other end of this pipe is closed\n"
	"  --flows          print the tables of all flows as graphs and end\n"
	"  -V, --version    print the version and end\n"
	"  -h, --help       print this and end\n";

enum { RUN_DIR = 256, STATE_DIR, SHARED, LIFELINE, FLOWS };

static const struct option OPTIONS[] = {
	{ "conf", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "run-dir", required_argument, NULL, RUN_DIR },
	{ "state-dir", required_argument, NULL, STATE_DIR },
	{ "shared", no_argument, NULL, SHARED },
	{ "lifeline", required_argument, NULL, LIFELINE },
	{ "flows", no_argument, NULL, FLOWS },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

enum mode { RUN, TEST, PUBLISH, DRAW, VERSION, HELP, WRONG };

static int descriptor(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	return *text && !*end && fd > 2 && fd < 65536 ? (int)fd : -1;
}

static enum mode parse(int argc, char **argv, struct agent_options *o)
{
	enum mode mode = RUN;
	int c;

	*o = (struct agent_options){ .conf = CONF_PATH, .lifeline = -1 };
	while ((c = getopt_long(argc, argv, "c:tVh", OPTIONS, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->conf = optarg;
			break;
		case 't':
			mode = TEST;
			break;
		case RUN_DIR:
			o->run_dir = optarg;
			break;
		case STATE_DIR:
			o->state_dir = optarg;
			break;
		case SHARED:
			o->shared = true;
			break;
		case LIFELINE:
			o->lifeline = descriptor(optarg);
			if (o->lifeline < 0)
				return WRONG;
			break;
		case FLOWS:
			mode = DRAW;
			break;
		case 'V':
			mode = VERSION;
			break;
		case 'h':
			mode = HELP;
			break;
		default:
			return WRONG;
		}
	}
	if (optind < argc && !strcmp(argv[optind], "publish")) {
		mode = PUBLISH;
		optind++;
	}
	return optind == argc ? mode : WRONG;
}

static int draw(void)
{
	static const struct flow_table *const tables[] = {
		&ACCOUNT_FLOW, &ORDER_FLOW, &AUTHORIZATION_FLOW,
		&REVOCATION_FLOW
	};
	struct buf out = BUF_INIT(64 << 10);

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		buf_addf(&out, "%s## %s\n\n", i ? "\n" : "", tables[i]->name);
		flow_draw(tables[i], &out);
	}
	fputs(out.ptr, stdout);
	buf_free(&out);
	return 0;
}

/* What may lie in folders of root's that become the agent's. */
static const char *const RUN_FILES[] = { "segment.1", "status.1",
	                                 "control.sock", "declared", NULL };
static const char *const STATE_FILES[] = {
	"lock", "replica.1", "declared.json", "lost+found", "store",
	/* storage/file, where its path is the same */
	"accounts", "orders", "certificates", "archive", "damaged",
	".tmp", ".lock", ".leases", ".damaged", NULL
};

/* As root: makes the folders, gives them to the user with what nginx may have
 * made there before, becomes it. */
static int drop_root(const struct agent_options *o, struct err *e)
{
	struct conf_boot boot;
	uid_t uid;
	gid_t gid;

	conf_boot(o->conf, &boot);
	if (geteuid() != 0 || !*boot.user)
		return 0;
	int rc = user_find(boot.user, boot.group, &uid, &gid, e);
	const char *run = o->run_dir ? o->run_dir : boot.run_dir;
	const char *state = o->state_dir ? o->state_dir : boot.state_dir;
	rc = rc < 0 ? rc : file_mkdirs(run, 0755, e);
	rc = rc < 0 ? rc : file_mkdirs(state, 0700, e);
	rc = rc < 0 ? rc : user_give(run, RUN_FILES, uid, gid, e);
	rc = rc < 0 ? rc : user_give(state, STATE_FILES, uid, gid, e);
	return rc < 0 ? rc : user_become(boot.user, uid, gid, e);
}

static int with_rights(int (*run)(const struct agent_options *),
                       const struct agent_options *o)
{
	struct err e;

	umask(077);
	mallopt(M_ARENA_MAX, 2); /* pool threads allocate little, and briefly */
	if (drop_root(o, &e) < 0) {
		fprintf(stderr, "acme-agent: %s\n", e.text);
		return EXIT_FAILURE;
	}
	secret_no_dumps(); /* after setuid, which resets it */
	return run(o);
}

int main(int argc, char **argv)
{
	struct agent_options options;

	switch (parse(argc, argv, &options)) {
	case RUN:
		return with_rights(agent_run, &options);
	case TEST:
		return agent_test(&options);
	case PUBLISH:
		return with_rights(agent_publish, &options);
	case DRAW:
		return draw();
	case VERSION:
		puts("acme-agent " ACME_VERSION);
		return 0;
	case HELP:
		fputs(USAGE, stdout);
		return 0;
	case WRONG:
		break;
	}
	fputs(USAGE, stderr);
	return EXIT_USAGE;
}
