/* SPDX-License-Identifier: Apache-2.0 */
/* segment/: what the writer publishes, a reader finds. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "base/now.h"
#include "segment/copy.h"

static void crc32c_agrees_with_the_published_vector(void **state)
{
	(void)state;
	assert_int_equal(acme_segment_crc32c(0, "123456789", 9), 0xe3069283);
	uint32_t half = acme_segment_crc32c(0, "12345", 5);
	assert_int_equal(acme_segment_crc32c(half, "6789", 4), 0xe3069283);
}

/* What a processor computes by itself is what the table says. */
static void crc32c_is_the_same_in_hardware(void **state)
{
	unsigned char bytes[300];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 5);
	for (size_t start = 0; start < 9; start++)
		for (size_t len = 0; start + len <= sizeof bytes; len++)
			assert_int_equal(
			    acme_segment_crc32c(0x12345678, bytes + start, len),
			    ~acme_segment__crc_table(~0x12345678u,
						     bytes + start, len));
}

static void siphash_agrees_with_the_published_vectors(void **state)
{
	uint8_t key[16], text[16];
	(void)state;

	for (uint8_t i = 0; i < 16; i++)
		key[i] = text[i] = i;
	assert_true(acme_segment_hash(key, 0, text, 0) == 0x726fdb47dd0e0e31u);
	assert_true(acme_segment_hash(key, 0, text, 8) == 0x93f5f5799a932462u);
	assert_true(acme_segment_hash(key, 0, text, 15) == 0xa129ca6149be45e5u);
}

static void the_layout_is_what_others_were_built_with(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct acme_segment_header), 4096);
	assert_int_equal(offsetof(struct acme_segment_header, root), 64);
	assert_int_equal(offsetof(struct acme_segment_header, switches), 68);
	assert_int_equal(offsetof(struct acme_segment_header, epoch), 72);
	assert_int_equal(offsetof(struct acme_segment_header, changes), 76);
	assert_int_equal(offsetof(struct acme_segment_header, heartbeat), 80);
	assert_int_equal(sizeof(struct acme_segment_space), 64);
	assert_int_equal(sizeof(struct acme_segment_slot), 8);
	assert_int_equal(sizeof(struct acme_segment_head), 40);
	assert_int_equal(sizeof(struct acme_segment_cert_entry), 24);
}

static void a_certificate_is_found_with_all_its_parts(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	const struct acme_segment *r = segment_reader(s);

	assert_int_equal(segment_state(s), SEGMENT_NEW);
	uint32_t epoch = acme_segment_epoch(r),
		 changes = acme_segment_changes(r);
	fixture_must(f, put(s, "a", 7, &f->e));
	assert_int_not_equal(acme_segment_epoch(r), epoch);
	assert_int_not_equal(acme_segment_changes(r), changes);
	assert_int_equal(serves(r, "a"), 7);
	assert_int_equal(serves(r, "b"), 0);
	assert_string_equal(leads(r, "A.Test."), "a");
	assert_string_equal(leads(r, "www.a.test"), "a");
	assert_string_equal(leads(r, "x.www.a.test"), "");
	assert_string_equal(leads(r, "test"), "");
}

static void a_new_version_replaces_the_old(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct made m;

	fixture_must(f, put(s, "a", 1, &f->e));
	made(&m, "a", 2)->name_count = 1;
	m.names[0] = STR("Other.Test");
	fixture_must(f, segment_put_cert(s, &m.cert, &f->e));
	assert_int_equal(serves(segment_reader(s), "a"), 2);
	assert_string_equal(leads(segment_reader(s), "other.test"), "a");
	assert_string_equal(leads(segment_reader(s), "a.test"), "");
	assert_int_equal(count_kind(segment_reader(s), ACME_SEGMENT_CHAIN), 1);
}

