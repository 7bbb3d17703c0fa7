/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin as a file. It is foreign code and may do anything, so everything
 * from dlopen on happens in a child process with a time limit; findings come
 * through a pipe as they are made, and so does what the plugin is asked, so
 * that a crash or a hang has a name.
 */
#include "inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END "\tthe end\n"

enum { LIMIT_S = 60 };

/* ---- in the child ---- */

static const char *type_name(uint32_t type)
{
	static const char *const names[] = { "?",    "STR",  "INT", "BOOL",
					     "TIME", "SIZE", "URL", "LIST",
					     "PATH", "SECRET" };

	return names[type <= ACME_SECRET ? type : 0];
}

/* Foreign text for a terminal. */
static const char *clean(const char *s, char *out, size_t size)
{
	snprintf(out, size, "%s", s ? s : "");
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return out;
}

static void print_kinds(const acme_plugin *p, FILE *out)
{
	if (p->challenge)
		fprintf(out, "challenge:%s%s%s\n",
			p->challenge->types & ACME_HTTP_01 ? " http-01" : "",
			p->challenge->types & ACME_DNS_01 ? " dns-01" : "",
			p->challenge->types & ACME_TLS_ALPN_01 ? " tls-alpn-01"
							       : "");
	if (p->storage)
		fprintf(out, "storage:  %s%s%s%s\n",
			p->storage->caps & ACME_STORE_CAS ? " cas" : "",
			p->storage->caps & ACME_STORE_LOCK ? " lock" : "",
			p->storage->caps & ACME_STORE_WATCH ? " watch" : "",
			p->storage->caps & ACME_STORE_LOCAL ? " local" : "");
}

static void print(const acme_plugin *p, FILE *out)
{
	char a[256], b[256];

	fprintf(out, "%s %s, ABI %u.%u\n", clean(p->name, a, sizeof a),
		clean(p->version, b, sizeof b), p->abi_major, p->abi_minor);
	fprintf(out, "%s\n", clean(p->about, a, sizeof a));
	print_kinds(p, out);
	for (size_t i = 0; p->options && p->options[i]; i++) {
		const acme_option *o = p->options[i];
		fprintf(out, "option:    %s %s%s%s%s: %s\n",
			clean(o->name, a, sizeof a), type_name(o->type),
			o->flags & ACME_REQUIRED ? " required" : "",
			o->fallback ? " default " : "",
			o->fallback ? o->fallback : "",
			clean(o->help, b, sizeof b));
	}
	fflush(out);
}

static const acme_plugin *load(const char *path, kit_report *r)
{
	char full[4096];
	const acme_plugin *(*entry)(void);
	void *so, *symbol;

	snprintf(full, sizeof full, "%s%s", strchr(path, '/') ? "" : "./",
		 path);
	so = dlopen(full, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		kit_report_add(r, "load-alone", "%s", dlerror());
		return NULL;
	}
	symbol = dlsym(so, "acme_plugin_v0");
	if (!symbol) {
		kit_report_add(r, "version-symbol",
			       dlsym(so, "acme_plugin_v1")
				   ? "has acme_plugin_v1; this is version 0"
				   : "there is no acme_plugin_v0");
		return NULL;
	}
	memcpy(&entry, &symbol, sizeof entry);
	return entry();
}

static void check_name(const char *path, const acme_plugin *p, kit_report *r)
{
	const char *file = strrchr(path, '/');
	size_t len = p->name ? strlen(p->name) : 0;

	file = file ? file + 1 : path;
	if (!len || strncmp(file, p->name, len) != 0 ||
	    strcmp(file + len, ".so") != 0)
		kit_report_add(r, "load-name",
			       "the file is '%s', and the plugin calls itself "
			       "'%s'",
			       file, p->name ? p->name : "");
}

