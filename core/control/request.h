/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

enum { REQUEST_MAX = 16 << 20 }; /* bytes: 100,000 certificates fit */

/* One line from a client, checked for its form. */
struct request {
	json_t *id;         /* a number, a short text, or null; never NULL */
	const char *method; /* in `document` */
	json_t *params;     /* an object; never NULL after success */
	json_t *document;
};

/* After an error `id` is what could be found of it, so that the answer can
 * carry it. Free in both cases. */
int request_parse(struct str line, struct request *out, struct err *e);
void request_free(struct request *r);