static void several_key_types_share_one_record(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct made m;
	unsigned char buf[8192];
	struct acme_segment_record r;
	struct acme_segment_entry x;
	struct acme_segment_bytes n;

	made(&m, "a", 1);
	struct segment_entry two[2] = { m.entry, m.entry };
	two[1].type = ACME_SEGMENT_RSA_2048;
	two[1].leaf = STR("rsa leaf");
	two[1].chain_count = 0;
	m.cert.entries = two;
	m.cert.entry_count = 2;
	fixture_must(f, segment_put_cert(s, &m.cert, &f->e));
	assert_int_equal(acme_segment_find(segment_reader(s), ACME_SEGMENT_CERT,
					   "a", 1, buf, sizeof buf, &r),
			 ACME_SEGMENT_OK);
	assert_int_equal(acme_segment_cert_count(&r), 2);
	assert_true(acme_segment_cert(&r, 1, &x));
	assert_int_equal(x.type, ACME_SEGMENT_RSA_2048);
	assert_int_equal(x.leaf.len, 8);
	assert_memory_equal(x.leaf.ptr, "rsa leaf", 8);
	assert_true(x.chain == 0);
	assert_false(acme_segment_cert(&r, 2, &x));
	assert_true(acme_segment_cert_name(&r, 1, &n));
	assert_memory_equal(n.ptr, "*.a.test", n.len);
	assert_false(acme_segment_cert_name(&r, 2, &n));
}

static void the_last_certificate_that_claims_a_name_has_it(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	const struct acme_segment *r = segment_reader(s);
	struct made m;

	fixture_must(f, put(s, "a", 1, &f->e));
	made(&m, "b", 1);
	m.names[1] = STR("a.test");
	fixture_must(f, segment_put_cert(s, &m.cert, &f->e));
	assert_string_equal(leads(r, "a.test"), "b");
	fixture_must(f, segment_remove_cert(s, STR("a"), &f->e));
	assert_int_equal(serves(r, "a"), 0);
	assert_string_equal(leads(r, "a.test"), "b");
	assert_string_equal(leads(r, "w.a.test"), "");
	assert_int_equal(segment_remove_cert(s, STR("a"), &f->e), ERR_ABSENT);
}

static void tokens_and_challenge_certificates_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	const struct acme_segment *reader = segment_reader(s);
	unsigned char buf[512];
	struct acme_segment_record r;
	struct acme_segment_bytes cert, key;

	uint32_t epoch = acme_segment_epoch(reader);
	fixture_must(f,
		     segment_put_token(s, STR("tok"), STR("tok.thumb"), &f->e));
	fixture_must(f, segment_put_alpn(s, STR("A.test"), STR("cert"),
					 STR("keykey"), &f->e));
	assert_int_equal(acme_segment_epoch(reader), epoch);
	assert_int_equal(acme_segment_find(reader, ACME_SEGMENT_TOKEN, "tok", 3,
					   buf, sizeof buf, &r),
			 ACME_SEGMENT_OK);
	assert_int_equal(r.body_len, 9);
	assert_memory_equal(r.body, "tok.thumb", 9);
	assert_int_equal(acme_segment_find(reader, ACME_SEGMENT_ALPN, "a.test",
					   6, buf, sizeof buf, &r),
			 ACME_SEGMENT_OK);
	assert_true(acme_segment_alpn(&r, &cert, &key));
	assert_int_equal(cert.len, 4);
	assert_memory_equal(key.ptr, "keykey", 6);
	fixture_must(f, segment_remove_token(s, STR("tok"), &f->e));
	fixture_must(f, segment_remove_alpn(s, STR("a.TEST"), &f->e));
	assert_int_equal(count_kind(reader, 0), 0);
	assert_int_equal(segment_remove_token(s, STR("tok"), &f->e),
			 ERR_ABSENT);
}

static void a_buffer_that_is_too_small_is_told_the_size(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct acme_segment_record r;
	unsigned char small[64];

	fixture_must(f, put(s, "a", 1, &f->e));
	assert_int_equal(acme_segment_find(segment_reader(s), ACME_SEGMENT_CERT,
					   "a", 1, small, sizeof small, &r),
			 ACME_SEGMENT_TOO_SMALL);
	unsigned char *exact = malloc(r.size);
	assert_int_equal(acme_segment_find(segment_reader(s), ACME_SEGMENT_CERT,
					   "a", 1, exact, r.size, &r),
			 ACME_SEGMENT_OK);
	free(exact);
}

static void a_record_larger_than_a_page_is_read_whole(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct acme_segment_record r;
	size_t len = 200000;
	char *big = malloc(len);
	unsigned char *buf = malloc(ACME_SEGMENT_RECORD_MAX);

	fill(big, len, "big", "token", 1);
	fixture_must(
	    f, segment_put_token(s, STR("t"), (struct str){ big, len }, &f->e));
	assert_int_equal(acme_segment_find(segment_reader(s),
					   ACME_SEGMENT_TOKEN, "t", 1, buf,
					   ACME_SEGMENT_RECORD_MAX, &r),
			 ACME_SEGMENT_OK);
	assert_int_equal(r.body_len, len);
	assert_memory_equal(r.body, big, len);
	free(big);
	free(buf);
}

