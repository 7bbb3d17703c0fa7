/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as paths: a wildcard's "*.example.com" is the file
 * %2A.example.com below the store.
 *
 * What a shell, an editor or a file system may find special is written %XX, a
 * leading dot too, so names that begin with a dot are ours (.lock, .tmp). Each
 * key has exactly one path; another spelling of it is no key and is left alone.
 */
#include "key.h"

#include <string.h>

static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789._~@+=,-";
static const char HEX[] = "0123456789ABCDEF";

/* One component, or with `whole` a key with its slashes; the length, or -1. */
static int escape(acme_str s, int whole, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c < 0x20 || c > 0x7e || (c == '/' && !whole) ||
		    n + 3 >= room)
			return -1;
		if (strchr(PLAIN, c) && !(c == '.' && i == 0)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = HEX[c >> 4];
		out[n++] = HEX[c & 15];
	}
	out[n] = '\0';
	return n > 0 && n <= KEY_NAME ? (int)n : -1;
}

static int is_dots(acme_str s)
{
	return s.len > 0 && s.len <= 2 && s.ptr[0] == '.' &&
	       s.ptr[s.len - 1] == '.';
}

int key_path(acme_str key, char out[KEY_PATH])
{
	size_t n = 0, from = 0;

	for (size_t i = 0; i <= key.len; i++) {
		if (i < key.len && key.ptr[i] != '/')
			continue;
		acme_str part = { key.ptr + from, i - from };
		int len = is_dots(part) || n + 1 >= KEY_PATH
			      ? -1
			      : escape(part, 0, out + n, KEY_PATH - n - 1);
		if (len < 0)
			return -1;
		n += (size_t)len;
		out[n++] = '/';
		from = i + 1;
	}
	out[n - 1] = '\0';
	return 0;
}

int key_name(acme_str key, char out[KEY_NAME + 1])
{
	return escape(key, 1, out, KEY_NAME + 1) < 0 ? -1 : 0;
}

static int hex(char c)
{
	const char *at = c ? strchr(HEX, c) : NULL;

	return at ? (int)(at - HEX) : -1;
}

int key_of_path(const char *path, char out[KEY_PATH])
{
	char again[KEY_PATH];
	size_t n = 0;

	for (const char *p = path; *p; p++, n++) {
		if (n + 1 >= KEY_PATH)
			return -1;
		out[n] = *p;
		if (*p != '%')
			continue;
		int high = hex(p[1]), low = high < 0 ? -1 : hex(p[2]);
		if (low < 0)
			return -1;
		out[n] = (char)(high << 4 | low);
		if (out[n] == '/' || out[n] == '\0')
			return -1;
		p += 2;
	}
	out[n] = '\0';
	acme_str key = { out, n };
	return key_path(key, again) < 0 || strcmp(again, path) != 0 ? -1 : 0;
}

int key_is_name(const char *name)
{
	char key[KEY_PATH];

	return !strchr(name, '/') && key_of_path(name, key) == 0;
}
