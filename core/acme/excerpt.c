/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator who sees the first words of an answer knows at once that a
 * captive portal, a proxy or a wrong URL gave it.
 */
#include "acme/excerpt.h"

char *excerpt(struct str bytes, char out[EXCERPT_SIZE])
{
	size_t n = 0, i;

	bytes = str_trim(bytes);
	if (bytes.len == 0)
		return memcpy(out, "nothing", sizeof "nothing");
	out[n++] = '"';
	for (i = 0; i < bytes.len && n <= EXCERPT_BYTES; i++) {
		char c = bytes.ptr[i];
		if (c == '\r' || c == '\n' || c == '\t')
			c = ' ';
		if (c == ' ' && out[n - 1] == ' ')
			continue;
		out[n++] = c >= ' ' && c < 0x7f ? c : '?';
	}
	if (i < bytes.len) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