static void what_passes_the_bounds_is_refused(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct made m;
	char long_name[ACME_SEGMENT_NAME_MAX + 1];

	memset(long_name, 'x', sizeof long_name);
	made(&m, "a", 1)->name = (struct str){ long_name, sizeof long_name };
	assert_int_equal(segment_put_cert(s, &m.cert, &f->e), ERR_INVALID);
	made(&m, "a", 1)->entry_count = 0;
	assert_int_equal(segment_put_cert(s, &m.cert, &f->e), ERR_INVALID);
	made(&m, "a", 1);
	m.names[1] = (struct str){ long_name, 254 };
	assert_int_equal(segment_put_cert(s, &m.cert, &f->e), ERR_INVALID);
	made(&m, "a", 1);
	m.entry.leaf.len = 0;
	assert_int_equal(segment_put_cert(s, &m.cert, &f->e), ERR_INVALID);
	size_t len = ACME_SEGMENT_RECORD_MAX;
	char *big = calloc(1, len);
	assert_int_equal(
	    segment_put_token(s, STR("t"), (struct str){ big, len }, &f->e),
	    ERR_INVALID);
	free(big);
	assert_int_equal(segment_put_token(s, STR(""), STR("x"), &f->e),
			 ERR_INVALID);
	assert_int_equal(count_kind(segment_reader(s), 0), 0);
}

static void a_reader_that_is_attached_follows_all_growth(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct acme_segment early;
	char name[32];

	assert_int_equal(fresh_reader(&early, f->path), ACME_SEGMENT_OK);
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(name, sizeof name, "c%u", i);
		fixture_must(f, put(s, name, i + 1, &f->e));
	}
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(name, sizeof name, "c%u", i);
		assert_int_equal(serves(&early, name), i + 1);
	}
	assert_int_equal(count_kind(&early, ACME_SEGMENT_CERT), 1500);
	assert_int_equal(count_kind(&early, ACME_SEGMENT_NAME), 3000);
	assert_int_equal(count_kind(&early, ACME_SEGMENT_CHAIN), 1);
	end_reader(&early);
}

static void a_second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0), *other;
	struct segment_opts o = SEGMENT_OPTS;

	assert_int_equal(segment_open(f->path, &o, &other, &f->e),
			 ERR_CONFLICT);
	assert_null(other);
	segment_close(s);
	fixture_open(f, 0);
	assert_int_equal(segment_state(f->seg), SEGMENT_KEPT);
}

static void the_next_writer_keeps_and_announces_everything(void **state)
{
	struct fixture *f = *state;
	struct acme_segment early;

	fixture_must(f, put(fixture_open(f, 0), "a", 3, &f->e));
	assert_int_equal(fresh_reader(&early, f->path), ACME_SEGMENT_OK);
	uint32_t epoch = acme_segment_epoch(&early);
	segment_close(f->seg);
	fixture_open(f, 0);
	assert_int_not_equal(acme_segment_epoch(&early), epoch);
	assert_int_equal(serves(&early, "a"), 3);
	fixture_must(f, put(f->seg, "b", 4, &f->e));
	assert_int_equal(serves(&early, "a"), 3);
	assert_int_equal(serves(&early, "b"), 4);
	end_reader(&early);
}

static void superseded_keys_are_wiped_after_the_grace(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 1000);

	fixture_must(f, put(s, "a", 1, &f->e));
	fixture_must(f, put(s, "a", 2, &f->e));
	assert_true(segment_has_garbage(s));
	fixture_must(f, segment_collect(s, 5000, &f->e));
	fixture_must(f, segment_collect(s, 5999, &f->e));
	assert_true(file_holds(f->path, "key a 1;"));
	fixture_must(f, segment_collect(s, 6000, &f->e));
	assert_false(file_holds(f->path, "key a 1;"));
	assert_true(file_holds(f->path, "key a 2;"));
	assert_false(segment_has_garbage(s));
	fixture_must(f, segment_remove_cert(s, STR("a"), &f->e));
	fixture_must(f, segment_collect(s, 7000, &f->e));
	fixture_must(f, segment_collect(s, 8000, &f->e));
	assert_false(file_holds(f->path, "key a"));
}

