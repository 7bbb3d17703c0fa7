/* SPDX-License-Identifier: Apache-2.0 */
/* base/: errors, buffers, arenas, time, base64url, log lines, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/now.h"
#include "base/secret.h"

static void error_text_grows_outwards(void **state)
{
	struct err e;
	(void)state;

	assert_int_equal(err_set(&e, ERR_DENIED, "HTTP %d", 403), ERR_DENIED);
	assert_int_equal(err_in(&e, "order %s", "a.test"), ERR_DENIED);
	assert_string_equal(e.text, "order a.test: HTTP 403");
	assert_string_equal(err_code_name(e.code), "denied");
}

static void error_text_cannot_forge_lines(void **state)
{
	struct err e;
	(void)state;

	err_set(&e, ERR_INVALID, "%s", "a\nb\x1b[2J");
	assert_string_equal(e.text, "a b [2J");
}

static void error_text_is_always_utf8(void **state)
{
	char cut[600];
	struct err e;
	(void)state;

	err_set(&e, ERR_INVALID, "%s", "\xc3\xa9 \xff \xc2\x9b \xe2\x82");
	assert_string_equal(e.text, "\xc3\xa9 ? ?? ??");
	for (size_t i = 0; i + 1 < sizeof cut; i += 2)
		memcpy(cut + i, "\xc3\xa9", 2);
	cut[sizeof cut - 1] = '\0';
	err_set(&e, ERR_INVALID, "%s", cut);
	assert_string_equal(e.text + strlen(e.text) - 3, "\xc3\xa9?");
}

static void errno_chooses_the_code(void **state)
{
	struct err e;
	(void)state;

	assert_int_equal(err_errno(&e, ENOSPC, "x"), ERR_NOSPACE);
	assert_int_equal(err_errno(&e, ENOENT, "x"), ERR_ABSENT);
	assert_int_equal(err_errno(&e, EIO, "x"), ERR_RETRY);
}

static void buffer_stops_at_its_maximum(void **state)
{
	struct buf b = BUF_INIT(8);
	(void)state;

	assert_int_equal(buf_adds(&b, "12345678"), 0);
	assert_int_equal(buf_addc(&b, '9'), -1);
	assert_true(b.full);
	assert_string_equal(b.ptr, "12345678");
	buf_reset(&b);
	assert_int_equal(buf_addf(&b, "%d", 42), 0);
	assert_string_equal(b.ptr, "42");
	buf_free(&b);
}

static void arena_stops_at_its_maximum(void **state)
{
	struct arena a = ARENA_INIT(100);
	(void)state;

	assert_non_null(arena_alloc(&a, 90));
	assert_null(arena_alloc(&a, 11));
	assert_string_equal(arena_printf(&a, "%d", 7), "7");
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 100));
	arena_reset(&a);
}

static void base64url_has_one_spelling(void **state)
{
	struct buf b = BUF_INIT(64);
	(void)state;

	b64url_add(&b, "\xfb\xff\xfe\x01", 4);
	assert_string_equal(b.ptr, "-__-AQ");
	struct buf d = BUF_INIT(64);
	assert_int_equal(b64url_decode(&d, buf_str(&b)), 0);
	assert_memory_equal(d.ptr, "\xfb\xff\xfe\x01", 4);
	assert_int_equal(b64url_decode(&d, STR("-__-AR")), -1);
	assert_int_equal(b64url_decode(&d, STR("AQ==")), -1);
	assert_int_equal(b64url_decode(&d, STR("A")), -1);
	assert_int_equal(b64url_decode(&d, STR("A+BC")), -1);
	buf_free(&b);
	buf_free(&d);
}

static void dates_are_parsed_strictly(void **state)
{
	int64_t ms;
	char text[NOW_TEXT];
	(void)state;

	assert_int_equal(now_parse("2026-11-21T19:36:09Z", &ms), 0);
	assert_string_equal(now_text(ms, 0, text), "2026-11-21T19:36:09Z");
	assert_int_equal(now_parse("2026-11-21T21:36:09.25+02:00", &ms), 0);
	assert_string_equal(now_text(ms, 1, text), "2026-11-21T19:36:09.250Z");
	assert_int_equal(now_parse("2026-11-21", &ms), -1);
	assert_int_equal(now_parse("2026-13-21T19:36:09Z", &ms), -1);
	assert_int_equal(now_parse("2026-11-21T19:36:09Zx", &ms), -1);
	assert_int_equal(now_parse("", &ms), -1);
}

static char captured[512];

static void capture(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(captured, sizeof captured, "%s", line);
}

static void log_line_carries_inherited_context(void **state)
{
	struct log root, order;
	char quoted[64];
	(void)state;

	log_set_sink(capture, NULL);
	log_init(&root, NULL, "order", "issuer=%s", "le");
	log_init(&order, &root, NULL, "cert=%s", "example.org");
	log_info(&order, "new->authorize", "took=%dms", 312);
	assert_non_null(strstr(captured, " info order new->authorize issuer=le "
	                                 "cert=example.org took=312ms"));
	log_info(&order, "x", "v=%s", "a\nfake");
	assert_non_null(strstr(captured, "v=a\\x0afake"));
	assert_string_equal(log_quote("a \"b\n", 5, quoted, sizeof quoted),
	                    "\"a \\\"b\\x0a\"");
	log_set_sink(NULL, NULL);
}

static void file_is_replaced_whole(void **state)
{
	char folder[] = "/tmp/acme-base-XXXXXX", path[64];
	struct buf b = BUF_INIT(16);
	struct stat st;
	struct err e;
	(void)state;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/f", folder);
	assert_int_equal(file_read(path, &b, &e), ERR_ABSENT);
	assert_int_equal(file_write(path, "one", 3, 0600, &e), 0);
	assert_int_equal(file_write(path, "two", 3, 0600, &e), 0);
	assert_int_equal(file_read(path, &b, &e), 0);
	assert_string_equal(b.ptr, "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	buf_free(&b);
	b = BUF_INIT(2);
	assert_int_equal(file_read(path, &b, &e), ERR_INVALID);
	buf_free(&b);
	b = BUF_INIT(16);
	assert_int_equal(file_read(folder, &b, &e), ERR_INVALID);
	buf_free(&b);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(file_trusted(path, getuid(), &e), ERR_DENIED);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(file_trusted(path, getuid(), &e), 0);
	unlink(path);
	rmdir(folder);
}

static void secret_is_bounded_and_terminated(void **state)
{
	struct secret s;
	struct err e;
	(void)state;

	assert_int_equal(secret_copy(&s, "key", 3, &e), 0);
	assert_string_equal(s.ptr, "key");
	secret_free(&s);
	assert_int_equal(secret_alloc(&s, SECRET_MAX + 1, &e), ERR_NOSPACE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_text_grows_outwards),
		cmocka_unit_test(error_text_cannot_forge_lines),
		cmocka_unit_test(error_text_is_always_utf8),
		cmocka_unit_test(errno_chooses_the_code),
		cmocka_unit_test(buffer_stops_at_its_maximum),
		cmocka_unit_test(arena_stops_at_its_maximum),
		cmocka_unit_test(base64url_has_one_spelling),
		cmocka_unit_test(dates_are_parsed_strictly),
		cmocka_unit_test(log_line_carries_inherited_context),
		cmocka_unit_test(file_is_replaced_whole),
		cmocka_unit_test(secret_is_bounded_and_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
