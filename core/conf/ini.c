/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI files through inih, without its limits.
 *
 * inih, as distributions build it, cuts lines near 200 bytes and section names
 * at 49 without a word, and ends a value at " ;". It reads through a function
 * that we give, though, and calls the handler before it reads on. So that
 * function does the cutting: it takes the text apart into lines that inih
 * cannot misunderstand, and whatever cannot be represented is an error of ours
 * with file and line.
 *
 *   [certificate a-very-long-name]     [7]
 *   names = a.example, b.example,      names=|a.example, b.exa|
 *           c.example   ; comment      names=|mple, c.example|
 *
 * A section becomes the number of the section, a value becomes pieces between
 * bars, each with its key in front; the handler puts the pieces together.
 *
 * The language: lines of `key = value`, `[kind name]`; comments from ';' or '#'
 * at the beginning of a line and from " ;" behind something; a value that ends
 * in a comma goes on in the next line; a value in double quotes is taken as it
 * is. UTF-8, a BOM and CRLF are fine.
 */
#include "conf/ini.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"

struct reader {
	struct ini *ini;
	struct conf_errors *errors;
	struct str rest;         /* of the text */
	struct conf_place place; /* of the line taken last */
	struct ini_section *section;
	unsigned skipped; /* of this section's header, not usable */