static void what_a_dead_writer_left_is_wiped_too(void **state)
{
	struct fixture *f = *state;

	fixture_must(f, put(fixture_open(f, 1000), "a", 1, &f->e));
	fixture_must(f, put(f->seg, "b", 1, &f->e));
	fixture_must(f, put(f->seg, "a", 2, &f->e));
	segment_close(f->seg);
	fixture_open(f, 0);
	assert_true(file_holds(f->path, "key a 1;"));
	fixture_must(f, segment_collect(f->seg, 1, &f->e));
	assert_false(file_holds(f->path, "key a 1;"));
	assert_int_equal(serves(segment_reader(f->seg), "a"), 2);
	assert_int_equal(serves(segment_reader(f->seg), "b"), 1);
}

static void thousands_of_renewals_need_bounded_room(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 10);
	struct stat st;
	char name[32];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "c%u", i % 20);
		fixture_must(f, put(s, name, i + 1, &f->e));
		fixture_must(f, segment_collect(s, i, &f->e));
	}
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "c%u", i);
		assert_int_equal(serves(segment_reader(s), name), 2981 + i);
	}
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size < 2 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
}

static void a_certificate_costs_at_most_two_kilobytes(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct stat st;
	char name[32];

	for (unsigned i = 0; i < 4000; i++) {
		snprintf(name, sizeof name, "certificate%u.example", i);
		fixture_must(f, put(s, name, i + 1, &f->e));
		fixture_must(f, segment_collect(s, i, &f->e));
	}
	fixture_must(f, segment_collect(s, 5000, &f->e));
	assert_int_equal(stat(f->path, &st), 0);
	print_message("# %ld bytes for each certificate\n",
		      (long)(st.st_blocks * 512 / 4000));
	assert_true(st.st_blocks * 512 / 4000 <= 2048);
}

/* A file that may not grow stands for a disk that is full: posix_fallocate
 * fails the same way. */
static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_leaves_all_that_was_published(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	char name[32];
	unsigned n;
	int rc = 0;

	limit_file_size(400000);
	for (n = 0; rc == 0 && n < 1000; n++) {
		snprintf(name, sizeof name, "c%u", n);
		rc = put(s, name, n + 1, &f->e);
	}
	assert_int_equal(rc, ERR_NOSPACE);
	assert_int_equal(serves(segment_reader(s), name), 0);
	n--;
	assert_true(n > 50);
	assert_int_equal(segment_begin_rebuild(s, &f->e), ERR_NOSPACE);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof name, "c%u", i);
		assert_int_equal(serves(segment_reader(s), name), i + 1);
	}
	limit_file_size(RLIM_INFINITY);
	fixture_must(f, put(s, "after", 9, &f->e));
	assert_int_equal(serves(segment_reader(s), "after"), 9);
	assert_int_equal(count_kind(segment_reader(s), ACME_SEGMENT_CERT),
			 n + 1);
}

static bool is_b(void *arg, struct str name)
{
	++*(int *)arg;
	return str_eq(name, STR("b"));
}

static void a_rebuild_shows_all_at_once_and_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	const struct acme_segment *r = segment_reader(s);
	int asked = 0;

	fixture_must(f, put(s, "a", 1, &f->e));
	fixture_must(f, put(s, "b", 1, &f->e));
	fixture_must(f, put(s, "c", 1, &f->e));
	fixture_must(f, segment_begin_rebuild(s, &f->e));
	fixture_must(f, put(s, "a", 2, &f->e));
	fixture_must(f, put(s, "d", 2, &f->e));
	fixture_must(f, segment_put_token(s, STR("t"), STR("t.k"), &f->e));
	assert_int_equal(serves(r, "a"), 1);
	assert_int_equal(serves(r, "d"), 0);
	assert_int_equal(count_kind(r, ACME_SEGMENT_TOKEN), 1);
	fixture_must(f, segment_end_rebuild(s, is_b, &asked, &f->e));
	assert_int_equal(serves(r, "a"), 2);
	assert_int_equal(serves(r, "b"), 0);
	assert_int_equal(serves(r, "c"), 1);
	assert_int_equal(serves(r, "d"), 2);
	assert_int_equal(asked, 2);
	assert_int_equal(count_kind(r, ACME_SEGMENT_TOKEN), 1);
	assert_string_equal(leads(r, "b.test"), "");
	assert_string_equal(leads(r, "c.test"), "c");
	fixture_must(f, segment_collect(s, 1, &f->e));
	assert_false(file_holds(f->path, "key b 1;"));
	assert_int_equal(serves(r, "c"), 1);
}

