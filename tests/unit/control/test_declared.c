/* SPDX-License-Identifier: Apache-2.0 */
/* What nginx masters declare: checked name by name, bounded by policy, kept in
 * a file, and collected from what was left while no agent ran. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "control/declared.h"
#include "json/json.h"

static char dir[64];
static struct log quiet;
static struct buf lines;
static struct declared declared;
static json_t *refused;
static struct err e;

static const struct conf_nginx ALL = { .name = "", .max_certificates = 1000 };

static void keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	buf_addf(&lines, "%s\n", line);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/declared-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	buf_init(&lines, 1 << 20);
	log_set_sink(keep_line, NULL);
	log_init(&quiet, NULL, "test", NULL);
	declared = (struct declared){ 0 };
	refused = json_array();
	return 0;
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
	declared_free(&declared);
	json_decref(refused);
	buf_free(&lines);
	log_set_sink(NULL, NULL);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- taking ---- */

static uid_t uid; /* who declares */

static int take_as(const char *json, const struct conf_nginx *nginx)
{
	json_t *params = json_loads(json, 0, NULL);

	assert_non_null(params);
	json_array_clear(refused);
	int rc = declared_take(&declared, params, uid, nginx, refused, &e);
	json_decref(params);
	return rc;
}

static int take(const char *json)
{
	return take_as(json, &ALL);
}

/* One certificate of the owner "o" with these members. */
static int take_one(const char *members)
{
	char json[8192];

	snprintf(json, sizeof json, "{\"owner\":\"o\",\"certificates\":[{%s}]}",
	         members);
	return take(json);
}

#define GOOD "\"name\":\"a.test\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]"

static void a_declaration_is_taken_whole(void **state)
{
	(void)state;
	assert_int_equal(take("{\"owner\":\"/|/etc/nginx.conf\","
	                      "\"certificates\":[{" GOOD
	                      ",\"key\":[\"ecdsa\",\"rsa:4096\"]},"
	                      "{\"name\":\"b\",\"issuer\":\"le\","
	                      "\"identifiers\":[\"B.test\",\"*.b.test\","
	                      "\"192.0.2.1\",\"2001:DB8::1\"]}]}"),
	                 0);
	assert_int_equal(declared.count, 1);
	const struct declarations *set = &declared.sets[0];
	assert_string_equal(set->owner, "/|/etc/nginx.conf");
	assert_int_equal(set->count, 2);
	assert_int_equal(set->list[0].kind_count, 2);
	assert_int_equal(set->list[0].kinds[0], KEY_EC256);
	assert_int_equal(set->list[0].kinds[1], KEY_RSA4096);
	assert_int_equal(set->list[1].kind_count, 0);
	assert_int_equal(set->list[1].identifiers.count, 4);
	assert_string_equal(set->list[1].identifiers.list[0], "b.test");
	assert_string_equal(set->list[1].identifiers.list[3], "2001:db8::1");
	assert_int_equal(json_array_size(refused), 0);
}

static void an_owner_replaces_only_its_own(void **state)
{
	(void)state;
	assert_int_equal(take("{\"owner\":\"a\",\"certificates\":[{" GOOD "}]}"),
	                 0);
	assert_int_equal(take("{\"owner\":\"b\",\"certificates\":[{" GOOD "}]}"),
	                 0);
	assert_int_equal(take("{\"owner\":\"a\",\"certificates\":[{" GOOD "},"
	                      "{\"name\":\"c\",\"issuer\":\"le\","
	                      "\"identifiers\":[\"c.test\"]}]}"),
	                 0);
	assert_int_equal(declared.count, 2);
	assert_int_equal(declared.sets[0].count, 2);
	assert_int_equal(declared.sets[1].count, 1);
	assert_int_equal(take("{\"owner\":\"a\",\"certificates\":[]}"), 0);
	assert_int_equal(declared.count, 1);
	assert_string_equal(declared.sets[0].owner, "b");
}

static void what_is_said_twice_counts_once(void **state)
{
	(void)state;
	assert_int_equal(take_one("\"name\":\"a\",\"issuer\":\"le\","
	                          "\"identifiers\":[\"a.test\",\"A.TEST\","
	                          "\"b.test\",\"a.test\"],"
	                          "\"key\":[\"ecdsa\",\"ecdsa:256\"]"),
	                 0);
	assert_int_equal(json_array_size(refused), 0);
	assert_int_equal(declared.sets[0].list[0].identifiers.count, 2);
	assert_int_equal(declared.sets[0].list[0].kind_count, 1);
}

