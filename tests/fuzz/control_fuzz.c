/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a line on the control socket. What passes as a request has an
 * id, a method and params, and can be answered.
 */
#include <stdint.h>
#include <stdlib.h>

#include "control/request.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r;
	struct err e = { 0 };
	struct buf out = BUF_INIT(4096);

	int rc =
	    request_parse((struct str){ (const char *)data, size }, &r, &e);
	if (!r.id || (!rc && (!r.method || !json_is_object(r.params))))
		abort();
	json_t *answer = json_pack("{s:O,s:{}}", "id", r.id, "result");
	if (!answer || json_text(answer, &out, &e))
		abort();
	json_decref(answer);
	buf_free(&out);
	request_free(&r);
	return 0;
}
