/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to what nginx reads: see publish.h.
 *
 * The segment lies in memory and is written on the loop: it is a few system
 * calls that never wait for a disk. The replica does, so a pool job copies what
 * has changed from the segment to it, one job at a time, for as many names as
 * have gathered; the records themselves were made durable by the store before.
 */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/now.h"
#include "crypto/chain.h"
#include "crypto/key.h"
#include "crypto/sha.h"
#include "loop/after.h"
#include "loop/work.h"
#include "segment/copy.h"
#include "segment/segment.h"

enum { TICK_MS = 5000, PATH_LEN = 512 };

/* Names whose certificates the replica does not have yet. */
struct backlog {
	char **names;
	size_t count;
};

struct publisher {
	struct log log;
	struct loop *loop;
	struct segment *segment, *replica;
	char path[PATH_LEN];
	bool incomplete, closing;
	struct after *tick;
	struct work *work;
	struct backlog waiting, writing;
	struct err replica_error; /* of the job */
	bool lagging; /* the replica could not be written */
};

/* --------------------------------------------------------------- opening */

static void set_aside(struct publisher *p, const char *path)
{
	char to[PATH_LEN + 64], stamp[NOW_TEXT];

	snprintf(to, sizeof to, "%s.damaged-%s", path,
	         now_text(now_wall(), 0, stamp));
	if (rename(path, to) == 0)
		log_error(&p->log, "damaged replica set aside", "file=%s", to);
	else
		log_error(&p->log, "damaged replica", "file=%s error=\"%s\"",
		          path, strerrordesc_np(errno));
}

/* Without a replica we go on: the store has everything. */
static void open_replica(struct publisher *p, const char *state_dir)
{
	struct segment_opts opts = SEGMENT_OPTS;
	char path[PATH_LEN];
	struct err e;

	opts.flags = SEGMENT_DURABLE;
	snprintf(path, sizeof path, "%s/replica.1", state_dir);
	int rc = segment_open(path, &opts, &p->replica, &e);
	if (rc == ERR_INVALID) {
		set_aside(p, path);
		rc = segment_open(path, &opts, &p->replica, &e);
	}
	if (rc < 0)
		log_err(&p->log, LOG_LEVEL_ERROR, "no replica", &e);
}

/* Whichever of the two is new gets what the other has. So does a segment that
 * is empty: who made it was killed before the restore. */
static void level(struct publisher *p)
{
	bool fresh = segment_state(p->segment) != SEGMENT_KEPT ||
	             publisher_count(p) == 0;
	bool stale = segment_state(p->replica) != SEGMENT_KEPT;
	size_t skipped = 0;
	struct err e;
	int rc = 0;

	if (fresh && !stale)
		rc = segment_restore(p->segment, segment_reader(p->replica),
		                     &skipped, &e);
	else if (stale && !fresh)
		rc = segment_restore(p->replica, segment_reader(p->segment),
		                     &skipped, &e);
	if (rc < 0)
		log_err(&p->log, LOG_LEVEL_ERROR, "restore", &e);
	if (skipped)
		log_error(&p->log, "damaged records passed over", "count=%zu",
		          skipped);
}

int publisher_open(const char *run_dir, const char *state_dir,
                   const struct log *log, struct publisher **out,
                   struct err *e)
{
	struct publisher *p = mem_alloc(sizeof *p);
	struct segment_opts opts = SEGMENT_OPTS;
	int64_t begun = now_mono();

	*out = NULL;
	log_init(&p->log, log, "publish", NULL);
	snprintf(p->path, sizeof p->path, "%s/segment.1", run_dir);
	opts.flags = SEGMENT_REPAIR;
	int rc = segment_open(p->path, &opts, &p->segment, e);
	if (rc < 0) {
		free(p);
		return rc;
	}
	if (segment_state(p->segment) == SEGMENT_REPAIRED)
		log_error(&p->log, "segment was damaged", "file=%s", p->path);
	open_replica(p, state_dir);
	if (p->replica)
		level(p);
	log_notice(&p->log, "published", "certificates=%zu took=%lldms",
	           publisher_count(p), (long long)(now_mono() - begun));
	*out = p;
	return 0;
}