/* ---- refusing ---- */

static void wrong_certificates_are_refused_one_by_one(void **state)
{
	static const char *const WRONG[] = {
		"",
		"\"name\":\"a\"",
		"\"name\":7,\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"a/b\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\".a\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"a b\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"a\\n\",\"issuer\":\"le\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"a\",\"issuer\":\"l/e\",\"identifiers\":[\"a.test\"]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":\"a.test\"",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[7]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[\"a..test\"]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[\"a_b/c\"]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[\"x.*.test\"]",
		"\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[\"\"]",
		GOOD ",\"key\":\"ecdsa\"",
		GOOD ",\"key\":[\"dsa\"]",
		GOOD ",\"key\":[\"other\"]",
		GOOD ",\"key\":[1]",
		GOOD ",\"key\":[\"rsa\",\"rsa\",\"rsa\",\"rsa\",\"rsa\",\"rsa\","
		     "\"rsa\"]",
	};
	char json[2048];
	(void)state;

	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		snprintf(json, sizeof json,
		         "{\"owner\":\"o\",\"certificates\":[{%s},{%s}]}",
		         WRONG[i], GOOD);
		assert_int_equal(take(json), 0);
		if (json_array_size(refused) != 1)
			fail_msg("taken: %s", WRONG[i]);
		const json_t *o = json_array_get(refused, 0);
		assert_true(json_is_string(json_object_get(o, "name")));
		assert_true(json_string_length(json_object_get(o, "reason")) >
		            5);
		assert_int_equal(declared.sets[0].count, 1);
		assert_string_equal(declared.sets[0].list[0].name, "a.test");
	}
	assert_int_equal(take("{\"owner\":\"o\",\"certificates\":[7,[],\"x\"]}"),
	                 0);
	assert_int_equal(json_array_size(refused), 3);
}

static void too_many_names_are_refused(void **state)
{
	char json[8192] = "\"name\":\"a\",\"issuer\":\"le\",\"identifiers\":[";
	(void)state;

	for (int i = 0; i < 101; i++)
		snprintf(json + strlen(json), 40, "%s\"n%d.test\"",
		         i ? "," : "", i);
	strncat(json, "]", 2);
	assert_int_equal(take_one(json), 0);
	assert_int_equal(json_array_size(refused), 1);
}

static void what_is_no_declaration_changes_nothing(void **state)
{
	static const char *const WRONG[] = {
		"{}",
		"{\"owner\":\"o\"}",
		"{\"certificates\":[]}",
		"{\"owner\":7,\"certificates\":[]}",
		"{\"owner\":\"o\",\"certificates\":{}}",
		"{\"owner\":\"\",\"certificates\":[{" GOOD "}]}",
		"{\"owner\":\"a\\nb\",\"certificates\":[{" GOOD "}]}",
		"{\"owner\":\"a\\\"b\",\"certificates\":[{" GOOD "}]}",
	};
	(void)state;

	assert_int_equal(take_one(GOOD), 0);
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		if (take(WRONG[i]) != ERR_INVALID)
			fail_msg("taken: %s", WRONG[i]);
		assert_int_equal(declared.count, 1);
		assert_int_equal(declared.sets[0].count, 1);
	}
}

static void the_number_of_owners_is_bounded(void **state)
{
	char json[256];
	(void)state;

	for (int i = 0; i < 64; i++) {
		snprintf(json, sizeof json,
		         "{\"owner\":\"o%d\",\"certificates\":[{" GOOD "}]}",
		         i);
		assert_int_equal(take(json), 0);
	}
	assert_int_equal(take("{\"owner\":\"x\",\"certificates\":[{" GOOD "}]}"),
	                 ERR_NOSPACE);
	assert_int_equal(declared.count, 64);
	assert_int_equal(take("{\"owner\":\"o5\",\"certificates\":[{" GOOD
	                      "}]}"),
	                 0);
	assert_int_equal(take("{\"owner\":\"o5\",\"certificates\":[]}"), 0);
	assert_int_equal(take("{\"owner\":\"x\",\"certificates\":[{" GOOD "}]}"),
	                 0);
}

/* ---- policy ---- */

