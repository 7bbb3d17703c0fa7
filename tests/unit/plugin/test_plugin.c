/* SPDX-License-Identifier: Apache-2.0 */
/* Loading plugins, and their options: what is refused, and in which words. */
#include "bench.h"

static const char *load(struct bench *b, const char *name, enum err_code *code)
{
	static struct err e;
	const struct plugin *plugin;

	memset(&e, 0, sizeof e);
	*code = (enum err_code)plugins_find(b->plugins, name, &plugin, &e);
	return e.text;
}

#define assert_refused(B, NAME, CODE, WORDS)                                   \
	do {                                                                   \
		enum err_code code_;                                           \
		const char *text_ = load(B, NAME, &code_);                     \
		assert_int_equal(code_, CODE);                                 \
		if (!strstr(text_, WORDS))                                     \
			fail_msg("'%s' lacks '%s'", text_, WORDS);             \
	} while (0)

static void a_plugin_is_loaded_once_by_name(void **state)
{
	struct bench *b = *state;
	const struct plugin *one, *two;
	char words[64];
	struct err e;

	bench_plugin(b, "file");
	assert_int_equal(plugins_find(b->plugins, "file", &one, &e), 0);
	assert_int_equal(plugins_find(b->plugins, "file", &two, &e), 0);
	assert_ptr_equal(one, two);
	assert_string_equal(one->name, "file");
	assert_null(one->challenge);
	assert_non_null(one->storage);
	assert_string_equal(plugin_storage_caps(one, words, sizeof words),
	                    "cas lock watch local");
}

static void what_cannot_be_a_name_is_refused(void **state)
{
	static const char *const NAMES[] = { "", "../x", "a/b", "A", "a.b", "-a",
		                             "a b" };

	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
		assert_refused(*state, NAMES[i], ERR_INVALID, "cannot be");
}

static void a_missing_plugin_is_named_with_the_nearest(void **state)
{
	struct bench *b = *state;

	bench_plugin(b, "http-01");
	assert_refused(b, "htpp-01", ERR_ABSENT, "did you mean 'http-01'?");
	assert_refused(b, "htpp-01", ERR_ABSENT, b->dir);
}

static void wrong_plugins_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *name;
		enum err_code code;
		const char *words;
	} WRONG[] = {
		{ "wrong-no-entry", ERR_BROKEN, "not export acme_plugin_v0" },
		{ "wrong-future", ERR_INVALID, "made for plugin ABI 1" },
		{ "wrong-major", ERR_INVALID, "has plugin ABI 7" },
		{ "wrong-minor", ERR_INVALID, "needs agent ABI 0.99, this one" },
		{ "wrong-name", ERR_BROKEN, "calls itself 'other'" },
		{ "wrong-short", ERR_BROKEN, "descriptor of 8 bytes" },
		{ "wrong-no-close", ERR_BROKEN, "lacks open or close" },
		{ "wrong-no-cas", ERR_BROKEN, "compare and set" },
		{ "wrong-promise", ERR_BROKEN, "lacks watch" },
		{ "wrong-option-type", ERR_BROKEN, "type that we do not know" },
		{ "wrong-option-name", ERR_BROKEN, "'Bad-Name'" },
		{ "wrong-fallback", ERR_BROKEN, "fallback of option 'number'" },
		{ "wrong-undefined", ERR_BROKEN, "nobody_defines_this" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		bench_plugin(b, WRONG[i].name);
		assert_refused(b, WRONG[i].name, WRONG[i].code,
		               WRONG[i].words);
	}
}

static void files_that_are_no_objects_are_refused(void **state)
{
	struct bench *b = *state;
	char path[128];
	struct err e;

	snprintf(path, sizeof path, "%s/plugins/junk.so", b->dir);
	assert_int_equal(file_write(path, "junk", 4, 0700, &e), 0);
	assert_refused(b, "junk", ERR_BROKEN, "plugin 'junk'");
}

