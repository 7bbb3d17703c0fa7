/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of the segment share: a file in a folder of its own, made-up
 * certificates, and looking one up as a worker would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/segment.h"

struct fixture {
	char folder[64];
	char path[96];
	struct segment *seg;
	struct err e;
};

static inline void fixture_must(struct fixture *f, int rc)
{
	if (rc < 0)
		fail_msg("%d %s", rc, f->e.text);
}

static inline struct segment *fixture_open(struct fixture *f, int64_t grace)
{
	struct segment_opts o = SEGMENT_OPTS;

	o.grace_ms = grace;
	fixture_must(f, segment_open(f->path, &o, &f->seg, &f->e));
	return f->seg;
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(f->folder, sizeof f->folder, "%s/acme-segment-XXXXXX", shm);
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof f->path, "%s/segment.1", f->folder);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	segment_close(f->seg);
	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

/* A certificate whose parts can be told from each other and from those of any
 * other name and version. */
struct made {
	char name[64];
	char leaf[1100], key[138], issuer[1000];
	char host[2][80];
	struct str chain[1], names[2];
	struct segment_entry entry;
	struct segment_cert cert;
};

static inline void fill(char *to, size_t len, const char *what,
			const char *name, uint64_t version)
{
	char word[128];
	int n = snprintf(word, sizeof word, "%s %s %llu;", what, name,
			 (unsigned long long)version);

	for (size_t i = 0; i < len; i++)
		to[i] = word[i % (size_t)n];
}

static inline struct segment_cert *made(struct made *m, const char *name,
					uint64_t version)
{
	memset(m, 0, sizeof *m);
	snprintf(m->name, sizeof m->name, "%s", name);
	fill(m->leaf, sizeof m->leaf, "leaf", name, version);
	fill(m->key, sizeof m->key, "key", name, version);
	fill(m->issuer, sizeof m->issuer, "issuer", "shared", 0);
	snprintf(m->host[0], sizeof m->host[0], "%s.test", name);
	snprintf(m->host[1], sizeof m->host[1], "*.%s.test", name);
	m->names[0] = str_of(m->host[0]);
	m->names[1] = str_of(m->host[1]);
	m->chain[0] = (struct str){ m->issuer, sizeof m->issuer };
	m->entry = (struct segment_entry){
		.type = ACME_SEGMENT_ECDSA_256,
		.leaf = { m->leaf, sizeof m->leaf },
		.key = { m->key, sizeof m->key },
		.chain = m->chain,
		.chain_count = 1,
	};
	m->cert = (struct segment_cert){
		.name = str_of(m->name),
		.version = version,
		.not_before = 1000 + (int64_t)version,
		.not_after = 2000 + (int64_t)version,
		.entries = &m->entry,
		.entry_count = 1,
		.names = m->names,
		.name_count = 2,
	};
	return &m->cert;
}

static inline int put(struct segment *s, const char *name, uint64_t version,
		      struct err *e)
{
	struct made m;

	return segment_put_cert(s, made(&m, name, version), e);
}

/* Whether the segment serves some `made(name, version)` with its chain.
 * Its version, 0 if it is absent; -1 - result if the reader says so, -20 and
 * below if what it gave is wrong. */
static inline int64_t serves(const struct acme_segment *s, const char *name)
{
	unsigned char buf[8192], chain_buf[8192];
	struct acme_segment_record r, c;
	struct acme_segment_entry x;
	struct acme_segment_bytes der;
	struct made m;
	enum acme_segment_result rc = acme_segment_find(
	    s, ACME_SEGMENT_CERT, name, strlen(name), buf, sizeof buf, &r);

	if (rc == ACME_SEGMENT_ABSENT)
		return 0;
	if (rc != ACME_SEGMENT_OK || !acme_segment_cert(&r, 0, &x))
		return -1 - (int64_t)rc;
	made(&m, name, r.version);
	if (x.leaf.len != sizeof m.leaf || x.key.len != sizeof m.key ||
	    memcmp(x.leaf.ptr, m.leaf, sizeof m.leaf) ||
	    memcmp(x.key.ptr, m.key, sizeof m.key) ||
	    r.not_before != m.cert.not_before)
		return -20;
	rc = acme_segment_find_chain(s, x.chain, chain_buf, sizeof chain_buf,
				     &c);
	if (rc != ACME_SEGMENT_OK)
		return rc == ACME_SEGMENT_ABSENT ? -22 : -1 - (int64_t)rc;
	if (!acme_segment_chain(&c, 0, &der) || der.len != sizeof m.issuer ||
	    memcmp(der.ptr, m.issuer, sizeof m.issuer))
		return -21;
	return (int64_t)r.version;
}

/* The identity to which a host leads, or "". */
static inline const char *leads(const struct acme_segment *s, const char *host)
{
	static char text[ACME_SEGMENT_NAME_MAX + 1];
	unsigned char buf[2048];
	struct acme_segment_record r;

	text[0] = '\0';
	if (acme_segment_find_name(s, host, strlen(host), buf, sizeof buf,
				   &r) == ACME_SEGMENT_OK) {
		memcpy(text, r.body, r.body_len);
		text[r.body_len] = '\0';
	}
	return text;
}

/* A reader that starts now, on a descriptor of its own. */
static inline int fresh_reader(struct acme_segment *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	enum acme_segment_result rc = acme_segment_attach(s, fd);
	if (rc != ACME_SEGMENT_OK)
		close(fd);
	return (int)rc;
}

static inline void end_reader(struct acme_segment *s)
{
	int fd = s->fd;

	acme_segment_detach(s);
	close(fd);
}

static inline size_t count_kind(const struct acme_segment *s, uint32_t kind)
{
	struct acme_segment_cursor c = { 0 };
	unsigned char *buf = malloc(ACME_SEGMENT_RECORD_MAX);
	struct acme_segment_record r;
	enum acme_segment_result rc;
	size_t n = 0;

	while ((rc = acme_segment_next(s, &c, buf, ACME_SEGMENT_RECORD_MAX,
				       &r)) == ACME_SEGMENT_OK)
		n += kind == 0 || r.kind == kind;
	assert_int_equal(rc, ACME_SEGMENT_ABSENT);
	free(buf);
	return n;
}

/* Whether the bytes occur anywhere in the file. */
static inline int file_holds(const char *path, const char *bytes)
{
	FILE *file = fopen(path, "rb");
	struct stat st;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	char *all = malloc((size_t)st.st_size + 1);
	size_t n = fread(all, 1, (size_t)st.st_size, file);
	int found = memmem(all, n, bytes, strlen(bytes)) != NULL;
	free(all);
	fclose(file);
	return found;
}