bool publisher_has_replica(const struct publisher *p)
{
	return p->replica != NULL;
}

size_t publisher_count(const struct publisher *p)
{
	const struct acme_segment *reader = segment_reader(p->segment);
	struct acme_segment_cursor cursor = { 0 };
	struct acme_segment_record record;
	void *buf = mem_alloc(ACME_SEGMENT_RECORD_MAX);
	enum acme_segment_result result;
	size_t count = 0;

	do {
		result = acme_segment_next(reader, &cursor, buf,
		                           ACME_SEGMENT_RECORD_MAX, &record);
		count += result == ACME_SEGMENT_OK &&
		         record.kind == ACME_SEGMENT_CERT;
	} while (result == ACME_SEGMENT_OK || result == ACME_SEGMENT_DAMAGED);
	explicit_bzero(buf, ACME_SEGMENT_RECORD_MAX);
	free(buf);
	return count;
}

int publisher_set_group(struct publisher *p, gid_t gid, struct err *e)
{
	mode_t mode = gid == (gid_t)-1 ? 0600 : 0640;
	struct stat st;

	if (mode == 0600 && stat(p->path, &st) == 0 &&
	    (st.st_mode & 07777) == mode)
		return 0;
	if (chown(p->path, (uid_t)-1, gid) < 0 || chmod(p->path, mode) < 0)
		return err_errno(e, errno, "%s: group %u", p->path,
		                 (unsigned)gid);
	return 0;
}

/* --------------------------------------- a record as the segment has it */

static enum acme_segment_key type_of(enum key_kind kind)
{
	switch (kind) {
	case KEY_EC256:
		return ACME_SEGMENT_ECDSA_256;
	case KEY_EC384:
		return ACME_SEGMENT_ECDSA_384;
	case KEY_EC521:
		return ACME_SEGMENT_ECDSA_521;
	case KEY_RSA2048:
		return ACME_SEGMENT_RSA_2048;
	case KEY_RSA3072:
		return ACME_SEGMENT_RSA_3072;
	case KEY_RSA4096:
		return ACME_SEGMENT_RSA_4096;
	case KEY_OTHER:
		break;
	}
	return 0;
}

/* What a segment_cert borrows while it is put. */
struct parts {
	struct segment_cert cert;
	struct segment_entry entries[CERT_KEYS_MAX];
	struct chain *chains[CERT_KEYS_MAX];
	struct secret keys[CERT_KEYS_MAX];
	struct str ders[CERT_KEYS_MAX][CHAIN_CERTS_MAX];
	struct str *names;
};

/* The same certificates, the same version. */
static uint64_t version_of(const struct cert_record *r)
{
	uint8_t digest[SHA256_LEN];
	struct buf text = BUF_INIT(RECORD_MAX);
	uint64_t version;

	for (size_t i = 0; i < r->key_count; i++)
		buf_addf(&text, "%s %s %s\n", key_kind_name(r->keys[i].kind),
		         r->keys[i].issuer, r->keys[i].serial);
	sha256(text.ptr, text.len, digest);
	memcpy(&version, digest, sizeof version);
	buf_free(&text);
	return version;
}

static int add_entry(struct parts *p, const struct cert_key *k, struct err *e)
{
	size_t n = p->cert.entry_count;
	struct segment_entry *entry = &p->entries[n];
	int rc = chain_read(str_of(k->chain), &p->chains[n], e);

	if (rc == 0)
		rc = key_pem_der((struct str){ k->key.ptr, k->key.len },
		                 &p->keys[n], e);
	if (rc < 0)
		return err_in(e, "%s", key_kind_name(k->kind));
	*entry = (struct segment_entry){
		.type = type_of(k->kind),
		.leaf = chain_der(p->chains[n], 0),
		.key = { p->keys[n].ptr, p->keys[n].len },
		.chain = p->ders[n],
		.chain_count = chain_count(p->chains[n]) - 1,
	};
	for (size_t i = 0; i < entry->chain_count; i++)
		p->ders[n][i] = chain_der(p->chains[n], i + 1);
	if (!n || k->not_before / 1000 > p->cert.not_before)
		p->cert.not_before = k->not_before / 1000;
	if (!n || k->not_after / 1000 < p->cert.not_after)
		p->cert.not_after = k->not_after / 1000;
	p->cert.entry_count++;
	return 0;
}

