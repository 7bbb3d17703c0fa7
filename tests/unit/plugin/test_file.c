/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/file against the contract of acme/storage.h, through the host, as the
 * agent uses it; and against what happens to disks and processes.
 */
#include "bench.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ASK_MS 15000

static struct instance *open_store(struct bench *b)
{
	char path[96];
	const struct conf_raw options[] = { { "path", path, { NULL, 0 } } };
	struct instance *i;
	struct err e;

	snprintf(path, sizeof path, "%s/store", b->dir);
	assert_int_equal(bench_open(b, "file", options, 1,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 0);
	return i;
}

static enum err_code get(struct bench *b, struct instance *i, const char *key)
{
	instance_get(i, str_of(key), ASK_MS, bench_answer, b);
	return bench_wait(b);
}

static enum err_code put(struct bench *b, struct instance *i, const char *key,
                         const char *value, struct str expect)
{
	instance_put(i, str_of(key), str_of(value), expect, ASK_MS,
	             bench_answer, b);
	return bench_wait(b);
}

static enum err_code del(struct bench *b, struct instance *i, const char *key,
                         struct str expect)
{
	instance_del(i, str_of(key), expect, ASK_MS, bench_answer, b);
	return bench_wait(b);
}

static void path_in(const struct bench *b, const char *name, char out[256])
{
	snprintf(out, 256, "%s/store/%s", b->dir, name);
}

/* ---- values ---- */

static void what_is_put_is_got_back(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char path[256];
	struct stat st;

	assert_int_equal(get(b, i, "a/b"), ERR_ABSENT);
	assert_int_equal(put(b, i, "a/b", "one", EXPECT_ANY), ERR_OK);
	assert_int_equal(get(b, i, "a/b"), ERR_OK);
	assert_string_equal(b->key, "a/b");
	assert_string_equal(b->value, "one");
	assert_int_equal(put(b, i, "a/b", "two", EXPECT_ANY), ERR_OK);
	assert_int_equal(get(b, i, "a/b"), ERR_OK);
	assert_string_equal(b->value, "two");
	path_in(b, "a/b", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 3); /* the bytes are the file */
	path_in(b, "a", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(put(b, i, "empty", "", EXPECT_ANY), ERR_OK);
	assert_int_equal(get(b, i, "empty"), ERR_OK);
	assert_string_equal(b->value, "");
	bench_close(b, i, 0);
	i = open_store(b);
	assert_int_equal(get(b, i, "a/b"), ERR_OK);
	assert_string_equal(b->value, "two");
	bench_close(b, i, 0);
}

static void compare_and_set_holds(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char first[128];

	assert_int_equal(put(b, i, "k", "1", EXPECT_NONE), ERR_OK);
	snprintf(first, sizeof first, "%s", b->version);
	assert_int_equal(put(b, i, "k", "2", EXPECT_NONE), ERR_CONFLICT);
	assert_int_equal(put(b, i, "k", "2", str_of(first)), ERR_OK);
	assert_string_not_equal(b->version, first);
	assert_int_equal(put(b, i, "k", "3", str_of(first)), ERR_CONFLICT);
	assert_int_equal(del(b, i, "k", str_of(first)), ERR_CONFLICT);
	assert_int_equal(get(b, i, "k"), ERR_OK);
	assert_string_equal(b->value, "2");
	assert_int_equal(del(b, i, "k", str_of(b->version)), ERR_OK);
	assert_int_equal(get(b, i, "k"), ERR_ABSENT);
	assert_int_equal(del(b, i, "k", EXPECT_ANY), ERR_OK);
	assert_int_equal(del(b, i, "k", str_of(first)), ERR_CONFLICT);
	assert_int_equal(put(b, i, "x", "1", str_of(first)), ERR_CONFLICT);
	bench_close(b, i, 0);
	i = open_store(b); /* versions outlive the process */
	put(b, i, "v", "1", EXPECT_NONE);
	snprintf(first, sizeof first, "%s", b->version);
	bench_close(b, i, 0);
	i = open_store(b);
	assert_int_equal(put(b, i, "v", "2", str_of(first)), ERR_OK);
	bench_close(b, i, 0);
}

static void keys_become_harmless_names(void **state)
{
	static const char *const KEYS[] = {
		"certificates/*.example.com", "a b/c%d", ".hidden/x",
		"UPPER/~x@y",                 "quote'\"/$HOME;rm",
	};
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char path[256];

	for (size_t n = 0; n < sizeof KEYS / sizeof *KEYS; n++) {
		assert_int_equal(put(b, i, KEYS[n], KEYS[n], EXPECT_NONE),
		                 ERR_OK);
		assert_int_equal(get(b, i, KEYS[n]), ERR_OK);
		assert_string_equal(b->key, KEYS[n]);
		assert_string_equal(b->value, KEYS[n]);
	}
	path_in(b, "certificates/%2A.example.com", path);
	assert_int_equal(access(path, F_OK), 0);
	path_in(b, "%2Ehidden/x", path);
	assert_int_equal(access(path, F_OK), 0);
	bench_close(b, i, 0);
}

static void what_is_no_key_is_refused(void **state)
{
	static const char *const KEYS[] = { "", "/a", "a/", "a//b", "../x",
		                            "a/../b", ".", "a\nb" };
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char longest[300];

	for (size_t n = 0; n < sizeof KEYS / sizeof *KEYS; n++)
		assert_int_equal(get(b, i, KEYS[n]), ERR_INVALID);
	memset(longest, '*', 200); /* fits a key, not a file name */
	longest[200] = '\0';
	assert_int_equal(put(b, i, longest, "", EXPECT_ANY), ERR_INVALID);
	assert_int_equal(put(b, i, "a", "1", EXPECT_ANY), ERR_OK);
	assert_int_equal(put(b, i, "a/b", "1", EXPECT_ANY), ERR_INVALID);
	assert_int_equal(get(b, i, "a/b"), ERR_ABSENT);
	assert_int_equal(put(b, i, "c/d", "1", EXPECT_ANY), ERR_OK);
	assert_int_equal(put(b, i, "c", "1", EXPECT_ANY), ERR_INVALID);
	assert_int_equal(get(b, i, "c"), ERR_ABSENT);
	assert_int_equal(del(b, i, "c/d", EXPECT_ANY), ERR_OK);
	assert_int_equal(put(b, i, "c", "1", EXPECT_ANY), ERR_OK);
	bench_close(b, i, 0);
}

static void large_values_pass_and_larger_do_not(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char *big = mem_alloc(ACME_VALUE_MAX + 1);
	struct str value = { big, ACME_VALUE_MAX };

	instance_put(i, STR("big"), value, EXPECT_NONE, ASK_MS, bench_answer,
	             b);
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_int_equal(get(b, i, "big"), ERR_OK);
	value.len++;
	instance_put(i, STR("big"), value, EXPECT_ANY, ASK_MS, bench_answer, b);
	assert_int_equal(bench_wait(b), ERR_INVALID);
	free(big);
	bench_close(b, i, 0);
}

static size_t entries_of(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void what_can_be_no_value_is_set_aside(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char path[256], other[256];
	struct err e;

	path_in(b, "link", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(get(b, i, "link"), ERR_ABSENT);
	path_in(b, "pipe", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(get(b, i, "pipe"), ERR_ABSENT);
	path_in(b, "huge", path);
	assert_int_equal(file_write(path, "x", 1, 0600, &e), 0);
	assert_int_equal(truncate(path, ACME_VALUE_MAX + 1), 0);
	assert_int_equal(get(b, i, "huge"), ERR_ABSENT);
	assert_true(bench_logged(b, "larger than a value"));
	path_in(b, ".damaged", path);
	assert_int_equal(entries_of(path), 3);
	assert_int_equal(put(b, i, "huge", "ok", EXPECT_NONE), ERR_OK);
	/* a folder that is a link leads nowhere */
	path_in(b, "out", path);
	snprintf(other, sizeof other, "%s/plugins", b->dir);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(get(b, i, "out/file.so"), ERR_ABSENT);
	assert_int_equal(put(b, i, "out/x", "1", EXPECT_ANY), ERR_INVALID);
	snprintf(other, sizeof other, "%s/plugins/x", b->dir);
	assert_int_equal(access(other, F_OK), -1);
	bench_close(b, i, 0);
}

/* ---- list ---- */

struct listed {
	struct bench *bench;
	size_t total, bytes, pages;
	char keys[512];
};

static void on_list(void *arg, const struct op_result *res)
{
	struct listed *l = arg;

	for (size_t n = 0; n < res->count; n++) {
		size_t len = strlen(l->keys);
		snprintf(l->keys + len, sizeof l->keys - len, "%.*s ",
		         STR_ARG(res->entries[n].key));
		l->bytes += res->entries[n].value.len;
		assert_true(res->entries[n].version.len > 0);
	}
	l->total += res->count;
	l->pages++;
	bench_answer(l->bench, res);
}

static struct listed list(struct bench *b, struct instance *i,
                          const char *prefix, uint32_t limit, bool values)
{
	struct listed l = { .bench = b };
	struct list_query q = { .prefix = str_of(prefix), .limit = limit,
		                .with_values = values };
	char cursor[2048] = "";

	do {
		q.cursor = str_of(cursor);
		instance_list(i, &q, ASK_MS, on_list, &l);
		assert_int_equal(bench_wait(b), ERR_OK);
		snprintf(cursor, sizeof cursor, "%s", b->cursor);
	} while (*cursor);
	return l;
}

static void lists_have_prefix_cursor_and_limit(void **state)
{
	static const char *const KEYS[] = { "a/b/c", "a/b/d", "a/bc", "a/b.x/e",
		                            "z", "m/*" };
	struct bench *b = *state;
	struct instance *i = open_store(b);

	for (size_t n = 0; n < sizeof KEYS / sizeof *KEYS; n++)
		put(b, i, KEYS[n], "value", EXPECT_ANY);
	struct listed all = list(b, i, "", 0, true);
	assert_string_equal(all.keys, "a/b/c a/b/d a/b.x/e a/bc m/* z ");
	assert_int_equal(all.pages, 1);
	assert_int_equal(all.bytes, 6 * 5);
	struct listed one = list(b, i, "", 1, false);
	assert_string_equal(one.keys, all.keys);
	assert_true(one.pages >= 6);
	assert_int_equal(one.bytes, 0);
	assert_string_equal(list(b, i, "", 4, true).keys, all.keys);
	assert_string_equal(list(b, i, "a/b", 1, true).keys, "a/b/c a/b/d ");
	assert_string_equal(list(b, i, "z", 0, true).keys, "");
	assert_string_equal(list(b, i, "no/such", 0, true).keys, "");
	bench_close(b, i, 0);
}

/* Who took a part of the list for all of it would order anew what is there. */
static void without_descriptors_a_list_fails(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	struct rlimit before, few;
	bool failed = false;

	put(b, i, "a/b/c/d", "value", EXPECT_ANY);
	put(b, i, "a/e", "value", EXPECT_ANY);
	assert_int_equal(list(b, i, "a", 0, true).total, 2);
	getrlimit(RLIMIT_NOFILE, &before);
	int lowest = dup(0);
	close(lowest);
	for (int more = 0; more < 12; more++) {
		struct listed l = { .bench = b };
		struct list_query q = { .prefix = STR("a") };
		few = before;
		few.rlim_cur = (rlim_t)(lowest + more);
		setrlimit(RLIMIT_NOFILE, &few);
		instance_list(i, &q, ASK_MS, on_list, &l);
		enum err_code rc = bench_wait(b);
		setrlimit(RLIMIT_NOFILE, &before);
		if (rc == ERR_OK && l.total != 2)
			fail_msg("%zu of 2 with %d descriptors", l.total, more);
		failed = failed || rc != ERR_OK;
	}
	assert_true(failed);
	bench_close(b, i, 0);
}

static void ten_thousand_are_listed_quickly(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char path[256], name[300], value[3000];

	memset(value, 'v', sizeof value);
	path_in(b, "c", path);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int n = 0; n < 10000; n++) {
		snprintf(name, sizeof name, "%s/%05d.example.org", path, n);
		int fd = open(name, O_WRONLY | O_CREAT, 0600);
		assert_int_equal(write(fd, value, sizeof value), sizeof value);
		close(fd);
	}
	/* Of ours: others may be busy on this machine. */
	clock_t start = clock();
	struct listed l = list(b, i, "c", 0, true);
	int64_t took = (int64_t)(clock() - start) * 1000 / CLOCKS_PER_SEC;
	assert_int_equal(l.total, 10000);
	assert_int_equal(l.bytes, 10000 * sizeof value);
	print_message("10000 values in %lld ms, %zu pages\n", (long long)took,
	              l.pages);
#ifndef __SANITIZE_THREAD__
	assert_true(took < 5000); /* with ASan */
#endif
	bench_close(b, i, 0);
}

/* ---- leases ---- */

static enum err_code lock(struct bench *b, struct instance *i, uint32_t ms)
{
	instance_lock(i, STR("orders/x"), ms, ASK_MS, bench_answer, b);
	return bench_wait(b);
}

static enum err_code renew(struct bench *b, struct instance *i,
                           const char *lease, uint32_t ms)
{
	instance_renew(i, STR("orders/x"), str_of(lease), ms, ASK_MS,
	               bench_answer, b);
	return bench_wait(b);
}

static void a_lease_is_one_at_a_time_and_ends(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char one[128], two[128];

	assert_int_equal(lock(b, i, 60000), ERR_OK);
	snprintf(one, sizeof one, "%s", b->version);
	assert_int_equal(lock(b, i, 60000), ERR_CONFLICT);
	assert_true(b->retry_ms > 0 && b->retry_ms <= 60000);
	assert_int_equal(renew(b, i, one, 1), ERR_OK);
	usleep(5000);
	assert_int_equal(lock(b, i, 60000), ERR_OK); /* it had expired */
	snprintf(two, sizeof two, "%s", b->version);
	assert_string_not_equal(one, two);
	assert_int_equal(renew(b, i, one, 60000), ERR_CONFLICT);
	instance_unlock(i, STR("orders/x"), str_of(one), ASK_MS, bench_answer,
	                b);
	assert_int_equal(bench_wait(b), ERR_OK); /* gone: no harm */
	assert_int_equal(lock(b, i, 60000), ERR_CONFLICT);
	instance_unlock(i, STR("orders/x"), str_of(two), ASK_MS, bench_answer,
	                b);
	assert_int_equal(bench_wait(b), ERR_OK);
	assert_int_equal(lock(b, i, 60000), ERR_OK);
	assert_string_equal(list(b, i, "", 0, false).keys, "");
	bench_close(b, i, 0);
}

/* ---- watch ---- */

static bool has_change(void *arg)
{
	return ((struct bench *)arg)->changes > 0;
}

static void wait_change(struct bench *b)
{
	assert_true(loop_run_until(b->loop, has_change, b, BENCH_PATIENCE));
	b->changes = 0;
}

static void a_watch_sees_what_others_do(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b), *other = open_store(b);
	struct bench *mine = b;

	put(b, other, "a/b", "1", EXPECT_ANY);
	acme_op op = instance_watch(i, STR("a"), STR(""), bench_change,
	                            bench_answer, mine);
	wait_change(b);
	assert_int_equal(b->change_flags, ACME_ENTRY_RESYNC);
	put(b, other, "other/x", "1", EXPECT_ANY); /* a folder: scan, resync */
	wait_change(b);
	put(b, other, "a/b", "2", EXPECT_ANY);
	wait_change(b);
	assert_string_equal(b->changed, "a/b");
	assert_int_equal(b->change_flags, 0);
	put(b, other, "a/c/d", "1", EXPECT_ANY); /* in a new folder */
	wait_change(b);
	put(b, other, "a/c/d", "2", EXPECT_ANY);
	do
		wait_change(b);
	while (strcmp(b->changed, "a/c/d") != 0);
	del(b, other, "a/b", EXPECT_ANY);
	do
		wait_change(b);
	while (b->change_flags != ACME_ENTRY_DELETED);
	assert_string_equal(b->changed, "a/b");
	op_cancel(op);
	bench_close(b, i, 0);
	bench_close(b, other, 0);
}

static void many_changes_become_few(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	char path[256], name[300];

	put(b, i, "a/b", "1", EXPECT_ANY);
	instance_watch(i, STR(""), STR(""), bench_change, bench_answer, b);
	wait_change(b);
	path_in(b, "a", path);
	for (int n = 0; n < 3000; n++) {
		snprintf(name, sizeof name, "%s/%d", path, n);
		close(open(name, O_WRONLY | O_CREAT, 0600));
	}
	do
		wait_change(b);
	while (b->change_flags != ACME_ENTRY_RESYNC);
	bench_close(b, i, 0); /* ends the watch */
	assert_int_equal(b->answers, 1);
	assert_int_equal(b->code, ERR_CANCELED);
}

/* ---- disasters ---- */

static void a_full_disk_leaves_the_old_value(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	struct rlimit old, small;
	char path[256], value[5000];

	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	put(b, i, "k", "old", EXPECT_ANY);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 1000;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(put(b, i, "k", value, EXPECT_ANY), ERR_NOSPACE);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(get(b, i, "k"), ERR_OK);
	assert_string_equal(b->value, "old");
	path_in(b, ".tmp", path);
	assert_int_equal(entries_of(path), 0);
	bench_close(b, i, 0);
}

/* This program again: adds one to a number, by compare-and-set, as often and as
 * fast as it can. */
static pid_t counter(const struct bench *b, const char *times)
{
	pid_t child = fork();

	if (child == 0) {
		execl("/proc/self/exe", "count-up", b->dir, times, NULL);
		_exit(127);
	}
	return child;
}

static _Noreturn void count_up(const char *dir, int times)
{
	void *state;

	bench_setup(&state);
	struct bench *b = state;
	nftw(b->dir, bench_remove, 16, FTW_DEPTH | FTW_PHYS);
	snprintf(b->dir, sizeof b->dir, "%s", dir);
	char plugins[96];
	snprintf(plugins, sizeof plugins, "%s/plugins", dir);
	plugins_set_dir(b->plugins, plugins);
	struct instance *i = open_store(b);
	for (int done = 0; done < times;) {
		char value[32], version[128] = "";
		int n = 0;
		if (get(b, i, "n/number") == ERR_OK) {
			n = (int)strtol(b->value, NULL, 10);
			snprintf(version, sizeof version, "%s", b->version);
		}
		snprintf(value, sizeof value, "%d", n + 1);
		done += put(b, i, "n/number", value, str_of(version)) == ERR_OK;
	}
	_exit(0); /* no goodbye: like one that is killed */
}

static void two_processes_lose_no_update(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b); /* copies the plugin */
	pid_t child[2];

	bench_close(b, i, 0);
	for (int n = 0; n < 2; n++)
		child[n] = counter(b, "50");
	for (int n = 0; n < 2; n++) {
		int status;
		assert_int_equal(waitpid(child[n], &status, 0), child[n]);
		assert_int_equal(status, 0);
	}
	i = open_store(b);
	assert_int_equal(get(b, i, "n/number"), ERR_OK);
	assert_string_equal(b->value, "100");
	bench_close(b, i, 0);
}

static void a_killed_writer_leaves_whole_values(void **state)
{
	struct bench *b = *state;
	struct instance *i = open_store(b);
	long before = 0;

	bench_close(b, i, 0);
	/* On a loaded machine the first ones die before their first write. */
	for (int n = 0; n < 10 || (before == 0 && n < 100); n++) {
		pid_t child = counter(b, "1000000");
		usleep(100000 + (unsigned)n * 7777);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		i = open_store(b);
		if (get(b, i, "n/number") == ERR_OK) {
			char *end;
			long now = strtol(b->value, &end, 10);
			assert_int_equal(*end, '\0');
			assert_true(now >= before && *b->value);
			before = now;
		}
		bench_close(b, i, 0);
	}
	assert_true(before > 0);
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
	struct bench *b = *state;
	char path[96];
	const struct conf_raw options[] = { { "path", path, { NULL, 0 } } };
	struct instance *i;
	struct err e;

	snprintf(path, sizeof path, "%s/open", b->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(bench_open(b, "file", options, 1,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 ERR_DENIED);
	snprintf(path, sizeof path, "/proc/none");
	assert_int_not_equal(bench_open(b, "file", options, 1,
	                                (struct instance_hooks){ 0 }, &i, &e),
	                     0);
	assert_non_null(strstr(e.text, "plugin 'file': /proc/none"));
}

#define TEST(NAME)                                                             \
	cmocka_unit_test_setup_teardown(NAME, bench_setup, bench_teardown)

int main(int argc, char **argv)
{
	if (argc == 3)
		count_up(argv[1], (int)strtol(argv[2], NULL, 10));

	const struct CMUnitTest tests[] = {
		TEST(what_is_put_is_got_back),
		TEST(compare_and_set_holds),
		TEST(keys_become_harmless_names),
		TEST(what_is_no_key_is_refused),
		TEST(large_values_pass_and_larger_do_not),
		TEST(what_can_be_no_value_is_set_aside),
		TEST(lists_have_prefix_cursor_and_limit),
		TEST(without_descriptors_a_list_fails),
		TEST(ten_thousand_are_listed_quickly),
		TEST(a_lease_is_one_at_a_time_and_ends),
		TEST(a_watch_sees_what_others_do),
		TEST(many_changes_become_few),
		TEST(a_full_disk_leaves_the_old_value),
		TEST(two_processes_lose_no_update),
		TEST(a_killed_writer_leaves_whole_values),
		TEST(a_folder_that_others_may_write_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
