/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes what a test tells it, in place of an agent.
 *
 *   bridge_publisher SEGMENT
 *
 * reads commands from stdin, one line each, words separated by blanks, and
 * answers each with "ok" or "error TEXT":
 *
 *   put NAME VERSION { TYPE LEAF KEY [CHAIN,...] ; }...   files in DER;
 *                        TYPE as in enum acme_segment_key
 *   remove NAME
 *   token TOKEN KEYAUTH
 *   untoken TOKEN
 *   collect              wipes and rebuilds as the agent does now and then
 *
 * Nothing is checked: a test may publish a key that does not fit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "segment/segment.h"

enum { ENTRIES = 8, CHAIN = 8, WORDS = 64, FILES = 64 };

/* What one command read; freed after it. */
static void *files[FILES];
static size_t files_count;

static struct str slurp(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	char *bytes;

	if (!f || fstat(fileno(f), &st) < 0 || files_count == FILES)
		return (struct str){ 0 };
	bytes = malloc((size_t)st.st_size);
	files[files_count++] = bytes;
	if (fread(bytes, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		st.st_size = 0;
	fclose(f);
	return (struct str){ .ptr = bytes, .len = (size_t)st.st_size };
}

static struct str word(const char *text)
{
	return (struct str){ .ptr = text, .len = strlen(text) };
}

static int put(struct segment *s, char **w, struct err *e)
{
	struct segment_entry entries[ENTRIES] = { 0 };
	struct str chains[ENTRIES][CHAIN];
	struct segment_cert cert = { .name = word(w[1]),
				     .version = strtoull(w[2], NULL, 0),
				     .not_before = time(NULL) - 60,
				     .not_after = time(NULL) + 86400,
				     .entries = entries };

	w += 3;
	while (*w && cert.entry_count < ENTRIES) {
		struct segment_entry *entry = &entries[cert.entry_count];

		entry->type = (enum acme_segment_key)strtol(w[0], NULL, 10);
		entry->leaf = slurp(w[1]);
		entry->key = slurp(w[2]);
		entry->chain = chains[cert.entry_count++];
		for (w += 3; *w && strcmp(*w, ";") != 0; w++)
			chains[cert.entry_count - 1][entry->chain_count++] =
			    slurp(*w);
		if (*w)
			w++;
	}
	return segment_put_cert(s, &cert, e);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int run(struct segment *s, char **w, struct err *e)
{
	if (strcmp(w[0], "put") == 0)
		return put(s, w, e);
	if (strcmp(w[0], "remove") == 0)
		return segment_remove_cert(s, word(w[1]), e);
	if (strcmp(w[0], "token") == 0)
		return segment_put_token(s, word(w[1]), word(w[2]), e);
	if (strcmp(w[0], "untoken") == 0)
		return segment_remove_token(s, word(w[1]), e);
	if (strcmp(w[0], "collect") == 0)
		return segment_collect(s, now_ms(), e);
	return err_set(e, ERR_INVALID, "what is %s?", w[0]);
}

int main(int argc, char **argv)
{
	struct segment_opts opts = SEGMENT_OPTS;
	struct segment *s = NULL;
	struct err e = { 0 };
	char line[16384], *words[WORDS + 1];

	opts.grace_ms = 50;
	opts.flags = SEGMENT_REPAIR;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2 || segment_open(argv[1], &opts, &s, &e) < 0) {
		printf("error %s\n", argc == 2 ? e.text : "usage");
		return 1;
	}
	puts("ok");
	while (fgets(line, sizeof line, stdin)) {
		size_t n = 0;
		char *rest = line, *one;

		while (n < WORDS && (one = strtok_r(rest, " \n", &rest)))
			words[n++] = one;
		words[n] = NULL;
		memset(words + n, 0, sizeof *words * (WORDS + 1 - n));
		memset(&e, 0, sizeof e);
		if (n && run(s, words, &e) < 0)
			printf("error %s\n", e.text);
		else
			puts("ok");
		while (files_count)
			free(files[--files_count]);
	}
	segment_close(s);
	return 0;
}
