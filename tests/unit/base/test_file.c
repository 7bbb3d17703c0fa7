/* SPDX-License-Identifier: Apache-2.0 */
/* Small files: whole or as they were, folders, and whom to trust. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static char dir[64];
static struct err e;

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/file-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	assert_int_equal(file_write(path_of(name), text, strlen(text), 0600,
	                            &e),
	                 0);
}

static size_t files(void)
{
	DIR *d = opendir(dir);
	size_t count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count - 2;
}

static void a_file_has_the_mode_that_was_asked_for(void **state)
{
	struct stat st;
	mode_t before = umask(077);
	(void)state;

	assert_int_equal(file_write(path_of("a"), "", 0, 0644, &e), 0);
	umask(before);
	assert_int_equal(stat(path_of("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_size, 0);
}

static void what_is_too_large_or_no_file_is_not_read(void **state)
{
	struct buf small = BUF_INIT(3), out = BUF_INIT(100);
	(void)state;

	put("a", "four");
	assert_int_equal(file_read(path_of("a"), &small, &e), ERR_INVALID);
	assert_int_equal(file_read(path_of("none"), &out, &e), ERR_ABSENT);
	assert_int_equal(file_read(dir, &out, &e), ERR_INVALID);
	assert_int_equal(file_read("/dev/zero", &out, &e), ERR_INVALID);
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	assert_int_equal(file_read(path_of("pipe"), &out, &e), ERR_INVALID);
	assert_int_equal(file_read(path_of("a"), &out, &e), 0);
	assert_string_equal(out.ptr, "four");
	buf_free(&small);
	buf_free(&out);
}

/* In a child that may write no more than one page. */
static void a_full_disk_leaves_the_old_content(void **state)
{
	static char big[100000];
	struct buf out = BUF_INIT(100);
	(void)state;

	put("a", "old");
	pid_t pid = fork();
	if (pid == 0) {
		const struct rlimit limit = { 4096, 4096 };
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		int rc = file_write(path_of("a"), big, sizeof big, 0600, &e);
		_exit(rc < 0 ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(file_read(path_of("a"), &out, &e), 0);
	assert_string_equal(out.ptr, "old");
	assert_int_equal(files(), 1); /* nothing is left of the attempt */
	buf_free(&out);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(file_write(path_of("x/y"), "v", 1, 0600, &e),
	                 ERR_ABSENT);
	assert_non_null(strstr(e.text, "x/y"));
}

static void folders_are_made_with_their_parents(void **state)
{
	struct stat st;
	(void)state;

	assert_int_equal(file_mkdirs(path_of("a/b/c"), 0700, &e), 0);
	assert_int_equal(file_mkdirs(path_of("a/b/c"), 0755, &e), 0);
	assert_int_equal(file_mkdirs(path_of("a//b/d/"), 0700, &e), 0);
	assert_int_equal(stat(path_of("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(file_mkdirs("", 0700, &e), ERR_INVALID);
	put("file", "");
	assert_true(file_mkdirs(path_of("file/x"), 0700, &e) < 0);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_mode & 07777;
}

static void folders_have_their_mode_whatever_the_umask(void **state)
{
	mode_t mask = umask(077);

	(void)state;
	assert_int_equal(file_mkdirs(path_of("run/agent"), 0755, &e), 0);
	assert_int_equal(file_mkdirs(path_of("lib/agent/"), 0700, &e), 0);
	assert_int_equal(file_mkdirs(path_of("run/agent"), 0700, &e), 0);
	umask(mask);
	assert_int_equal(mode_of("run"), 0755);
	assert_int_equal(mode_of("run/agent"), 0755);
	assert_int_equal(mode_of("lib"), 0755);
	assert_int_equal(mode_of("lib/agent"), 0700);
}

static void what_others_may_write_is_not_trusted(void **state)
{
	(void)state;
	assert_int_equal(file_mkdirs(path_of("f"), 0755, &e), 0);
	put("f/a", "code");
	assert_int_equal(file_trusted(path_of("f/a"), geteuid(), &e), 0);
	assert_int_equal(chmod(path_of("f/a"), 0620), 0);
	assert_int_equal(file_trusted(path_of("f/a"), geteuid(), &e),
	                 ERR_DENIED);
	assert_non_null(strstr(e.text, "writable by group"));
	assert_int_equal(chmod(path_of("f/a"), 0600), 0);
	assert_int_equal(chmod(path_of("f"), 0777), 0);
	assert_int_equal(file_trusted(path_of("f/a"), geteuid(), &e),
	                 ERR_DENIED);
	assert_int_equal(chmod(path_of("f"), 0755), 0);
	assert_int_equal(file_trusted(path_of("none"), geteuid(), &e),
	                 ERR_ABSENT);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(path_of("f/a"), 4001, 4001), 0);
	assert_int_equal(file_trusted(path_of("f/a"), 0, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, "belongs to uid 4001"));
	assert_int_equal(file_trusted(path_of("f/a"), 4001, &e), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_file_has_the_mode_that_was_asked_for),
		T(what_is_too_large_or_no_file_is_not_read),
		T(a_full_disk_leaves_the_old_content),
		T(a_folder_that_is_not_there_is_an_error),
		T(folders_are_made_with_their_parents),
		T(folders_have_their_mode_whatever_the_umask),
		T(what_others_may_write_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
