/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What segment.py measures, one step for each call:
 *
 *   bench_segment fill FILE COUNT LEAF KEY CHAIN    publishes COUNT
 *                       certificates in one rebuild; prints microseconds for
 *                       each, and the file's bytes for each
 *   bench_segment put FILE COUNT LEAF KEY CHAIN     publishes COUNT more, one
 *                       by one, as renewals do; prints microseconds for each
 *   bench_segment find FILE COUNT TIMES     looks up TIMES of COUNT names, in
 *                       bench_find(); prints nanoseconds for each
 *   bench_segment restore FILE FROM         brings the records of FROM into
 *                       FILE; prints milliseconds
 *
 * Files in DER. The names are 0.bench.test, 1.bench.test, ...
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "segment/segment.h"

enum { NAME_MAX_LEN = 32 };

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_segment: %s\n", what);
	exit(1);
}

static struct str slurp(const char *path)
{
	static char room[8][16384];
	static int used;
	FILE *f = fopen(path, "rb");

	if (!f || used == 8)
		die(path);
	struct str text = { room[used], fread(room[used], 1, 16384, f) };
	used++;
	fclose(f);
	return text;
}

static struct segment *open_segment(const char *path)
{
	struct segment_opts opts = SEGMENT_OPTS;
	struct segment *s;
	struct err e = { 0 };

	if (segment_open(path, &opts, &s, &e) < 0)
		die(e.text);
	return s;
}

static void put(struct segment *s, long first, long count, char **files)
{
	struct str chain = slurp(files[2]);
	struct segment_entry entry = { .type = ACME_SEGMENT_ECDSA_256,
				       .leaf = slurp(files[0]),
				       .key = slurp(files[1]),
				       .chain = &chain,
				       .chain_count = 1 };
	struct err e = { 0 };

	for (long i = 0; i < count; i++) {
		char text[NAME_MAX_LEN];
		struct str name = { text, 0 };
		name.len = (size_t)snprintf(text, sizeof text, "%ld.bench.test",
					    first + i);
		struct segment_cert cert = { .name = name,
					     .version = (uint64_t)i + 1,
					     .not_after = INT32_MAX,
					     .entries = &entry,
					     .entry_count = 1,
					     .names = &name,
					     .name_count = 1 };
		if (segment_put_cert(s, &cert, &e) < 0)
			die(e.text);
	}
}

static void fill(const char *path, long count, char **files)
{
	struct segment *s = open_segment(path);
	struct err e = { 0 };
	struct stat st;
	double start = now_us();

	if (segment_begin_rebuild(s, &e) < 0)
		die(e.text);
	put(s, 0, count, files);
	if (segment_end_rebuild(s, NULL, NULL, &e) < 0)
		die(e.text);
	double end = now_us();
	/* What the rebuild's own smaller indexes left is given back. */
	segment_collect(s, 0, &e);
	segment_collect(s, 2 * SEGMENT_GRACE_MS, &e);
	if (stat(path, &st) < 0)
		die(path);
	printf("%.2f %.0f\n", (end - start) / (double)count,
	       (double)st.st_blocks * 512 / (double)count);
	segment_close(s);
}

/* All that callgrind counts. */
long bench_find(const struct acme_segment *s, char (*names)[NAME_MAX_LEN],
		long times);

__attribute__((noinline)) long bench_find(const struct acme_segment *s,
					  char (*names)[NAME_MAX_LEN],
					  long times)
{
	static char buf[16384];
	struct acme_segment_record r;
	long found = 0;

	for (long i = 0; i < times; i++)
		found += acme_segment_find(s, ACME_SEGMENT_CERT, names[i],
					   strlen(names[i]), buf, sizeof buf,
					   &r) == ACME_SEGMENT_OK;
	return found;
}

static void find(const char *path, long count, long times)
{
	char(*names)[NAME_MAX_LEN] = calloc((size_t)times, sizeof *names);
	struct acme_segment s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!names || acme_segment_attach(&s, fd) != ACME_SEGMENT_OK)
		die(path);
	for (long i = 0; i < times; i++) /* spread over all of them */
		snprintf(names[i], NAME_MAX_LEN, "%ld.bench.test",
			 (long)((double)i / (double)times * (double)count));
	double start = now_us();
	if (bench_find(&s, names, times) != times)
		die("a name was not found");
	printf("%.0f\n", (now_us() - start) * 1e3 / (double)times);
	acme_segment_detach(&s);
	close(fd);
	free(names);
}

static void restore(const char *path, const char *from)
{
	struct segment *s = open_segment(path);
	struct acme_segment other;
	struct err e = { 0 };
	size_t skipped;
	int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (acme_segment_attach(&other, fd) != ACME_SEGMENT_OK)
		die(from);
	double start = now_us();
	if (segment_restore(s, &other, &skipped, &e) < 0 || skipped)
		die(e.text);
	printf("%.1f\n", (now_us() - start) / 1e3);
	acme_segment_detach(&other);
	close(fd);
	segment_close(s);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";
	long count = argc > 3 ? strtol(argv[3], NULL, 10) : 0;

	if (strcmp(what, "fill") == 0 && argc == 7) {
		fill(argv[2], count, argv + 4);
	} else if (strcmp(what, "put") == 0 && argc == 7) {
		struct segment *s = open_segment(argv[2]);
		double start = now_us();
		put(s, 0, count, argv + 4);
		printf("%.2f\n", (now_us() - start) / (double)count);
		segment_close(s);
	} else if (strcmp(what, "find") == 0 && argc == 5) {
		find(argv[2], count, strtol(argv[4], NULL, 10));
	} else if (strcmp(what, "restore") == 0 && argc == 4) {
		restore(argv[2], argv[3]);
	} else {
		die("see the comment at the top of segment.c");
	}
	return 0;
}
