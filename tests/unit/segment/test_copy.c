/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate from one segment to another: whole, proven by the reader, or not
 * at all. */
#include "fixture.h"

#include "segment/copy.h"

struct pair {
	struct fixture from, to;
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof *p);
	void *one;

	fixture_setup(&one);
	p->from = *(struct fixture *)one;
	free(one);
	fixture_setup(&one);
	p->to = *(struct fixture *)one;
	free(one);
	fixture_open(&p->from, 0);
	fixture_open(&p->to, 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	struct fixture *both[] = { &p->from, &p->to };

	for (int i = 0; i < 2; i++) {
		segment_close(both[i]->seg);
		unlink(both[i]->path);
		rmdir(both[i]->folder);
	}
	free(p);
	return 0;
}

static int copy(struct pair *p, const char *name)
{
	return segment_copy_cert(p->to.seg, segment_reader(p->from.seg),
				 str_of(name), &p->to.e);
}

static void a_copy_serves_like_the_original(void **state)
{
	struct pair *p = *state;

	fixture_must(&p->from, put(p->from.seg, "a", 7, &p->from.e));
	fixture_must(&p->to, copy(p, "a"));
	assert_int_equal(serves(segment_reader(p->to.seg), "a"), 7);
	assert_string_equal(leads(segment_reader(p->to.seg), "a.test"), "a");
	assert_string_equal(leads(segment_reader(p->to.seg), "x.a.test"), "a");
	fixture_must(&p->from, put(p->from.seg, "a", 8, &p->from.e));
	fixture_must(&p->to, copy(p, "a"));
	fixture_must(&p->to, copy(p, "a"));
	assert_int_equal(serves(segment_reader(p->to.seg), "a"), 8);
	assert_int_equal(count_kind(segment_reader(p->to.seg),
				    ACME_SEGMENT_CERT),
			 1);
}

static void what_is_not_there_is_absent(void **state)
{
	struct pair *p = *state;

	fixture_must(&p->from, put(p->from.seg, "a", 1, &p->from.e));
	fixture_must(&p->to, put(p->to.seg, "b", 1, &p->to.e));
	assert_int_equal(copy(p, "b"), ERR_ABSENT);
	assert_non_null(strstr(p->to.e.text, "copy b"));
	assert_int_equal(serves(segment_reader(p->to.seg), "b"), 1);
	assert_int_equal(copy(p, ""), ERR_ABSENT);
}

/* All key types, each with a chain of its own or none. */
static void each_key_type_comes_with_its_chain(void **state)
{
	struct pair *p = *state;
	struct made m[3];
	struct segment_entry entries[3];
	unsigned char *buf = malloc(ACME_SEGMENT_RECORD_MAX);
	struct acme_segment_record r, c;
	struct acme_segment_entry x;
	struct acme_segment_bytes der;

	for (int i = 0; i < 3; i++) {
		char name[8];
		snprintf(name, sizeof name, "k%d", i);
		made(&m[i], name, 1);
		entries[i] = m[i].entry;
		entries[i].type = (enum acme_segment_key)(
		    ACME_SEGMENT_ECDSA_256 + i);
	}
	m[1].issuer[0] ^= 1; /* another intermediate */
	entries[2].chain_count = 0;
	m[0].cert.entries = entries;
	m[0].cert.entry_count = 3;
	fixture_must(&p->from,
		     segment_put_cert(p->from.seg, &m[0].cert, &p->from.e));
	fixture_must(&p->to, copy(p, "k0"));
	const struct acme_segment *to = segment_reader(p->to.seg);
	assert_int_equal(acme_segment_find(to, ACME_SEGMENT_CERT, "k0", 2, buf,
					   ACME_SEGMENT_RECORD_MAX, &r),
			 ACME_SEGMENT_OK);
	assert_int_equal(r.not_after, m[0].cert.not_after);
	for (uint32_t i = 0; i < 3; i++) {
		unsigned char chain[8192];
		assert_true(acme_segment_cert(&r, i, &x));
		assert_int_equal(x.type, ACME_SEGMENT_ECDSA_256 + i);
		assert_int_equal(x.leaf.len, sizeof m[i].leaf);
		assert_memory_equal(x.leaf.ptr, m[i].leaf, sizeof m[i].leaf);
		assert_memory_equal(x.key.ptr, m[i].key, sizeof m[i].key);
		assert_int_equal(x.chain == 0, i == 2);
		if (i == 2)
			continue;
		assert_int_equal(acme_segment_find_chain(to, x.chain, chain,
							 sizeof chain, &c),
				 ACME_SEGMENT_OK);
		assert_true(acme_segment_chain(&c, 0, &der));
		assert_memory_equal(der.ptr, m[i].issuer, sizeof m[i].issuer);
	}
	assert_false(acme_segment_cert(&r, 3, &x));
	free(buf);
}

static void many_certificates_are_copied_while_others_are_put(void **state)
{
	struct pair *p = *state;
	char name[16];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "n%d", i);
		fixture_must(&p->from,
			     put(p->from.seg, name, 1, &p->from.e));
		if (i % 3 == 0)
			fixture_must(&p->to, copy(p, name));
		if (i % 50 == 0)
			fixture_must(&p->from,
				     segment_collect(p->from.seg, i * 1000,
						     &p->from.e));
	}
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "n%d", i);
		fixture_must(&p->to, copy(p, name));
		assert_int_equal(serves(segment_reader(p->to.seg), name), 1);
	}
}

/* A bit of the record turns over in the file. */
static void what_is_damaged_is_not_copied(void **state)
{
	struct pair *p = *state;
	struct made m;
	struct stat st;

	fixture_must(&p->from, put(p->from.seg, "a", 1, &p->from.e));
	fixture_must(&p->to, put(p->to.seg, "a", 9, &p->to.e));
	made(&m, "a", 1);
	int fd = open(p->from.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	char *all = malloc((size_t)st.st_size);
	assert_int_equal(pread(fd, all, (size_t)st.st_size, 0), st.st_size);
	char *at = memmem(all, (size_t)st.st_size, m.key, sizeof m.key);
	assert_non_null(at);
	char byte = (char)(*at ^ 4);
	assert_int_equal(pwrite(fd, &byte, 1, at - all), 1);
	close(fd);
	free(all);
	assert_int_equal(copy(p, "a"), ERR_BROKEN);
	assert_int_equal(serves(segment_reader(p->to.seg), "a"), 9);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_copy_serves_like_the_original),
		T(what_is_not_there_is_absent),
		T(each_key_type_comes_with_its_chain),
		T(many_certificates_are_copied_while_others_are_put),
		T(what_is_damaged_is_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
