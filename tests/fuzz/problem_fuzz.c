/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as the body of a refused request: always an error, always
 * with a text that is one line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "acme/problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int status[] = { 0, 200, 400, 403, 429, 500, 999 };
	struct err e;

	for (size_t i = 0; i < sizeof status / sizeof *status; i++) {
		int code = problem_read(
			status[i], (struct str){ (const char *)data, size },
			&e);
		if (code >= 0 || code != (int)e.code || !e.text[0] ||
		    strpbrk(e.text, "\r\n\x1b"))
			abort();
		problem_is(&e, "badNonce");
	}
	return 0;
}
