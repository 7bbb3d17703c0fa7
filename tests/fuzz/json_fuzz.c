/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as JSON: they are refused, or they can be written, and what
 * was written reads back to the same text.
 */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"

static void use(const json_t *json)
{
	const json_t *sub;
	const char *text;
	struct err e;
	int64_t number;
	bool yes;

	json_get_str(json, "a", 8, &text, &e);
	json_opt_str(json, "b", 8, &text, &e);
	json_opt_int(json, "n", 0, -5, 5, &number, &e);
	json_opt_bool(json, "t", false, &yes, &e);
	json_opt_object(json, "o", &sub, &e);
	if (json_opt_array(json, "l", 3, &sub, &e) == 0 && sub)
		for (size_t i = 0; i <= json_array_size(sub); i++)
			json_item_str(sub, i, 8, &text, &e);
	for (size_t i = 0; i <= json_array_size(json); i++)
		json_item_object(json, i, &sub, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT(8 << 20), twice = BUF_INIT(8 << 20);
	json_t *json, *again;
	struct err e;

	if (json_read((struct str){ (const char *)data, size }, &json, &e) < 0)
		return 0;
	use(json);
	if (json_text(json, &once, &e) < 0 ||
	    json_read(buf_str(&once), &again, &e) < 0 ||
	    json_text(again, &twice, &e) < 0 ||
	    !str_eq(buf_str(&once), buf_str(&twice)))
		abort();
	json_decref(json);
	json_decref(again);
	buf_free(&once);
	buf_free(&twice);
	return 0;
}
