/* SPDX-License-Identifier: Apache-2.0 */
/* Link headers, well-formed and otherwise, in copies of their exact size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "acme/link.h"

/* The targets with this relation, joined by blanks. */
static void found(const char *header, const char *rel, const char *expected)
{
	struct str out[8];
	char joined[256] = "";
	/* a copy of the exact size, so that ASan sees a byte too far */
	size_t len = strlen(header), count, used = 0;
	char *copy = malloc(len ? len : 1);

	memcpy(copy, header, len);
	count = link_find((struct str){ copy, len }, rel, out, 8);
	for (size_t i = 0; i < count; i++) {
		if (i)
			joined[used++] = ' ';
		memcpy(joined + used, out[i].ptr, out[i].len);
		used += out[i].len;
	}
	free(copy);
	assert_string_equal(joined, expected);
}

static void relations_are_found_in_every_spelling(void **state)
{
	(void)state;

	found("<https://a/1>;rel=\"alternate\"", "alternate", "https://a/1");
	found("<https://a/1>; rel=alternate", "alternate", "https://a/1");
	found("<https://a/1> ; Rel = \"ALTERNATE\" ; title=x", "alternate",
	      "https://a/1");
	found("<https://a/1>;title=\"rel=up, ;<x>\";rel=up", "up",
	      "https://a/1");
	found("<https://a/1>;rel=\"index alternate\"", "alternate",
	      "https://a/1");
	found("<https://a/1>;rel=\"terms-of-service\"", "terms-of-service",
	      "https://a/1");
}

static void several_links_may_share_a_header(void **state)
{
	(void)state;

	found("<https://a/1>;rel=\"alternate\", <https://a/d>;rel=\"index\","
	      "<https://a/2>;rel=\"alternate\"", "alternate",
	      "https://a/1 https://a/2");
	found("<https://a/,;1>;rel=up,<https://a/2>;rel=up", "up",
	      "https://a/,;1 https://a/2");
}

static void only_the_first_rel_counts(void **state)
{
	(void)state;

	found("<https://a/1>;rel=index;rel=alternate", "alternate", "");
	found("<https://a/1>;rel=\"alternates\"", "alternate", "");
	found("<https://a/1>;xrel=alternate", "alternate", "");
	found("<https://a/1>", "alternate", "");
}

static void hostile_headers_end(void **state)
{
	static const char *const bad[] = {
		"", ",", ";", "<", "<>", "<a", "<a>;", "<a>;;;", "<a>;rel",
		"<a>;rel=", "<a>;rel=\"", "<a>;rel=\"\\", "<a>;rel=\"\\\"",
		"\"", "\"\\", "x", "x,<a", "<a>,<", "<a>;=", "<a>;=\"x",
		"<a>x", "<a>\"", " \t,\r\n", "<a>;\"rel\"=up", ">;rel=up",
	};
	(void)state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		found(bad[i], "up", "");
	found("junk, <https://a/1>;rel=up", "up", "https://a/1");
	found("\"quoted, <x>;rel=up\", <https://a/1>;rel=up", "up",
	      "https://a/1");
}

static void the_result_is_bounded(void **state)
{
	struct str one[1];
	(void)state;

	assert_int_equal(link_find(STR("<a>;rel=up,<b>;rel=up"), "up", one, 1),
	                 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relations_are_found_in_every_spelling),
		cmocka_unit_test(several_links_may_share_a_header),
		cmocka_unit_test(only_the_first_rel_counts),
		cmocka_unit_test(hostile_headers_end),
		cmocka_unit_test(the_result_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