static void in_child(const kit_check *check, const char *scratch, int fd)
{
	kit_report *r = kit_report_new();
	kit_setup setup = { .size = sizeof setup };

	setpgid(0, 0);
	report_stream(r, fd);
	lent_arm();
	lent_stream(fd);
	report_doing(r, "loading");
	elf_exports(check->path, r);
	setup.plugin = load(check->path, r);
	setup.options = check->options;
	setup.tape = check->tape;
	setup.scratch = scratch;
	if (setup.plugin && kit_descriptor(setup.plugin, r) == 0) {
		if (check->out)
			print(setup.plugin, check->out);
		check_name(check->path, setup.plugin, r);
		kit_contract(&setup, r);
	}
	if (write(fd, END, sizeof END - 1) < 0)
		_exit(2);
	_exit(0);
}

/* ---- in the parent ---- */

struct child {
	pid_t pid;
	int fd;
	char doing[KIT_WORDS];
	bool ended;
	char *line;
	size_t len;
};

static int64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void take_line(struct child *c, char *line, kit_report *r)
{
	if (*line != '\t')
		report_line(r, line);
	else if (!strcmp(line, "\tthe end"))
		c->ended = true;
	else
		snprintf(c->doing, sizeof c->doing, "%s", line + 1);
}

static void take_bytes(struct child *c, const char *bytes, size_t len,
		       kit_report *r)
{
	char *end;

	c->line = realloc(c->line, c->len + len + 1);
	if (!c->line)
		abort();
	memcpy(c->line + c->len, bytes, len);
	c->len += len;
	c->line[c->len] = '\0';
	while ((end = strchr(c->line, '\n'))) {
		*end++ = '\0';
		take_line(c, c->line, r);
		c->len -= (size_t)(end - c->line);
		memmove(c->line, end, c->len + 1);
	}
}

/* Until the end, or until the time is over: false. */
static bool listen_to(struct child *c, int64_t until, kit_report *r)
{
	char bytes[4096];

	while (!c->ended) {
		struct pollfd fd = { .fd = c->fd, .events = POLLIN };
		int64_t left = until - seconds();
		if (left <= 0)
			return false;
		if (poll(&fd, 1, (int)left * 1000) <= 0)
			continue;
		ssize_t n = read(c->fd, bytes, sizeof bytes);
		if (n <= 0)
			return true;
		take_bytes(c, bytes, (size_t)n, r);
	}
	return true;
}

static void judge(struct child *c, bool in_time, uint32_t limit, kit_report *r)
{
	siginfo_t info = { 0 };

	if (!in_time)
		kit_report_add(r, "thread-block",
			       "%s: not finished within %u s", c->doing, limit);
	if (!in_time)
		kill(c->pid, SIGKILL);
	waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT);
	kill(-c->pid, SIGKILL); /* what it left behind */
	waitpid(c->pid, NULL, 0);
	if (!in_time || c->ended)
		return;
	if (info.si_code == CLD_EXITED)
		kit_report_add(r, "process-alive",
			       "%s: ended the process (exit %d)", c->doing,
			       info.si_status);
	else
		kit_report_add(r, "process-alive",
			       "%s: ended the process (signal %d, %s)",
			       c->doing, info.si_status,
			       strsignal(info.si_status));
}

static int on_entry(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

int kit_check_file(const kit_check *check, kit_report *r)
{
	char scratch[] = "/tmp/acme-kit.XXXXXX";
	uint32_t limit = check->limit_s ? check->limit_s : LIMIT_S;
	size_t before = kit_report_count(r);
	struct child c = { 0 };
	int ends[2];

	if (access(check->path, R_OK) < 0 || !mkdtemp(scratch))
		return -1;
	if (check->out)
		fflush(check->out);
	if (pipe2(ends, O_CLOEXEC) < 0 || (c.pid = fork()) < 0) {
		rmdir(scratch);
		return -1;
	}
	if (c.pid == 0) {
		close(ends[0]);
		in_child(check, scratch, ends[1]);
	}
	close(ends[1]);
	setpgid(c.pid, c.pid); /* whoever is first */
	c.fd = ends[0];
	judge(&c, listen_to(&c, seconds() + limit, r), limit, r);
	close(c.fd);
	free(c.line);
	nftw(scratch, on_entry, 16, FTW_DEPTH | FTW_PHYS);
	return (int)(kit_report_count(r) - before);
}
