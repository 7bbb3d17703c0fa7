/* SPDX-License-Identifier: Apache-2.0 */
/* segment/: files that are empty, short, foreign, damaged; and what the writer
 * does with them. */
#include "fixture.h"

#include <sys/mman.h>

static void write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static ino_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void a_file_that_is_being_made_is_not_ready(void **state)
{
	struct fixture *f = *state;
	struct acme_segment r;
	char zero[4096] = "";

	write_file(f->path, "", 0);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_NOT_READY);
	write_file(f->path, zero, sizeof zero);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_NOT_READY);
	ino_t before = inode(f->path);
	fixture_open(f, 0);
	assert_int_equal(segment_state(f->seg), SEGMENT_NEW);
	assert_int_equal(inode(f->path), before);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_OK);
	end_reader(&r);
}

static void junk_is_refused_unless_it_may_be_repaired(void **state)
{
	struct fixture *f = *state;
	struct segment_opts o = SEGMENT_OPTS;
	struct acme_segment r;
	struct stat st;
	char junk[9000];

	fill(junk, sizeof junk, "junk", "file", 1);
	write_file(f->path, junk, sizeof junk);
	assert_int_equal(chmod(f->path, 0640), 0);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_FOREIGN);
	assert_int_equal(segment_open(f->path, &o, &f->seg, &f->e),
			 ERR_INVALID);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, sizeof junk);
	assert_int_equal(st.st_mode & 0777, 0640);
	o.flags = SEGMENT_REPAIR;
	ino_t before = inode(f->path);
	fixture_must(f, segment_open(f->path, &o, &f->seg, &f->e));
	assert_int_equal(segment_state(f->seg), SEGMENT_REPAIRED);
	assert_int_equal(inode(f->path), before);
	fixture_must(f, put(f->seg, "a", 1, &f->e));
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_OK);
	assert_int_equal(serves(&r, "a"), 1);
	end_reader(&r);
}

static void short_junk_too(void **state)
{
	struct fixture *f = *state;
	struct segment_opts o = SEGMENT_OPTS;
	struct acme_segment r;
	struct stat st;

	write_file(f->path, "hello", 5);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_FOREIGN);
	assert_int_equal(segment_open(f->path, &o, &f->seg, &f->e),
			 ERR_INVALID);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 5);
	o.flags = SEGMENT_REPAIR;
	fixture_must(f, segment_open(f->path, &o, &f->seg, &f->e));
	fixture_must(f, put(f->seg, "a", 1, &f->e));
}

static void another_layout_is_refused_always(void **state)
{
	struct fixture *f = *state;
	struct segment_opts o = SEGMENT_OPTS;
	struct acme_segment_header h = { .magic = ACME_SEGMENT_MAGIC,
					 .layout = 2,
					 .header_size = 4096,
					 .unit = 8 };
	struct acme_segment_header after;
	struct acme_segment r;

	write_file(f->path, &h, sizeof h);
	o.flags = SEGMENT_REPAIR;
	assert_int_equal(segment_open(f->path, &o, &f->seg, &f->e),
			 ERR_INVALID);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_FOREIGN);
	int fd = open(f->path, O_RDONLY);
	assert_int_equal(read(fd, &after, sizeof after), sizeof after);
	close(fd);
	assert_memory_equal(&h, &after, sizeof h);
}

static void symlinks_and_folders_are_refused(void **state)
{
	struct fixture *f = *state;
	struct segment_opts o = SEGMENT_OPTS;

	assert_int_equal(symlink("/tmp/nowhere", f->path), 0);
	assert_true(segment_open(f->path, &o, &f->seg, &f->e) < 0);
	assert_true(segment_open(f->folder, &o, &f->seg, &f->e) < 0);
}

static void a_segment_without_a_sound_index_is_repaired(void **state)
{
	struct fixture *f = *state;
	struct acme_segment_header h;
	struct acme_segment r;

	fixture_must(f, put(fixture_open(f, 0), "a", 1, &f->e));
	segment_close(f->seg);
	assert_int_equal(fresh_reader(&r, f->path), ACME_SEGMENT_OK);
	int fd = open(f->path, O_RDWR);
	assert_int_equal(pread(fd, &h, sizeof h, 0), sizeof h);
	off_t at = (off_t)h.root * 8 + 20;
	assert_int_equal(pwrite(fd, "damage", 6, at), 6);
	close(fd);
	assert_true(serves(&r, "a") < 0);
	struct acme_segment_cursor c = { 0 };
	struct acme_segment_record none;
	assert_int_equal(acme_segment_next(&r, &c, &h, sizeof h, &none),
			 ACME_SEGMENT_DAMAGED);
	assert_int_equal(acme_segment_next(&r, &c, &h, sizeof h, &none),
			 ACME_SEGMENT_ABSENT);
	fixture_open(f, 0);
	assert_int_equal(segment_state(f->seg), SEGMENT_REPAIRED);
	assert_int_equal(serves(&r, "a"), 0);
	fixture_must(f, put(f->seg, "a", 2, &f->e));
	assert_int_equal(serves(&r, "a"), 2);
	fixture_must(f, segment_collect(f->seg, 1, &f->e));
	assert_false(file_holds(f->path, "key a 1;"));
	end_reader(&r);
}