static void add_names(struct parts *p, const struct cert_record *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->key_count; i++)
		count += r->keys[i].identifiers.count;
	p->names = mem_array(count, sizeof *p->names);
	for (size_t i = 0; i < r->key_count; i++)
		for (size_t j = 0; j < r->keys[i].identifiers.count; j++) {
			struct str name =
				str_of(r->keys[i].identifiers.list[j]);
			size_t k = 0;
			while (k < p->cert.name_count &&
			       !str_eq(p->names[k], name))
				k++;
			if (k == p->cert.name_count)
				p->names[p->cert.name_count++] = name;
		}
	p->cert.names = p->names;
}

static void parts_free(struct parts *p)
{
	for (size_t i = 0; i < CERT_KEYS_MAX; i++) {
		chain_free(p->chains[i]);
		secret_free(&p->keys[i]);
	}
	free(p->names);
	free(p);
}

static int put_record(struct publisher *p, const struct cert_record *r,
                      uint64_t version, struct err *e)
{
	struct parts *parts = mem_alloc(sizeof *parts);
	int rc = 0;

	parts->cert.name = str_of(r->name);
	parts->cert.version = version;
	parts->cert.entries = parts->entries;
	for (size_t i = 0; rc == 0 && i < r->key_count; i++)
		rc = add_entry(parts, &r->keys[i], e);
	if (rc == 0) {
		add_names(parts, r);
		rc = segment_put_cert(p->segment, &parts->cert, e);
	}
	parts_free(parts);
	return rc;
}

static bool has_version(const struct segment *s, const char *name,
                        uint64_t version)
{
	const struct acme_segment *reader = segment_reader(s);
	struct acme_segment_record record;
	char *buf = mem_alloc(ACME_SEGMENT_RECORD_MAX);
	enum acme_segment_result result =
		acme_segment_find(reader, ACME_SEGMENT_CERT, name, strlen(name),
	                          buf, ACME_SEGMENT_RECORD_MAX, &record);
	bool same = result == ACME_SEGMENT_OK && record.version == version;

	if (result == ACME_SEGMENT_OK)
		explicit_bzero(buf, record.size);
	free(buf);
	return same;
}

static void want_replica(struct publisher *p, const char *name);

int publisher_install(struct publisher *p, const struct cert_record *record,
                      struct err *e)
{
	uint64_t version = version_of(record);

	if (record->key_count == 0)
		return 0;
	if (has_version(p->segment, record->name, version)) {
		/* who published it may have been killed before it was there */
		if (p->replica &&
		    !has_version(p->replica, record->name, version))
			want_replica(p, record->name);
		return 0;
	}
	int rc = put_record(p, record, version, e);
	if (rc < 0) {
		p->incomplete = true;
		return err_in(e, "publish %s", record->name);
	}
	want_replica(p, record->name);
	return 0;
}

void publisher_withdraw(struct publisher *p, const char *name)
{
	struct err e;

	if (segment_remove_cert(p->segment, str_of(name), &e) < 0 &&
	    e.code != ERR_ABSENT)
		log_err(&p->log, LOG_LEVEL_ERROR, "withdraw", &e);
	want_replica(p, name);
}

bool publisher_incomplete(const struct publisher *p)
{
	return p->incomplete;
}

void publisher_again(struct publisher *p)
{
	p->incomplete = false;
}

int publisher_token(struct publisher *p, struct str token, struct str value,
                    struct err *e)
{
	return segment_put_token(p->segment, token, value, e);
}

int publisher_withdraw_token(struct publisher *p, struct str token,
                             struct err *e)
{
	int rc = segment_remove_token(p->segment, token, e);