static void what_others_may_write_is_refused(void **state)
{
	struct bench *b = *state;
	char path[128];

	bench_plugin(b, "file");
	snprintf(path, sizeof path, "%s/plugins/file.so", b->dir);
	assert_int_equal(chmod(path, 0775), 0);
	assert_refused(b, "file", ERR_DENIED, "writable by group or others");
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(path, sizeof path, "%s/plugins", b->dir);
	assert_int_equal(chmod(path, 0777), 0);
	assert_refused(b, "file", ERR_DENIED, "writable by group or others");
	assert_int_equal(chmod(path, 0700), 0);
	assert_refused(b, "file", ERR_OK, "");
}

struct listing {
	int good, bad;
	char names[256];
};

static void on_listed(void *arg, const char *name, const struct plugin *plugin,
                      const struct err *why)
{
	struct listing *l = arg;
	size_t len = strlen(l->names);

	snprintf(l->names + len, sizeof l->names - len, "%s ", name);
	l->good += plugin != NULL;
	l->bad += why != NULL;
}

static void the_list_has_good_and_bad_ones_by_name(void **state)
{
	struct bench *b = *state;
	struct listing l = { 0 };
	struct err e;

	bench_plugin(b, "wrong-major");
	bench_plugin(b, "http-01");
	bench_plugin(b, "file");
	assert_int_equal(plugins_list(b->plugins, on_listed, &l, &e), 0);
	assert_string_equal(l.names, "file http-01 wrong-major ");
	assert_int_equal(l.good, 2);
	assert_int_equal(l.bad, 1);
	plugins_set_dir(b->plugins, "/nonexistent");
	assert_int_equal(plugins_list(b->plugins, on_listed, &l, &e),
	                 ERR_ABSENT);
}

/* ---- options ---- */

#define LINE(KEY, VALUE) { KEY, VALUE, { "test.ini", 9 } }

static const char *check(struct bench *b, const struct conf_raw *options,
                         size_t count, size_t *errors)
{
	static char text[2048];
	struct conf_errors list = CONF_ERRORS_INIT;
	struct instance_spec spec = {
		.plugin = "probe",
		.place = { "test.ini", 7 },
		.options = { options, count },
	};

	bench_plugin(b, "probe");
	int rc = instance_check(b->plugins, &spec, &list);
	assert_int_equal(rc, list.errors ? ERR_INVALID : 0);
	*errors = list.errors;
	text[0] = '\0';
	for (size_t i = 0; i < list.count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
		         "%s\n", list.items[i].text);
	conf_errors_free(&list);
	return text;
}

static void all_wrong_options_are_named_with_their_lines(void **state)
{
	const struct conf_raw options[] = {
		LINE("tokn", "abc"),      LINE("time", "soon"),
		LINE("size", "1 apple"),  LINE("url", "ftp://x"),
		LINE("path", "relative"), LINE("fail", "perhaps"),
		LINE("number", "7x"),     LINE("zebra", "1"),
		LINE("names", "x"),       LINE("names", "y"),
	};
	size_t errors;
	const char *text = check(*state, options, 10, &errors);

	assert_int_equal(errors, 10);
	assert_non_null(strstr(text, "test.ini:9: plugin 'probe' has no option "
	                             "'tokn'; did you mean 'token'?"));
	assert_non_null(strstr(text, "test.ini:9: time: "));
	assert_non_null(strstr(text, "test.ini:9: fail: "));
	assert_non_null(strstr(text, "names: given twice"));
	assert_non_null(strstr(text, "test.ini:7: plugin 'probe' needs the "
	                             "option 'token'"));
}