static void a_cancelled_rebuild_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);

	fixture_must(f, put(s, "a", 1, &f->e));
	fixture_must(f, segment_begin_rebuild(s, &f->e));
	fixture_must(f, put(s, "a", 2, &f->e));
	segment_cancel_rebuild(s);
	assert_int_equal(serves(segment_reader(s), "a"), 1);
	fixture_must(f, put(s, "a", 3, &f->e));
	assert_int_equal(serves(segment_reader(s), "a"), 3);
	fixture_must(f, segment_collect(s, 1, &f->e));
	assert_false(file_holds(f->path, "key a 2;"));
}

static void a_removal_in_a_rebuild_holds(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);

	fixture_must(f, put(s, "a", 1, &f->e));
	fixture_must(f, put(s, "b", 1, &f->e));
	fixture_must(f, segment_begin_rebuild(s, &f->e));
	fixture_must(f, put(s, "b", 2, &f->e));
	fixture_must(f, segment_remove_cert(s, STR("a"), &f->e));
	fixture_must(f, segment_remove_cert(s, STR("b"), &f->e));
	fixture_must(f, segment_end_rebuild(s, NULL, NULL, &f->e));
	assert_int_equal(count_kind(segment_reader(s), ACME_SEGMENT_CERT), 0);
	assert_int_equal(count_kind(segment_reader(s), ACME_SEGMENT_NAME), 0);
}

static void a_rebuild_may_grow_far_beyond_what_was(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	char name[32];

	fixture_must(f, put(s, "old", 1, &f->e));
	fixture_must(f, segment_begin_rebuild(s, &f->e));
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "c%u", i);
		fixture_must(f, put(s, name, i + 1, &f->e));
	}
	fixture_must(f, segment_end_rebuild(s, NULL, NULL, &f->e));
	assert_int_equal(count_kind(segment_reader(s), ACME_SEGMENT_CERT),
			 1001);
	assert_int_equal(serves(segment_reader(s), "c999"), 1000);
	assert_int_equal(serves(segment_reader(s), "old"), 1);
}

static void ten_thousand_are_restored_in_no_time(void **state)
{
	struct fixture *f = *state;
	struct fixture g = { 0 };
	struct segment *replica = fixture_open(f, 0);
	size_t skipped = 1;
	char name[32];

	fixture_must(f, segment_begin_rebuild(replica, &f->e));
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "c%u", i);
		fixture_must(f, put(replica, name, i + 1, &f->e));
	}
	fixture_must(f, segment_end_rebuild(replica, NULL, NULL, &f->e));
	snprintf(g.path, sizeof g.path, "%s/other", f->folder);
	struct segment *run = fixture_open(&g, 0);
	fixture_must(&g, put(run, "c5", 99999, &g.e));
	fixture_must(&g, put(run, "mine", 1, &g.e));
	int64_t start = now_mono();
	fixture_must(
	    &g, segment_restore(run, segment_reader(replica), &skipped, &g.e));
	print_message("# restored in %lld ms\n",
		      (long long)(now_mono() - start));
	assert_int_equal(skipped, 0);
	assert_int_equal(count_kind(segment_reader(run), ACME_SEGMENT_CERT),
			 10001);
	assert_int_equal(serves(segment_reader(run), "c9999"), 10000);
	assert_int_equal(serves(segment_reader(run), "c5"), 99999);
	assert_int_equal(serves(segment_reader(run), "mine"), 1);
	assert_string_equal(leads(segment_reader(run), "x.c77.test"), "c77");
	segment_close(run);
	unlink(g.path);
}