static void policy_bounds_issuers_names_and_their_number(void **state)
{
	static const char *const ISSUERS[] = { "le" };
	static const char *const NAMES[] = { "*.a.test", "b.test" };
	const struct conf_nginx some = { .name = "",
		                         .issuers = { ISSUERS, 1 },
		                         .names = { NAMES, 2 },
		                         .max_certificates = 4 };
	(void)state;

	assert_int_equal(
		take_as("{\"owner\":\"o\",\"certificates\":["
	                "{\"name\":\"1\",\"issuer\":\"le\","
	                "\"identifiers\":[\"x.a.test\",\"b.test\"]},"
	                "{\"name\":\"2\",\"issuer\":\"other\","
	                "\"identifiers\":[\"x.a.test\"]},"
	                "{\"name\":\"3\",\"issuer\":\"le\","
	                "\"identifiers\":[\"x.a.test\",\"c.test\"]},"
	                "{\"name\":\"4\",\"issuer\":\"le\","
	                "\"identifiers\":[\"a.test\"]}]}",
	                &some),
		0);
	assert_int_equal(declared.sets[0].count, 1);
	assert_int_equal(json_array_size(refused), 3);
	char *text = json_dumps(refused, 0);
	assert_non_null(strstr(text, "[nginx] issuers does not allow other"));
	assert_non_null(strstr(text, "[nginx] names does not allow c.test"));
	free(text);
	assert_int_equal(take_as("{\"owner\":\"o\",\"certificates\":"
	                         "[1,2,3,4,5]}",
	                         &some),
	                 ERR_DENIED);
	assert_non_null(strstr(e.text, "max_certificates is 4"));
	assert_int_equal(declared.sets[0].count, 1);
}

/* ---- files ---- */

static char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void leave(const char *name, const char *text)
{
	struct err why;

	assert_int_equal(file_write(path_of(name), text, strlen(text), 0600,
	                            &why),
	                 0);
}

static void what_was_written_is_loaded(void **state)
{
	struct buf text = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct declared back = { 0 };
	(void)state;

	assert_int_equal(declared_load(&back, path_of("none"), &quiet, &e), 0);
	assert_int_equal(back.count, 0);
	assert_int_equal(take("{\"owner\":\"a\",\"certificates\":[{" GOOD
	                      ",\"key\":[\"rsa\"]}]}"),
	                 0);
	assert_int_equal(take("{\"owner\":\"b\",\"certificates\":[{" GOOD "}]}"),
	                 0);
	assert_int_equal(declared_write(&declared, &text, &e), 0);
	leave("declared.json", text.ptr);
	assert_int_equal(declared_load(&back, path_of("declared.json"), &quiet,
	                               &e),
	                 0);
	assert_int_equal(declared_write(&back, &again, &e), 0);
	assert_string_equal(text.ptr, again.ptr);
	assert_int_equal(back.sets[0].list[0].kinds[0], KEY_RSA2048);
	declared_free(&back);
	buf_free(&text);
	buf_free(&again);
}

static void what_does_not_fit_is_not_written_in_part(void **state)
{
	struct buf text = BUF_INIT(100);
	(void)state;

	assert_int_equal(take_one(GOOD), 0);
	assert_int_equal(declared_write(&declared, &text, &e), ERR_NOSPACE);
	buf_free(&text);
}

static void many_declarations_are_loaded_again(void **state)
{
	struct buf text = BUF_INIT(64 << 20);
	struct declared back = { 0 };
	json_t *list = json_array();
	struct conf_nginx many = { .name = "", .max_certificates = 100000 };
	(void)state;

	for (int i = 0; i < 12000; i++) {
		char name[32];
		snprintf(name, sizeof name, "host%d.example.org", i);
		json_array_append_new(list, json_pack("{s:s,s:s,s:[s]}", "name",
		                                      name, "issuer", "le",
		                                      "identifiers", name));
	}
	json_t *params = json_pack("{s:s,s:o}", "owner", "o", "certificates",
	                           list);
	assert_int_equal(declared_take(&declared, params, 0, &many, refused, &e),
	                 0);
	json_decref(params);
	assert_int_equal(declared_write(&declared, &text, &e), 0);
	assert_true(text.len > 1 << 20);
	leave("declared.json", text.ptr);
	assert_int_equal(declared_load(&back, path_of("declared.json"), &quiet,
	                               &e),
	                 0);
	assert_int_equal(back.sets[0].count, 12000);
	declared_free(&back);
	buf_free(&text);
}

static size_t files(const char *part)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(d)))
		count += strstr(entry->d_name, part) != NULL;
	closedir(d);
	return count;
}