/* A copy of a good file in memory, to be spoilt. */
static char *copy_of(const char *path, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	char *all = malloc(*len);
	assert_int_equal(pread(fd, all, *len, 0), *len);
	close(fd);
	return all;
}

/* Reads everything that can be reached; counts what passes as certificates. */
static int use_all(const struct acme_segment *s)
{
	struct acme_segment_cursor c = { 0 };
	struct acme_segment_record r;
	unsigned char buf[8192];
	int good = 0;

	for (unsigned i = 0; i < 10000; i++) {
		enum acme_segment_result rc =
		    acme_segment_next(s, &c, buf, sizeof buf, &r);
		if (rc != ACME_SEGMENT_OK && rc != ACME_SEGMENT_DAMAGED)
			break;
		good += rc == ACME_SEGMENT_OK && r.kind == ACME_SEGMENT_CERT &&
			acme_segment_cert_count(&r) > 0;
	}
	serves(s, "a");
	leads(s, "a.test");
	return good;
}

static void a_truncated_file_is_survived_at_any_length(void **state)
{
	struct fixture *f = *state;
	struct acme_segment r;
	size_t len;

	for (uint64_t v = 1; v < 6; v++)
		fixture_must(f, put(fixture_open(f, 0), "a", v, &f->e)),
		    segment_close(f->seg);
	f->seg = NULL;
	char *all = copy_of(f->path, &len);
	for (size_t n = 0; n < len; n += n < 4200 ? 41 : 997) {
		int fd = memfd_create("t", MFD_CLOEXEC);
		assert_int_equal(write(fd, all, n), n);
		enum acme_segment_result rc = acme_segment_attach(&r, fd);
		if (rc == ACME_SEGMENT_OK)
			use_all(&r);
		else
			assert_true(n < 4096);
		acme_segment_detach(&r);
		close(fd);
	}
	free(all);
}

static void any_flipped_byte_is_noticed_or_harmless(void **state)
{
	struct fixture *f = *state;
	struct acme_segment r;
	size_t len;

	fixture_must(f, put(fixture_open(f, 0), "a", 1, &f->e));
	char *all = copy_of(f->path, &len);
	int fd = memfd_create("t", MFD_CLOEXEC);
	assert_int_equal(write(fd, all, len), len);
	for (size_t n = 0; n < len; n += n < 4096 + 128 ? 1 : 7) {
		char c = (char)~all[n];
		assert_int_equal(pwrite(fd, &c, 1, (off_t)n), 1);
		if (acme_segment_attach(&r, fd) == ACME_SEGMENT_OK) {
			int64_t v = serves(&r, "a");
			if (v > 1 || v == -20 || v == -21)
				fail_msg("byte %zu: %lld", n, (long long)v);
			use_all(&r);
		}
		acme_segment_detach(&r);
		assert_int_equal(pwrite(fd, &all[n], 1, (off_t)n), 1);
	}
	close(fd);
	free(all);
}

static void a_writer_survives_a_file_full_of_nonsense(void **state)
{
	struct fixture *f = *state;
	struct segment_opts o = SEGMENT_OPTS;
	size_t len;
	unsigned seed = 1;

	o.flags = SEGMENT_REPAIR;
	o.grace_ms = 0;
	for (unsigned i = 0; i < 30; i++) {
		char name[16];
		snprintf(name, sizeof name, "c%u", i);
		fixture_must(f, put(f->seg ? f->seg : fixture_open(f, 0), name,
				    1, &f->e));
	}
	segment_close(f->seg);
	f->seg = NULL;
	char *all = copy_of(f->path, &len), *bad = malloc(len);
	for (int i = 0; i < 60; i++) {
		memcpy(bad, all, len);
		for (int k = 0; k < 40; k++) {
			seed = seed * 1103515245 + 12345;
			bad[(seed >> 4) % (i % 2 ? len : 13000)] ^=
			    (char)(seed >> 24);
		}
		write_file(f->path, bad, len);
		if (segment_open(f->path, &o, &f->seg, &f->e) < 0)
			continue; /* became another layout */
		fixture_must(f, put(f->seg, "new", 5, &f->e));
		segment_collect(f->seg, 1, &f->e);
		assert_int_equal(serves(segment_reader(f->seg), "new"), 5);
		segment_close(f->seg);
		f->seg = NULL;
	}
	free(all);
	free(bad);
}

#define T(name)                                                                \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_file_that_is_being_made_is_not_ready),
		T(junk_is_refused_unless_it_may_be_repaired),
		T(short_junk_too),
		T(another_layout_is_refused_always),
		T(symlinks_and_folders_are_refused),
		T(a_segment_without_a_sound_index_is_repaired),
		T(a_truncated_file_is_survived_at_any_length),
		T(any_flipped_byte_is_noticed_or_harmless),
		T(a_writer_survives_a_file_full_of_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
