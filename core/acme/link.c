/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of RFC 8288 section 3, walked by hand: commas and semicolons
 * count only outside quotes and angle brackets. Only the first "rel" of a link
 * counts (section 3.3).
 */
#include "acme/link.h"

static void drop(struct str *s, size_t n)
{
	s->ptr += n;
	s->len -= n;
}

static void skip(struct str *s, const char *any)
{
	while (s->len && s->ptr[0] && strchr(any, s->ptr[0]))
		drop(s, 1);
}

/* What stands before one of `ends`; takes it from the front. */
static struct str take_until(struct str *s, const char *ends)
{
	size_t n = 0;

	while (n < s->len && !(s->ptr[n] && strchr(ends, s->ptr[n])))
		n++;
	struct str taken = { s->ptr, n };
	drop(s, n);
	return taken;
}

/* The inside of a quoted string at the front; backslashes remain in it. */
static struct str take_quoted(struct str *s)
{
	size_t n = 1;

	while (n < s->len && s->ptr[n] != '"')
		n += s->ptr[n] == '\\' ? 2 : 1;
	if (n > s->len)
		n = s->len;
	struct str taken = { s->ptr + 1, n - 1 };
	drop(s, n < s->len ? n + 1 : n);
	return taken;
}

static struct str take_value(struct str *s)
{
	skip(s, " \t");
	if (s->len && s->ptr[0] == '"')
		return take_quoted(s);
	return str_trim(take_until(s, ";,"));
}

/* Parameters up to the comma that ends this link. */
static void take_params(struct str *s, struct link *out)
{
	bool have_rel = false;

	while (s->len && s->ptr[0] != ',') {
		skip(s, " \t;");
		struct str name = str_trim(take_until(s, "=;,"));
		struct str value = { s->ptr, 0 };
		if (s->len && s->ptr[0] == '=') {
			drop(s, 1);
			value = take_value(s);
			take_until(s, ";,");
		}
		if (!have_rel && str_ieq(name, STR("rel"))) {
			out->rel = value;
			have_rel = true;
		}
	}
}

/* Past a link that is none, to the next comma outside quotes. */
static void skip_garbage(struct str *s)
{
	while (s->len && s->ptr[0] != ',') {
		if (s->ptr[0] == '"')
			take_quoted(s);
		else
			drop(s, 1);
	}
}

bool link_next(struct str *rest, struct link *out)
{
	for (;;) {
		skip(rest, " \t\r\n,");
		if (rest->len == 0)
			return false;
		if (rest->ptr[0] == '<') {
			drop(rest, 1);
			*out = (struct link){ .target = take_until(rest, ">") };
			out->rel = (struct str){ rest->ptr, 0 };
			if (rest->len == 0)
				return false; /* no ">" */
			drop(rest, 1);
			take_params(rest, out);
			return true;
		}
		skip_garbage(rest);
	}
}

bool link_has(const struct link *link, const char *rel)
{
	struct str rest = link->rel;

	for (;;) {
		skip(&rest, " \t");
		if (rest.len == 0)
			return false;
		if (str_ieq(take_until(&rest, " \t"), str_of(rel)))
			return true;
	}
}

size_t link_find(struct str header, const char *rel, struct str *out,
                 size_t max)
{
	struct link link;
	size_t count = 0;

	while (count < max && link_next(&header, &link))
		if (link_has(&link, rel))
			out[count++] = link.target;
	return count;
}
