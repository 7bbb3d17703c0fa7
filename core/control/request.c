/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line to a request. Pure, so that a fuzzer can have it: size, depth
 * and duplicate keys are bounded by json_read, everything else is looked at
 * here. Unknown members are refused, because somebody who misspelt "params"
 * should hear of it.
 */
#include "control/request.h"

#include "json/json.h"

enum { METHOD_MAX = 32, ID_MAX = 64 };

static int check_members(const json_t *doc, struct err *e)
{
	static const char *const KNOWN[] = { "id", "method", "params" };
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)doc, key, value)
	{
		bool known = false;
		for (size_t i = 0; i < 3; i++)
			known |= !strcmp(key, KNOWN[i]);
		if (!known)
			return err_set(e, ERR_INVALID,
				       "a request has id, method and params, "
				       "nothing else");
	}
	return 0;
}

static int take_id(struct request *r, struct err *e)
{
	json_t *id = json_object_get(r->document, "id");

	if (!id || json_is_null(id))
		return 0;
	if (!json_is_integer(id) &&
	    !(json_is_string(id) && json_string_length(id) <= ID_MAX))
		return err_set(e, ERR_INVALID,
			       "id: expected a number or a text of at most %d "
			       "bytes",
			       ID_MAX);
	json_decref(r->id);
	r->id = json_incref(id);
	return 0;
}

int request_parse(struct str line, struct request *out, struct err *e)
{
	const json_t *params = NULL;

	*out = (struct request){ .id = json_null() };
	if (json_read_within(line, REQUEST_MAX, &out->document, e))
		return e->code;
	if (!json_is_object(out->document))
		return err_set(e, ERR_INVALID, "expected an object");
	if (take_id(out, e) || check_members(out->document, e) ||
	    json_get_str(out->document, "method", METHOD_MAX, &out->method,
			 e) ||
	    json_opt_object(out->document, "params", &params, e))
		return e->code;
	out->params = params ? json_incref((json_t *)params) : json_object();
	return 0;
}

void request_free(struct request *r)
{
	json_decref(r->id);
	json_decref(r->params);
	json_decref(r->document);
	*r = (struct request){ 0 };
}
