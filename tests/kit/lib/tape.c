/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tapes: what a provider is asked and answers, as a text file (the form is in
 * acme/kit.h). Requests are matched in order; the first that differs is told
 * line by line and answered as if nobody were there.
 */
#include "inside.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
	char *section; /* "" before the first */
	char *method, *url, *body;
	char **headers;
	size_t header_count;
	struct answer answer;
	bool answered, in_body;
};

struct tape {
	struct exchange *items;
	size_t count;
	char section[64];
	size_t from, at, to;
};

static char *copy(const char *s)
{
	return kit_strdup(acme_text(s));
}

static void push(char ***list, size_t *count, const char *s)
{
	*list = realloc(*list, (*count + 1) * sizeof **list);
	if (!*list)
		abort();
	(*list)[(*count)++] = copy(s);
}

static void body_line(char **body, const char *line)
{
	struct text t = { 0 };

	text_add(&t, "%s%s%s", *body ? *body : "", *body ? "\n" : "", line);
	free(*body);
	*body = t.ptr;
}

/* ---- reading ---- */

static struct exchange *next(struct tape *t, const char *section)
{
	t->items = realloc(t->items, (t->count + 1) * sizeof *t->items);
	if (!t->items)
		abort();
	struct exchange *e = &t->items[t->count++];
	memset(e, 0, sizeof *e);
	e->section = copy(section);
	return e;
}

static int read_asked(struct tape *t, const char *section, const char *line)
{
	struct exchange *e = t->count ? &t->items[t->count - 1] : NULL;
	const char *blank;

	if (!e || e->answered || strcmp(e->section, section) != 0) {
		blank = strchr(line, ' ');
		if (!blank)
			return -1;
		e = next(t, section);
		e->method = kit_strdup((acme_str){ line, (size_t)(blank - line) });
		e->url = copy(blank + 1);
	} else if (e->in_body) {
		body_line(&e->body, line);
	} else if (!*line) {
		e->in_body = true;
	} else {
		push(&e->headers, &e->header_count, line);
	}
	return 0;
}

static int read_answer(struct tape *t, const char *line)
{
	struct exchange *e = t->count ? &t->items[t->count - 1] : NULL;

	if (!e)
		return -1;
	if (!e->answered) {
		e->answered = true;
		e->in_body = false;
		if (!strncmp(line, "error", 5))
			e->answer.words = copy(line + 5 + (line[5] == ' '));
		else
			e->answer.code = (uint32_t)strtoul(line, NULL, 10);
		return e->answer.words || e->answer.code >= 100 ? 0 : -1;
	}
	if (e->in_body)
		body_line(&e->answer.body, line);
	else if (!*line)
		e->in_body = true;
	else
		push(&e->answer.headers, &e->answer.header_count, line);
	return 0;
}

static int read_line(struct tape *t, char *section, size_t size, char *line)
{
	char *text = line + 1 + (line[0] && line[1] == ' ');

	line[strcspn(line, "\r\n")] = '\0';
	if (!*line || *line == '#')
		return 0;
	if (!strncmp(line, "==", 2)) {
		text = line + 2 + strspn(line + 2, " ");
		snprintf(section, size, "%s", text);
		return 0;
	}
	if (*line == '>')
		return read_asked(t, section, text);
	return *line == '<' ? read_answer(t, text) : -1;
}

struct tape *tape_open(const char *path, kit_report *r)
{
	char section[64] = "", *line = NULL;
	struct tape *t = kit_mem(sizeof *t);
	size_t room = 0;
	int number = 0, bad = 0;
	FILE *f = fopen(path, "re");

	while (f && !bad && getline(&line, &room, f) > 0) {
		number++;
		bad = read_line(t, section, sizeof section, line) < 0;
	}
	free(line);
	if (!f)
		kit_report_add(r, "kit-setup", "%s: %s", path, strerror(errno));
	else
		fclose(f);
	if (bad)
		kit_report_add(r, "kit-setup", "%s:%d: not a line of a tape",
			       path, number);
	if (!f || bad) {
		tape_free(t);
		return NULL;
	}
	t->to = t->count;
	return t;
}

void answer_free(struct answer *a)
{
	for (size_t i = 0; i < a->header_count; i++)
		free(a->headers[i]);
	free(a->headers);
	free(a->words);
	free(a->body);
	memset(a, 0, sizeof *a);
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		struct exchange *e = &t->items[i];
		for (size_t j = 0; j < e->header_count; j++)
			free(e->headers[j]);
		free(e->headers);
		free(e->section);
		free(e->method);
		free(e->url);
		free(e->body);
		answer_free(&e->answer);
	}
	free(t->items);
	free(t);
}

/* ---- sections ---- */