	/* The value that is handed over in pieces. */
	char key[INI_KEY_MAX + 1];
	unsigned key_line;
	struct buf value;
	size_t given; /* bytes of it */
	bool giving;
	struct buf joined;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Length of the UTF-8 sequence at `s`, 0 if there is none. */
static size_t utf8(struct str s)
{
	static const unsigned char LEAST[] = { 0, 0, 0, 0xa0, 0x90 };
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t len = *p < 0x80                 ? 1
		     : *p >= 0xc2 && *p < 0xe0 ? 2
		     : *p >= 0xe0 && *p < 0xf0 ? 3
		     : *p >= 0xf0 && *p < 0xf5 ? 4
					       : 0;

	if (len == 0 || len > s.len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 || *p == 0xf0) && p[1] < LEAST[len])
		return 0;
	if ((*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* Is the line text? If not, nothing behind it will be either. */
static bool is_text(struct reader *r, struct str line)
{
	while (line.len) {
		unsigned char c = (unsigned char)*line.ptr;
		size_t len = utf8(line);
		if ((c < 0x20 && c != '\t') || c == 0x7f || !len) {
			conf_error(r->errors, r->place,
				   "byte 0x%02x: this is not a text file in "
				   "UTF-8; nothing from here on was read",
				   c);
			r->rest.len = 0;
			return false;
		}
		line.ptr += len;
		line.len -= len;
	}
	return true;
}

/* The next line without its end; false at the end of the text. */
static bool next_line(struct reader *r, struct str *line)
{
	if (!r->rest.len)
		return false;
	const char *end = memchr(r->rest.ptr, '\n', r->rest.len);
	size_t len = end ? (size_t)(end - r->rest.ptr) : r->rest.len;
	*line = (struct str){ r->rest.ptr, len };
	r->rest.ptr += len + (end ? 1 : 0);
	r->rest.len -= len + (end ? 1 : 0);
	r->place.line++;
	if (line->len && line->ptr[line->len - 1] == '\r')
		line->len--;
	if (!is_text(r, *line))
		return false;
	*line = str_trim(*line);
	return true;
}

/* Cuts " ; comment" off. */
static struct str uncomment(struct str text)
{
	for (size_t i = 1; i < text.len; i++)
		if (text.ptr[i] == ';' && blank(text.ptr[i - 1]))
			return str_trim((struct str){ text.ptr, i });
	return text;
}

/* Cuts a text at the first blank: "issuer", "letsencrypt". */
static struct str cut_word(struct str *text)
{
	struct str word = *text;

	word.len = 0;
	while (word.len < text->len && !blank(text->ptr[word.len]))
		word.len++;
	text->ptr += word.len;
	text->len -= word.len;
	*text = str_trim(*text);
	return word;
}

static struct ini_section *add_section(struct reader *r, struct str kind,
				       struct str name)
{
	struct ini *ini = r->ini;
	struct ini_section *section = arena_alloc(ini->mem, sizeof(*section));
	const char *kind_text = arena_strndup(ini->mem, kind);
	const char *name_text = arena_strndup(ini->mem, name);

	if (!section || !kind_text || !name_text) {
		conf_error(r->errors, r->place, "configuration is too large");
		return NULL;
	}
	section->kind = kind_text;
	section->name = name_text;
	section->place = r->place;
	section->tail = &section->entries;
	if (!ini->tail)
		ini->tail = &ini->sections;
	*ini->tail = section;
	ini->tail = &section->next;
	ini->count++;
	return section;
}

/* "[kind name] ; comment" */
static bool take_section(struct reader *r, struct str line)
{
	const char *end = memchr(line.ptr, ']', line.len);

	r->section = NULL;
	r->skipped = r->place.line;
	if (!end) {
		conf_error(r->errors, r->place,
			   "section without its closing ']'");
		return false;
	}
	struct str after = { end + 1, line.len };
	after.len -= (size_t)(end + 1 - line.ptr);
	after = str_trim(after);
	if (after.len && *after.ptr != ';' && *after.ptr != '#') {
		conf_error(r->errors, r->place,
			   "text behind the section's ']'");
		return false;
	}
	struct str name = { line.ptr + 1, (size_t)(end - line.ptr) - 1 };
	name = str_trim(name);
	struct str kind = cut_word(&name);
	if (!kind.len) {
		conf_error(r->errors, r->place, "section without a name");
		return false;
	}
	if (kind.len > INI_NAME_MAX || name.len > INI_NAME_MAX) {
		conf_error(r->errors, r->place,
			   "section name of %zu bytes; at most %d",
			   kind.len > name.len ? kind.len : name.len,
			   INI_NAME_MAX);
		return false;
	}
	r->section = add_section(r, kind, name);
	return r->section != NULL;
}

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static bool take_key(struct reader *r, struct str key)
{
	if (!key.len) {
		conf_error(r->errors, r->place, "no key in front of '='");
		return false;
	}
	for (size_t i = 0; i < key.len; i++) {
		if (key_char(key.ptr[i]))
			continue;
		conf_error(r->errors, r->place,
			   "'%.*s' is no key: letters, digits, '_', '-' "
			   "and '.' only",
			   (int)(key.len < 60 ? key.len : 60), key.ptr);
		return false;
	}
	if (key.len > INI_KEY_MAX) {
		conf_error(r->errors, r->place, "key of %zu bytes; at most %d",
			   key.len, INI_KEY_MAX);
		return false;
	}
	memcpy(r->key, key.ptr, key.len);
	r->key[key.len] = '\0';
	r->key_line = r->place.line;
	return true;
}

/* "\"...\" ; comment" */
static bool take_quoted(struct reader *r, struct str text)
{
	const char *end = memchr(text.ptr + 1, '"', text.len - 1);
	struct conf_place place = { r->place.file, r->key_line };

	if (!end) {
		conf_error(r->errors, place, "%s: closing quote is missing",
			   r->key);
		return false;
	}
	struct str after = { end + 1, text.len };
	after.len -= (size_t)(end + 1 - text.ptr);
	after = str_trim(after);
	if (after.len && *after.ptr != ';') {
		conf_error(r->errors, place,
			   "%s: text behind the closing quote; quotes stand "
			   "around the whole value and not within it",
			   r->key);
		return false;
	}
	buf_add(&r->value, text.ptr + 1, (size_t)(end - text.ptr) - 1);
	return true;
}

/* Takes further lines as long as the value ends in a comma. */
static bool take_value(struct reader *r, struct str text)
{
	struct conf_place place = { r->place.file, r->key_line };

	if (text.len && *text.ptr == '"')
		return take_quoted(r, text);
	text = text.len && *text.ptr == ';' ? STR("") : uncomment(text);
	buf_add(&r->value, text.ptr, text.len);
	while (text.len && text.ptr[text.len - 1] == ',') {
		if (!next_line(r, &text)) {
			conf_error(r->errors, place,
				   "%s: ends in a comma, but nothing follows",
				   r->key);
			return false;
		}
		if (!text.len || *text.ptr == ';' || *text.ptr == '#') {
			text = STR(","); /* still waiting */
			continue;
		}
		if (*text.ptr == '[') {
			conf_error(r->errors, place,
				   "%s: ends in a comma, but a section "
				   "follows",
				   r->key);
			take_section(r, text);
			return false;
		}
		text = uncomment(text);
		buf_addc(&r->value, ' ');
		buf_add(&r->value, text.ptr, text.len);
	}
	return true;
}

/* "key = value" */
static bool take_entry(struct reader *r, struct str line)
{
	const char *equals = memchr(line.ptr, '=', line.len);
	struct conf_place place = r->place;

	if (!equals) {
		conf_error(r->errors, r->place,
			   "expected 'key = value' or '[section]'");
		return false;
	}
	struct str key = { line.ptr, (size_t)(equals - line.ptr) };
	struct str value = { equals + 1, line.len - key.len - 1 };
	if (!take_key(r, str_trim(key)))
		return false;
	buf_reset(&r->value);
	if (!take_value(r, str_trim(value)))
		return false;
	if (r->value.full) {
		conf_error(r->errors, place, "%s: value over %d bytes", r->key,
			   INI_VALUE_MAX);
		return false;
	}
	if (r->section)
		return true;
	if (!r->skipped)
		conf_error(r->errors, place,
			   "'%s' stands before the first section", r->key);
	return false;
}

/* One piece of the value as "key=|piece|\n". A piece ends between a blank and
 * a ';', where inih would see a comment. */
static char *give_piece(struct reader *r, char *line, size_t size)
{
	size_t room = size - strlen(r->key) - sizeof("=||\n");
	const char *from = r->value.ptr ? r->value.ptr + r->given : "";
	size_t left = r->value.len - r->given, len = 0;

	while (len < left && len < room) {
		if (len && from[len] == ';' && blank(from[len - 1]))
			break;
		len++;
	}
	snprintf(line, size, "%s=|%.*s|\n", r->key, (int)len, from);
	r->given += len;
	return line;
}

/* The fgets of inih. */
static char *read_line(char *line, int size, void *arg)
{
	struct reader *r = arg;
	struct str text;

	if (size < INI_KEY_MAX + 16)
		return NULL;
	if (r->giving && r->given < r->value.len)
		return give_piece(r, line, (size_t)size);
	r->giving = false;
	while (next_line(r, &text)) {
		if (!text.len || *text.ptr == ';' || *text.ptr == '#')
			continue;
		if (*text.ptr == '[') {
			if (!take_section(r, text))
				continue;
			snprintf(line, (size_t)size, "[%zu]\n", r->ini->count);
			return line;
		}
		if (!take_entry(r, text))
			continue;
		r->given = 0;
		r->giving = true;
		buf_reset(&r->joined);
		return give_piece(r, line, (size_t)size);
	}
	return NULL;
}

static void add_entry(struct reader *r, const char *key)
{
	struct ini_section *section = r->section;
	struct ini_entry *entry = arena_alloc(r->ini->mem, sizeof(*entry));
	struct conf_place place = { r->place.file, r->key_line };

	if (entry) {
		entry->key = arena_strdup(r->ini->mem, key);
		entry->value = arena_strndup(r->ini->mem, buf_str(&r->joined));
	}
	if (!entry || !entry->key || !entry->value) {
		conf_error(r->errors, place, "configuration is too large");
		return;
	}
	entry->place = place;
	*section->tail = entry;
	section->tail = &entry->next;
}

static int handle(void *arg, const char *section, const char *key,
		  const char *value)
{
	struct reader *r = arg;
	struct str piece = str_of(value);

	(void)section; /* the number of r->section */
	if (piece.len >= 2)
		buf_add(&r->joined, piece.ptr + 1, piece.len - 2);
	if (r->given == r->value.len && r->section)
		add_entry(r, key);
	return 1;
}

void ini_parse_text(struct ini *ini, struct str text, const char *file,
		    struct conf_errors *errors)
{
	struct reader r = {
		.ini = ini,
		.errors = errors,
		.rest = text,
		.place = { file, 0 },
		.value = BUF_INIT(INI_VALUE_MAX),
		.joined = BUF_INIT(INI_VALUE_MAX),
	};

	if (str_starts(text, STR("\xef\xbb\xbf"))) {
		r.rest.ptr += 3;
		r.rest.len -= 3;
	}
	if (ini_parse_stream(read_line, &r, handle, &r) || r.rest.len)
		conf_error(errors, r.place, "the INI parser gave up here");
	buf_free(&r.value);
	buf_free(&r.joined);
}

void ini_read(struct ini *ini, const char *file, struct conf_errors *errors)
{
	struct buf text = BUF_INIT(INI_FILE_MAX);
	struct err e = { 0 };

	if (file_read(file, &text, &e))
		conf_error(errors, (struct conf_place){ 0 }, "%s", e.text);
	else
		ini_parse_text(ini, buf_str(&text), file, errors);
	buf_free(&text);
}

const struct ini_entry *ini_find(const struct ini_section *section,
				 const char *key)
{
	for (const struct ini_entry *i = section->entries; i; i = i->next)
		if (!strcmp(i->key, key))
			return i;
	return NULL;
}
