/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin may leave behind in the process that lent it a place: child
 * processes, descriptors, threads, a changed folder, mask, environment or signal
 * handler, and variables of its own. Looked at before `open` and after `close`.
 *
 * The variables are the writable segments of the plugin's shared object; of a
 * plugin that is linked into the test program they cannot be told apart, and
 * are not looked at.
 */
#include "inside.h"

#include <dirent.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FDS = 1024, SIGNALS = 65, SEGMENTS = 8, WAIT_MS = 1000 };

struct segment {
	const char *at;
	char *copy;
	size_t size;
};

struct process {
	bool fds[FDS], children;
	unsigned threads;
	char folder[4096];
	mode_t mask;
	unsigned long env;
	void (*handlers[SIGNALS])(int);
	struct segment segments[SEGMENTS];
	size_t segment_count;
	const void *inside;
};

static bool has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ||
	       errno != ECHILD;
}

static unsigned threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned count = 0;

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	return count;
}

static unsigned long environment(void)
{
	unsigned long sum = 5381;

	for (char **e = environ; e && *e; e++)
		for (const char *c = *e; *c; c++)
			sum = sum * 33 + (unsigned char)*c;
	return sum;
}

static mode_t mask(void)
{
	mode_t now = umask(077);

	umask(now);
	return now;
}

static void look(struct process *p)
{
	for (int fd = 0; fd < FDS; fd++) {
		struct stat st;
		p->fds[fd] = fstat(fd, &st) == 0;
	}
	p->children = has_children();
	p->threads = threads();
	p->mask = mask();
	p->env = environment();
	if (!getcwd(p->folder, sizeof p->folder))
		p->folder[0] = '\0';
	for (int i = 1; i < SIGNALS; i++) {
		struct sigaction sa;
		if (sigaction(i, NULL, &sa) == 0)
			p->handlers[i] = sa.sa_handler;
	}
}

/* ---- variables ---- */

static bool is_in(const struct dl_phdr_info *info, const void *at)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + h->p_vaddr;
		if (h->p_type == PT_LOAD && (uintptr_t)at >= from &&
		    (uintptr_t)at < from + h->p_memsz)
			return true;
	}
	return false;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct process *p = arg;

	(void)size;
	if (!is_in(info, p->inside))
		return 0;
	/* the test program itself: its variables are ours too */
	if (is_in(info, (const void *)(uintptr_t)&kit_report_new))
		return 1;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type != PT_LOAD || !(h->p_flags & PF_W) ||
		    p->segment_count == SEGMENTS)
			continue;
		struct segment *s = &p->segments[p->segment_count++];
		s->at = (const char *)(info->dlpi_addr + h->p_vaddr);
		s->size = h->p_memsz;
	}
	return 1;
}

struct process *process_look(const acme_plugin *plugin)
{
	struct process *p = kit_mem(sizeof *p);

	p->inside = plugin;
	look(p);
	return p;
}

#if defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize("address")))
#endif
static void
copy_raw(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++) /* red zones are read as well */
		((volatile char *)to)[i] = from[i];
}

void process_opened(struct process *p)
{
	dl_iterate_phdr(on_object, p);
	for (size_t i = 0; i < p->segment_count; i++) {
		struct segment *s = &p->segments[i];
		s->copy = kit_mem(s->size);
		copy_raw(s->copy, s->at, s->size);
	}
}

static void compare_variables(const struct process *p, kit_report *r)
{
	for (size_t i = 0; i < p->segment_count; i++) {
		const struct segment *s = &p->segments[i];
		if (!s->copy)
			continue;
		char *now = kit_mem(s->size);
		copy_raw(now, s->at, s->size);
		if (memcmp(now, s->copy, s->size) != 0)
			kit_report_add(r, "own-no-statics",
				       "variables of the shared object changed "
				       "after open");
		free(now);
		free(s->copy);
	}
}

static void compare_descriptors(const struct process *p,
				const struct process *now, kit_report *r)
{
	char path[64], what[200] = "";

	for (int fd = 0; fd < FDS; fd++) {
		if (!now->fds[fd] && p->fds[fd])
			kit_report_add(r, "process-descriptors",
				       "closed a descriptor of somebody else");
		if (!now->fds[fd] || p->fds[fd])
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, what, sizeof what - 1);
		what[len > 0 ? len : 0] = '\0';
		kit_report_add(r, "process-descriptors",
			       "a descriptor is still open after close: %.100s",
			       what);
	}
}

/* Threads need a moment between pthread_join and their end in /proc. */
static bool more_threads(const struct process *p, bool known)
{
	for (int ms = 0; ms < (known ? 10 : WAIT_MS); ms += 10) {
		if (threads() <= p->threads)
			return false;
		usleep(10000);
	}
	return true;
}

void process_compare(struct process *p, const acme_plugin *plugin,
		     kit_report *r)
{
	struct process now;

	(void)plugin;
	memset(&now, 0, sizeof now);
	look(&now);
	compare_variables(p, r);
	compare_descriptors(p, &now, r);
	if (now.children && !p->children)
		kit_report_add(r, "process-children",
			       "a child process was left after close");
	if (more_threads(p, kit_report_has(r, "process-threads")))
		kit_report_add(r, "process-threads",
			       "a thread still runs after close");
	if (strcmp(now.folder, p->folder) != 0)
		kit_report_add(r, "process-state",
			       "the working directory changed");
	if (now.mask != p->mask)
		kit_report_add(r, "process-state", "the umask changed");
	if (now.env != p->env)
		kit_report_add(r, "process-state", "the environment changed");
	for (int i = 1; i < SIGNALS; i++)
		if (now.handlers[i] != p->handlers[i])
			kit_report_add(r, "process-state",
				       "the handler of signal %d changed", i);
	free(p);
}