static void secrets_come_by_reference(void **state)
{
	struct bench *b = *state;
	char reference[128];
	struct conf_raw options[] = { LINE("token", reference) };
	size_t errors;
	struct err e;

	snprintf(reference, sizeof reference, "file:%s/token", b->dir);
	assert_non_null(strstr(check(b, options, 1, &errors), "No such file"));
	assert_int_equal(file_write(reference + 5, "\n", 1, 0600, &e), 0);
	assert_non_null(strstr(check(b, options, 1, &errors), "is empty"));
	assert_int_equal(file_write(reference + 5, "s3cret\n", 7, 0600, &e), 0);
	assert_string_equal(check(b, options, 1, &errors), "");
	snprintf(reference, sizeof reference, "env:ACME_TEST_TOKEN");
	unsetenv("ACME_TEST_TOKEN");
	assert_non_null(strstr(check(b, options, 1, &errors), "no such "
	                                                      "variable"));
	setenv("ACME_TEST_TOKEN", "s3cret", 1);
	assert_string_equal(check(b, options, 1, &errors), "");
	snprintf(reference, sizeof reference, "credential:../x");
	check(b, options, 1, &errors);
	assert_int_equal(errors, 1);
	unsetenv("CREDENTIALS_DIRECTORY");
	snprintf(reference, sizeof reference, "credential:token");
	assert_non_null(strstr(check(b, options, 1, &errors), "LoadCredential"));
	setenv("CREDENTIALS_DIRECTORY", b->dir, 1);
	assert_string_equal(check(b, options, 1, &errors), "");
}

static void a_literal_secret_that_all_may_read_is_a_warning(void **state)
{
	struct bench *b = *state;
	char path[128];
	struct conf_raw options[] = { { "token", "abcdef", { path, 9 } } };
	size_t errors;
	struct err e;

	snprintf(path, sizeof path, "%s/x.ini", b->dir);
	assert_int_equal(file_write(path, "x", 1, 0644, &e), 0);
	const char *text = check(b, options, 1, &errors);
	assert_int_equal(errors, 0);
	assert_non_null(strstr(text, "everybody may read"));
	assert_null(strstr(text, "abcdef"));
	assert_int_equal(chmod(path, 0640), 0);
	assert_string_equal(check(b, options, 1, &errors), "");
}

static void a_plugin_sees_options_and_fallbacks(void **state)
{
	const struct conf_raw options[] = {
		LINE("token", "abcdef"),
		LINE("time", "5m"),
		LINE("names", "x, y ,z"),
	};
	struct bench *b = *state;
	struct instance *i;
	struct err e;

	assert_int_equal(bench_open(b, "probe", options, 3,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 0);
	assert_true(bench_logged(b, "time=300000 size=65536 names=3 last=z "
	                            "url=https://example.org/ unset=1"));
	bench_close(b, i, 0);
}

static void a_failing_open_says_why_and_where(void **state)
{
	const struct conf_raw options[] = {
		LINE("token", "abcdef"),
		LINE("fail", "yes"),
	};
	struct bench *b = *state;
	struct instance *i;
	struct err e;

	assert_int_equal(bench_open(b, "probe", options, 2,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 ERR_DENIED);
	assert_null(i);
	assert_string_equal(e.text,
	                    "test.ini:7: plugin 'probe': told to fail");
}

static void a_section_gets_the_kind_that_it_is_for(void **state)
{
	struct bench *b = *state;
	struct instance_spec spec = { .plugin = "http-01",
		                      .place = { "test.ini", 7 },
		                      .must_storage = true };
	struct instance *i;
	struct err e;

	bench_plugin(b, "http-01");
	assert_int_equal(instance_open(b->plugins, &spec, &i, &e), ERR_INVALID);
	assert_string_equal(e.text,
	                    "test.ini:7: plugin 'http-01' is not for storage");
}

#define TEST(NAME)                                                             \
	cmocka_unit_test_setup_teardown(NAME, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_plugin_is_loaded_once_by_name),
		TEST(what_cannot_be_a_name_is_refused),
		TEST(a_missing_plugin_is_named_with_the_nearest),
		TEST(wrong_plugins_are_refused_with_the_reason),
		TEST(files_that_are_no_objects_are_refused),
		TEST(what_others_may_write_is_refused),
		TEST(the_list_has_good_and_bad_ones_by_name),
		TEST(all_wrong_options_are_named_with_their_lines),
		TEST(secrets_come_by_reference),
		TEST(a_literal_secret_that_all_may_read_is_a_warning),
		TEST(a_plugin_sees_options_and_fallbacks),
		TEST(a_failing_open_says_why_and_where),
		TEST(a_section_gets_the_kind_that_it_is_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