static void a_damaged_file_is_set_aside(void **state)
{
	static const char *const DAMAGED[] = { "", "junk", "{}",
		                               "{\"declared\":{}}",
		                               "{\"declared\":[7]}",
		                               "{\"declared\":[{}]}" };
	(void)state;

	for (size_t i = 0; i < sizeof DAMAGED / sizeof *DAMAGED; i++) {
		char name[32];
		snprintf(name, sizeof name, "d%zu.json", i);
		leave(name, DAMAGED[i]);
		assert_int_equal(declared_load(&declared, path_of(name), &quiet,
		                               &e),
		                 ERR_INVALID);
		assert_non_null(strstr(e.text, name));
		assert_int_equal(access(path_of(name), F_OK), -1);
		assert_int_equal(files(".damaged-"), i + 1);
	}
	assert_int_equal(declared.count, 0);
}

/* ---- what was left ---- */

static void collect(void)
{
	declared_collect(&declared, dir, &ALL, &quiet);
}

static void what_masters_left_is_collected(void **state)
{
	(void)state;
	leave("1.json", "{\"id\":1,\"method\":\"declare\",\"params\":"
	                "{\"owner\":\"a\",\"certificates\":[{" GOOD "}]}}\n");
	leave("2.json", "{\"owner\":\"b\",\"certificates\":[{" GOOD "}]}");
	leave(".hidden", "{\"owner\":\"c\",\"certificates\":[{" GOOD "}]}");
	collect();
	assert_int_equal(declared.count, 2);
	declared_collect(&declared, path_of("nowhere"), &ALL, &quiet);
	assert_int_equal(declared.count, 2);
}

static void what_is_wrong_is_logged_and_the_rest_collected(void **state)
{
	(void)state;
	leave("1.json", "junk");
	leave("2.json", "{\"params\":7}");
	leave("3.json", "{\"owner\":\"a\",\"certificates\":[{" GOOD "},"
	                "{\"name\":\"bad one\"}]}");
	leave("5.json", "{}");
	assert_int_equal(symlink("3.json", path_of("4.json")), 0);
	assert_int_equal(mkdir(path_of("6.json"), 0700), 0);
	collect();
	assert_int_equal(declared.count, 1);
	for (int i = 1; i <= 6; i++) {
		char name[16];
		snprintf(name, sizeof name, "/%d.json", i);
		if (i != 3 && !strstr(lines.ptr, name))
			fail_msg("%s: no word\n%s", name, lines.ptr);
	}
	assert_non_null(strstr(lines.ptr, "cert=\"bad one\""));
}

static void files_of_others_are_not_read(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root for files of others\n");
		skip();
	}
	leave("1.json", "{\"owner\":\"a\",\"certificates\":[{" GOOD "}]}");
	assert_int_equal(chown(path_of("1.json"), 4001, 4001), 0);
	collect();
	assert_int_equal(declared.count, 0);
	assert_non_null(strstr(lines.ptr, "not root's file, nor ours"));
}

static void a_pipe_is_not_waited_for(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path_of("1.json"), 0600), 0);
	collect();
	assert_int_equal(declared.count, 0);
}

static void a_user_does_not_replace_what_root_declared(void **state)
{
	static const char root[] =
		"{\"owner\":\"o\",\"certificates\":[{\"name\":\"a.test\","
		"\"issuer\":\"le\",\"identifiers\":[\"a.test\"]}]}";
	struct buf text = BUF_INIT(64 << 10);

	(void)state;
	assert_int_equal(take(root), 0);
	uid = 1000;
	int rc = take("{\"owner\":\"o\",\"certificates\":[]}");
	assert_int_equal(rc, 0);
	assert_int_equal(declared.count, 1);
	assert_int_equal(take(root), 0);
	uid = 0;
	assert_int_equal(declared.count, 2);
	assert_int_equal(declared_write(&declared, &text, &e), 0);
	assert_non_null(strstr(text.ptr, "\"uid\":1000"));
	buf_free(&text);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_declaration_is_taken_whole),
		T(an_owner_replaces_only_its_own),
		T(what_is_said_twice_counts_once),
		T(wrong_certificates_are_refused_one_by_one),
		T(too_many_names_are_refused),
		T(what_is_no_declaration_changes_nothing),
		T(the_number_of_owners_is_bounded),
		T(policy_bounds_issuers_names_and_their_number),
		T(what_was_written_is_loaded),
		T(what_does_not_fit_is_not_written_in_part),
		T(many_declarations_are_loaded_again),
		T(a_damaged_file_is_set_aside),
		T(what_masters_left_is_collected),
		T(what_is_wrong_is_logged_and_the_rest_collected),
		T(files_of_others_are_not_read),
		T(a_user_does_not_replace_what_root_declared),
		T(a_pipe_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