static bool seek(struct tape *t, const char *section)
{
	size_t at = 0;

	while (at < t->count && strcmp(t->items[at].section, section) != 0)
		at++;
	if (at == t->count)
		return false;
	t->from = t->at = t->to = at;
	while (t->to < t->count && !strcmp(t->items[t->to].section, section))
		t->to++;
	return true;
}

void tape_seek(struct tape *t, const char *verb, bool again)
{
	char name[64];

	if (!t)
		return;
	snprintf(name, sizeof name, "%s%s", verb, again ? " again" : "");
	if (seek(t, name) || (again && seek(t, verb)) || t->count == 0)
		return;
	if (*t->items[0].section) /* sections, but none for this */
		t->from = t->at = t->to = t->count;
}

size_t tape_left(const struct tape *t)
{
	return t ? t->to - t->at : 0;
}

/* ---- matching ---- */

static const char *value_of(kit *k, const char *name, size_t len)
{
	acme_challenge c = kit_example(ACME_DNS_01);
	static _Thread_local char option[64];
	const struct {
		const char *name;
		acme_str value;
	} words[] = {
		{ "record_name", c.record_name },
		{ "record_value", c.record_value },
		{ "identifier", c.identifier },
		{ "token", c.token },
		{ "key_authorization", c.key_authorization },
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i].name) == len &&
		    !memcmp(words[i].name, name, len))
			return words[i].value.ptr;
	if (len <= 7 || len >= sizeof option || memcmp(name, "option.", 7))
		return NULL;
	snprintf(option, sizeof option, "%.*s", (int)len - 7, name + 7);
	return option_find(k, option) ? option_text(k, option) : NULL;
}

/* With @words@ replaced. */
static char *fill(kit *k, const char *s)
{
	struct text t = { 0 };

	while (*s) {
		size_t len = *s == '@' ? strcspn(s + 1, "@") : 0;
		const char *word = len ? value_of(k, s + 1, len) : NULL;
		if (word) {
			text_add(&t, "%s", word);
			s += len + 2;
		} else {
			text_add(&t, "%c", *s++);
		}
	}
	text_add(&t, "%s", "");
	return t.ptr;
}

/* '*' in the pattern is anything, also nothing. */
static bool like(const char *pattern, const char *s, size_t len)
{
	const char *star = NULL, *mark = s, *end = s + len;

	while (s < end) {
		if (*pattern == '*') {
			star = pattern++;
			mark = s;
		} else if (*pattern && *pattern == *s) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star + 1;
			s = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool same(kit *k, const char *what, const char *want, acme_str have,
		 char *why, size_t size)
{
	char *full = fill(k, want ? want : "");
	bool ok = like(full, have.ptr ? have.ptr : "", have.ptr ? have.len : 0);

	if (!ok)
		snprintf(why, size, "%s differs: tape '%.120s', plugin '%.*s'",
			 what, full, have.len < 120 ? (int)have.len : 120,
			 have.ptr ? have.ptr : "");
	free(full);
	return ok;
}

static bool same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[i]))
			return false;
	return true;
}

static bool same_headers(kit *k, const struct exchange *e,
			 const acme_http_request *req, char *why, size_t size)
{
	for (size_t i = 0; i < e->header_count; i++) {
		const char *want = e->headers[i];
		size_t len = strcspn(want, ":") + 1, at = 0;
		while (at < req->header_count &&
		       (req->headers[at].len < len ||
			!same_name(req->headers[at].ptr, want, len)))
			at++;
		if (at == req->header_count) {
			snprintf(why, size, "header '%.120s' is missing", want);
			return false;
		}
		acme_str have = req->headers[at];
		have.ptr += len;
		have.len -= len;
		if (!same(k, "header", want + len, have, why, size))
			return false;
	}
	return true;
}

static void answer_copy(kit *k, struct answer *to, const struct answer *from)
{
	to->code = from->code;
	to->words = from->words ? copy(from->words) : NULL;
	to->body = from->body ? fill(k, from->body) : NULL;
	for (size_t i = 0; i < from->header_count; i++)
		push(&to->headers, &to->header_count, from->headers[i]);
}

bool tape_ask(kit *k, const acme_http_request *req, struct answer *out,
	      char *why, size_t size)
{
	struct tape *t = k->tape;

	if (t->at == t->to) {
		snprintf(why, size, "'%.*s %.*s' is not on the tape",
			 ACME_ARG(req->method), ACME_ARG(req->url));
		return false;
	}
	const struct exchange *e = &t->items[t->at];
	acme_str method = req->method.len ? req->method : acme_text("GET");
	if (!same(k, "method", e->method, method, why, size) ||
	    !same(k, "URL", e->url, req->url, why, size) ||
	    !same_headers(k, e, req, why, size) ||
	    !same(k, "body", e->body, req->body, why, size))
		return false;
	t->at++;
	answer_copy(k, out, &e->answer);
	return true;
}
