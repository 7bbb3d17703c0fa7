/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found: a rule's name and a sentence, each once. Findings may come
 * from any thread. In a child process (check.c) each is written to a pipe as it
 * is found, so that nothing is lost when the plugin crashes afterwards.
 */
#include "inside.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct finding {
	char rule[KIT_NAME];
	char text[KIT_WORDS];
};

struct kit_report {
	pthread_mutex_t lock;
	struct finding *items;
	size_t count;
	int stream;
	struct pace *paces;
	size_t pace_count;
};

/* How often a call was made, and how often it was slow. */
struct pace {
	char doing[KIT_NAME];
	unsigned calls, slow;
};

enum { SLOW_LEAST = 5 };

void *kit_mem(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

char *kit_strdup(acme_str s)
{
	char *p = kit_mem(s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	t->ptr = realloc(t->ptr, t->len + (size_t)len + 1);
	if (!t->ptr)
		abort();
	va_start(ap, fmt);
	vsnprintf(t->ptr + t->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)len;
}

kit_report *kit_report_new(void)
{
	kit_report *r = kit_mem(sizeof *r);

	pthread_mutex_init(&r->lock, NULL);
	r->stream = -1;
	return r;
}

void kit_report_free(kit_report *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->items);
	free(r->paces);
	free(r);
}

void report_stream(kit_report *r, int fd)
{
	r->stream = fd;
}

size_t kit_report_count(const kit_report *r)
{
	return r->count;
}

const char *kit_report_rule(const kit_report *r, size_t at)
{
	return at < r->count ? r->items[at].rule : NULL;
}

const char *kit_report_text(const kit_report *r, size_t at)
{
	return at < r->count ? r->items[at].text : NULL;
}

int kit_report_has(const kit_report *r, const char *rule)
{
	for (size_t i = 0; i < r->count; i++)
		if (!strcmp(r->items[i].rule, rule))
			return 1;
	return 0;
}

size_t kit_report_print(const kit_report *r, FILE *to)
{
	for (size_t i = 0; i < r->count; i++)
		fprintf(to, "%s: %s\n", r->items[i].rule, r->items[i].text);
	return r->count;
}

static void add(kit_report *r, const struct finding *f)
{
	char line[KIT_NAME + KIT_WORDS + 4];

	for (size_t i = 0; i < r->count; i++)
		if (!memcmp(&r->items[i], f, sizeof *f))
			return;
	r->items = realloc(r->items, (r->count + 1) * sizeof *f);
	if (!r->items)
		abort();
	r->items[r->count++] = *f;
	if (r->stream < 0)
		return;
	int len = snprintf(line, sizeof line, "%s\t%s\n", f->rule, f->text);
	if (write(r->stream, line, (size_t)len) != len)
		abort();
}

void kit_report_add(kit_report *r, const char *rule, const char *fmt, ...)
{
	struct finding f;
	va_list ap;

	memset(&f, 0, sizeof f);
	snprintf(f.rule, sizeof f.rule, "%s", rule);
	va_start(ap, fmt);
	vsnprintf(f.text, sizeof f.text, fmt, ap);
	va_end(ap);
	memset(f.text + strlen(f.text), 0, sizeof f.text - strlen(f.text));
	for (char *c = f.text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	pthread_mutex_lock(&r->lock);
	add(r, &f);
	pthread_mutex_unlock(&r->lock);
}

static struct pace *pace_of(kit_report *r, const char *doing)
{
	for (size_t i = 0; i < r->pace_count; i++)
		if (!strncmp(r->paces[i].doing, doing, KIT_NAME - 1))
			return &r->paces[i];
	r->paces = realloc(r->paces, (r->pace_count + 1) * sizeof *r->paces);
	if (!r->paces)
		abort();
	struct pace *p = &r->paces[r->pace_count++];
	memset(p, 0, sizeof *p);
	snprintf(p->doing, sizeof p->doing, "%.63s", doing);
	return p;
}

void report_time(kit_report *r, const char *doing, bool slow, bool very)
{
	struct pace *p = pace_of(r, doing);

	p->calls++;
	p->slow += slow;
	if (very || (p->slow >= SLOW_LEAST && p->slow * 2 > p->calls))
		kit_report_add(r, "thread-block",
			       "%s held the loop for over 20 ms", doing);
}

void report_doing(kit_report *r, const char *doing)
{
	char line[KIT_WORDS + 4];

	if (r->stream < 0)
		return;
	int len = snprintf(line, sizeof line, "\t%s\n", doing);
	if (write(r->stream, line, (size_t)len) != len)
		abort();
}

void report_line(kit_report *r, char *line)
{
	char *text = strchr(line, '\t');

	if (!text)
		return;
	*text++ = '\0';
	kit_report_add(r, line, "%s", text);
}
