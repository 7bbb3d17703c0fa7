/* SPDX-License-Identifier: Apache-2.0 */
/* base64url (RFC 4648 section 5, RFC 7515 section 2): one spelling only. */
#include "base/b64.h"

static const char ALPHABET[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int b64url_add(struct buf *out, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (; len >= 3; p += 3, len -= 3) {
		unsigned v = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
		buf_addc(out, ALPHABET[v >> 18]);
		buf_addc(out, ALPHABET[v >> 12 & 63]);
		buf_addc(out, ALPHABET[v >> 6 & 63]);
		buf_addc(out, ALPHABET[v & 63]);
	}
	if (len) {
		unsigned v = (unsigned)p[0] << 16;
		if (len == 2)
			v |= (unsigned)p[1] << 8;
		buf_addc(out, ALPHABET[v >> 18]);
		buf_addc(out, ALPHABET[v >> 12 & 63]);
		if (len == 2)
			buf_addc(out, ALPHABET[v >> 6 & 63]);
	}
	return out->full ? -1 : 0;
}

static int value_of(char c)
{
	const char *at = c ? strchr(ALPHABET, c) : NULL;

	return at ? (int)(at - ALPHABET) : -1;
}

int b64url_decode(struct buf *out, struct str text)
{
	unsigned acc = 0, bits = 0;

	if (text.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < text.len; i++) {
		int v = value_of(text.ptr[i]);
		if (v < 0)
			return -1;
		acc = acc << 6 | (unsigned)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (buf_addc(out, (char)(acc >> bits)) < 0)
				return -1;
			acc &= (1u << bits) - 1;
		}
	}
	return acc == 0 ? 0 : -1;
}
