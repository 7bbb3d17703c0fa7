/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that are lent for a while. Each lot stands in pages of its own, at
 * their end, before a page that nobody may read. When the time is over it is
 * overwritten and the pages are closed. An access afterwards is a SIGSEGV; the
 * handler finds out whose bytes they were, opens the page again (full of junk)
 * and notes it, so that the test goes on and names every keeper of borrowed
 * bytes, with or without a sanitizer.
 *
 * A SIGSEGV that is nobody's goes to the handler before ours. Findings of the
 * handler are also written to a descriptor: junk that is used as a pointer ends
 * the process before anybody can ask.
 */
#include "inside.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { JUNK = 0xdb };

struct lent {
	struct lent *next, *prev;
	char *base, *at;
	size_t length; /* of the pages, without the closed one */
	volatile sig_atomic_t ended, touched, beyond;
	char rule[KIT_NAME];
	char what[160];
	char line[KIT_WORDS], line_beyond[KIT_WORDS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lent *all;
static volatile sig_atomic_t touches;
static int stream = -1;
static struct sigaction before;
static size_t page;

static void say(const char *line)
{
	if (stream >= 0 && write(stream, line, strlen(line)) < 0)
		stream = -1;
}

/* Only what a signal handler may call (and mprotect, which is a bare call of
 * the kernel). */
static void on_segv(int sig, siginfo_t *info, void *context)
{
	const char *at = info->si_addr;

	(void)context;
	for (struct lent *l = all; l; l = l->next) {
		if (at < l->base || at >= l->base + l->length + page)
			continue;
		if (at >= l->base + l->length && !l->beyond) {
			l->beyond = 1;
			say(l->line_beyond);
		} else if (at < l->base + l->length && !l->touched) {
			l->touched = 1;
			say(l->line);
		} else {
			break;
		}
		touches++;
		mprotect(l->base, l->length + page, PROT_READ | PROT_WRITE);
		return;
	}
	sigaction(sig, &before, NULL); /* the same access again */
}

void lent_stream(int fd)
{
	stream = fd;
}

void lent_arm(void)
{
	struct sigaction now;

	page = (size_t)sysconf(_SC_PAGESIZE);
	if (sigaction(SIGSEGV, NULL, &now) == 0 &&
	    (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_segv)
		return;
	before = now;
	memset(&now, 0, sizeof now);
	now.sa_sigaction = on_segv;
	now.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaction(SIGSEGV, &now, NULL);
}

struct lent *lent_new(size_t size, const char *rule, const char *what)
{
	struct lent *l = kit_mem(sizeof *l);
	size_t room = (size + 15) & ~(size_t)15;

	if (!page)
		page = (size_t)sysconf(_SC_PAGESIZE);
	l->length = room ? (room + page - 1) / page * page : page;
	l->base = mmap(NULL, l->length + page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->base == MAP_FAILED)
		abort();
	l->at = l->base + l->length - room;
	memset(l->at + size, JUNK, room - size);
	mprotect(l->base + l->length, page, PROT_NONE);
	snprintf(l->rule, sizeof l->rule, "%s", rule);
	snprintf(l->what, sizeof l->what, "%s", what);
	snprintf(l->line, sizeof l->line, "%s\t%s used after its time\n", rule,
		 what);
	snprintf(l->line_beyond, sizeof l->line_beyond,
		 "%s\t%s used beyond its end\n", rule, what);
	pthread_mutex_lock(&lock);
	l->next = all;
	if (all)
		all->prev = l;
	all = l;
	pthread_mutex_unlock(&lock);
	return l;
}

void *lent_ptr(struct lent *l)
{
	return l->at;
}

void lent_end(struct lent *l)
{
	if (l->ended)
		return;
	l->ended = 1;
	mprotect(l->base, l->length, PROT_READ | PROT_WRITE);
	memset(l->base, JUNK, l->length);
	mprotect(l->base, l->length, PROT_NONE);
}

void lent_look(kit_report *r, const char *where)
{
	static sig_atomic_t seen;

	if (touches == seen)
		return;
	seen = touches;
	(void)where;
	pthread_mutex_lock(&lock);
	for (struct lent *l = all; l; l = l->next) {
		if (l->touched == 1) {
			kit_report_add(r, l->rule, "%s used after its time",
				       l->what);
			l->touched = 2;
		}
		if (l->beyond == 1) {
			kit_report_add(r, l->rule, "%s used beyond its end",
				       l->what);
			l->beyond = 2;
		}
	}
	pthread_mutex_unlock(&lock);
}

void lent_free(struct lent *l)
{
	pthread_mutex_lock(&lock);
	if (l->prev)
		l->prev->next = l->next;
	else
		all = l->next;
	if (l->next)
		l->next->prev = l->prev;
	pthread_mutex_unlock(&lock);
	munmap(l->base, l->length + page);
	free(l);
}

void *lents_add(struct lents *s, size_t size, const char *rule,
		const char *what)
{
	s->items = realloc(s->items, (s->count + 1) * sizeof *s->items);
	if (!s->items)
		abort();
	s->items[s->count] = lent_new(size, rule, what);
	return lent_ptr(s->items[s->count++]);
}

void lents_end(struct lents *s, struct lents *ended)
{
	for (size_t i = 0; i < s->count; i++)
		lent_end(s->items[i]);
	ended->items = realloc(ended->items, (ended->count + s->count + 1) *
						 sizeof *ended->items);
	if (!ended->items)
		abort();
	if (s->count)
		memcpy(ended->items + ended->count, s->items,
		       s->count * sizeof *s->items);
	ended->count += s->count;
	free(s->items);
	*s = (struct lents){ 0 };
}

void lents_free(struct lents *s)
{
	for (size_t i = 0; i < s->count; i++)
		lent_free(s->items[i]);
	free(s->items);
	*s = (struct lents){ 0 };
}