	return rc == ERR_ABSENT ? 0 : rc;
}

/* ------------------------------------------------------------- replica */

static void backlog_free(struct backlog *b)
{
	for (size_t i = 0; i < b->count; i++)
		free(b->names[i]);
	free(b->names);
	*b = (struct backlog){ 0 };
}

/* Pool thread: the whole segment, by its reader. What is equal costs a look. */
static void replica_job(void *arg)
{
	struct publisher *p = arg;
	struct err e;
	int rc = 0;

	p->replica_error = (struct err){ 0 };
	for (size_t i = 0; rc == 0 && i < p->writing.count; i++) {
		struct str name = str_of(p->writing.names[i]);
		rc = segment_copy_cert(p->replica, segment_reader(p->segment),
		                       name, &e);
		if (rc == ERR_ABSENT) /* withdrawn */
			rc = segment_remove_cert(p->replica, name, &e);
		if (rc == ERR_ABSENT)
			rc = 0;
	}
	if (rc == 0)
		rc = segment_sync(p->replica, &e);
	if (rc == 0)
		rc = segment_collect(p->replica, now_mono(), &e);
	if (rc < 0)
		p->replica_error = e;
}

static void backlog_add(struct backlog *b, char *name)
{
	b->names = mem_grow(b->names, b->count + 1, sizeof *b->names);
	b->names[b->count++] = name;
}

/* What could not be written waits for the next tick, with what has come. */
static void replica_failed(struct publisher *p)
{
	for (size_t i = 0; i < p->writing.count; i++)
		backlog_add(&p->waiting, p->writing.names[i]);
	p->writing.count = 0;
	if (!p->lagging)
		log_err(&p->log, LOG_LEVEL_ERROR, "replica",
		        &p->replica_error);
	p->lagging = true;
}

static void start_replica(struct publisher *p);

static void replica_done(void *arg)
{
	struct publisher *p = arg;

	p->work = NULL;
	if (p->replica_error.code) {
		replica_failed(p);
	} else {
		if (p->lagging)
			log_notice(&p->log, "replica is complete again", NULL);
		p->lagging = false;
	}
	backlog_free(&p->writing);
	if (!p->lagging && p->waiting.count)
		start_replica(p);
}

static void start_replica(struct publisher *p)
{
	if (p->work || p->closing || !p->loop)
		return;
	p->writing = p->waiting;
	p->waiting = (struct backlog){ 0 };
	p->work = work_start(p->loop, replica_job, replica_done, NULL, p);
}

static void want_replica(struct publisher *p, const char *name)
{
	if (!p->replica)
		return;
	backlog_add(&p->waiting, mem_strdup(name));
	if (!p->lagging)
		start_replica(p);
}

/* ---------------------------------------------------------- background */

static void tick(void *arg)
{
	struct publisher *p = arg;
	struct err e;

	p->tick = after_start(p->loop, TICK_MS, tick, p);
	segment_heartbeat(p->segment, now_wall());
	if (segment_has_garbage(p->segment) &&
	    segment_collect(p->segment, now_mono(), &e) < 0)
		log_err(&p->log, LOG_LEVEL_WARN, "collect", &e);
	/* Superseded keys are to be wiped there, too. */
	if (p->replica && !p->work &&
	    (p->waiting.count || segment_has_garbage(p->replica)))
		start_replica(p);
}

void publisher_start(struct publisher *p, struct loop *loop)
{
	p->loop = loop;
	tick(p);
}

void publisher_close(struct publisher *p)
{
	if (!p)
		return;
	after_cancel(&p->tick);
	p->closing = true;
	while (p->work) /* it writes the replica, and has us in its hands */
		loop_run_once(p->loop, 100);
	if (p->waiting.count && p->replica) {
		backlog_free(&p->writing);
		p->writing = p->waiting;
		p->waiting = (struct backlog){ 0 };
		replica_job(p);
	}
	backlog_free(&p->writing);
	segment_close(p->replica);
	segment_close(p->segment);
	free(p);
}