static void one_certificate_is_copied_whole(void **state)
{
	struct fixture *f = *state;
	struct fixture g = { 0 };
	struct segment *run = fixture_open(f, 0);
	struct made m;
	struct str chain[SEGMENT_CHAIN_MAX];
	unsigned char buf[32768];
	struct acme_segment_record r;
	struct acme_segment_entry x;

	made(&m, "a", 3);
	for (size_t i = 0; i < SEGMENT_CHAIN_MAX; i++)
		chain[i] = m.chain[0];
	struct segment_entry two[2] = { m.entry, m.entry };
	two[1].type = ACME_SEGMENT_RSA_4096;
	two[1].chain = chain;
	two[1].chain_count = SEGMENT_CHAIN_MAX;
	m.cert.entries = two;
	m.cert.entry_count = 2;
	fixture_must(f, segment_put_cert(run, &m.cert, &f->e));
	snprintf(g.path, sizeof g.path, "%s/other", f->folder);
	struct segment *replica = fixture_open(&g, 0);
	const struct acme_segment *s = segment_reader(replica);
	fixture_must(f, segment_copy_cert(replica, segment_reader(run),
					  STR("a"), &f->e));
	assert_int_equal(
	    segment_copy_cert(replica, segment_reader(run), STR("b"), &f->e),
	    ERR_ABSENT);
	assert_int_equal(serves(s, "a"), 3);
	assert_string_equal(leads(s, "w.a.test"), "a");
	assert_int_equal(acme_segment_find(s, ACME_SEGMENT_CERT, "a", 1, buf,
					   sizeof buf, &r),
			 ACME_SEGMENT_OK);
	assert_true(acme_segment_cert(&r, 1, &x));
	assert_int_equal(
	    acme_segment_find_chain(s, x.chain, buf, sizeof buf, &r),
	    ACME_SEGMENT_OK);
	assert_int_equal(acme_segment_chain_count(&r), SEGMENT_CHAIN_MAX);
	segment_close(replica);
	unlink(g.path);
}

static void mode_is_as_asked_whatever_it_was(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(0);
	int fd = open(f->path, O_CREAT | O_RDWR, 0666);

	assert_true(fd >= 0);
	close(fd);
	fixture_open(f, 0);
	umask(mask);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_name_that_was_damaged_heals_when_put_again(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);
	struct made m;
	char all[200000];

	fixture_must(f, put(s, "a", 1, &f->e));
	fixture_must(f, put(s, "b", 1, &f->e));
	made(&m, "a", 1);
	int fd = open(f->path, O_RDWR);
	ssize_t n = read(fd, all, sizeof all);
	char *at = memmem(all, (size_t)n, m.key, sizeof m.key);
	assert_non_null(at);
	assert_int_equal(pwrite(fd, "X", 1, at - all), 1);
	close(fd);
	assert_int_equal(serves(segment_reader(s), "a"),
			 -1 - ACME_SEGMENT_DAMAGED);
	assert_int_equal(serves(segment_reader(s), "b"), 1);
	fixture_must(f, put(s, "a", 2, &f->e));
	assert_int_equal(serves(segment_reader(s), "a"), 2);
}

static void a_heartbeat_is_seen(void **state)
{
	struct fixture *f = *state;
	struct segment *s = fixture_open(f, 0);

	assert_int_equal(acme_segment_heartbeat(segment_reader(s)), 0);
	segment_heartbeat(s, 1700000000999);
	assert_int_equal(acme_segment_heartbeat(segment_reader(s)), 1700000000);
	fixture_must(f, segment_sync(s, &f->e));
}

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(crc32c_agrees_with_the_published_vector),
		T(crc32c_is_the_same_in_hardware),
		T(siphash_agrees_with_the_published_vectors),
		T(the_layout_is_what_others_were_built_with),
		T(a_certificate_is_found_with_all_its_parts),
		T(a_new_version_replaces_the_old),
		T(several_key_types_share_one_record),
		T(the_last_certificate_that_claims_a_name_has_it),
		T(tokens_and_challenge_certificates_come_and_go),
		T(a_buffer_that_is_too_small_is_told_the_size),
		T(a_record_larger_than_a_page_is_read_whole),
		T(what_passes_the_bounds_is_refused),
		T(a_reader_that_is_attached_follows_all_growth),
		T(a_second_writer_is_refused),
		T(the_next_writer_keeps_and_announces_everything),
		T(superseded_keys_are_wiped_after_the_grace),
		T(what_a_dead_writer_left_is_wiped_too),
		T(thousands_of_renewals_need_bounded_room),
		T(a_certificate_costs_at_most_two_kilobytes),
		T(a_full_disk_leaves_all_that_was_published),
		T(a_rebuild_shows_all_at_once_and_loses_nothing),
		T(a_cancelled_rebuild_changes_nothing),
		T(a_removal_in_a_rebuild_holds),
		T(a_rebuild_may_grow_far_beyond_what_was),
		T(ten_thousand_are_restored_in_no_time),
		T(one_certificate_is_copied_whole),
		T(mode_is_as_asked_whatever_it_was),
		T(a_name_that_was_damaged_heals_when_put_again),
		T(a_heartbeat_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
