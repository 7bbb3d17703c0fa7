/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `issue` and `renew` have in common: the agent answers when the last
 * order has ended, with one entry for each certificate, in the form of
 * `status`; an entry whose order failed has "error".
 */
#include "ctl/outcome.h"

#include <stdio.h>

#include "ctl/client.h"
#include "ctl/when.h"

static bool print_one(const json_t *cert)
{
	const char *name = json_string_value(json_object_get(cert, "name"));
	const json_t *error = json_object_get(cert, "error");
	char when[WHEN_TEXT];
	size_t i;
	json_t *key;

	if (json_is_object(error)) {
		const char *text =
		    json_string_value(json_object_get(error, "text"));
		const char *problem =
		    json_string_value(json_object_get(error, "problem"));
		ctl_say("%s: %s%s%s%s", name ? name : "-",
			text ? text : "failed", problem && *problem ? " (" : "",
			problem && *problem ? problem : "",
			problem && *problem ? ")" : "");
		return false;
	}
	json_array_foreach(json_object_get(cert, "keys"), i, key)
	    printf("%s: %s, serial %s, expires %s\n", ctl_clean(name),
		   ctl_clean(json_string_value(json_object_get(key, "type"))),
		   ctl_clean(json_string_value(json_object_get(key, "serial"))),
		   when_of(json_string_value(json_object_get(key, "not_after")),
			   when));
	return true;
}

enum ctl_exit outcome_ask(const struct ctl *ctl, const char *method,
			  json_t *params)
{
	json_t *result, *item;
	size_t i;

	json_object_set_new(params, "wait", json_boolean(!ctl->no_wait));
	enum ctl_exit rc = client_ask(ctl, method, params, &result);
	if (rc)
		return rc;
	json_array_foreach(json_object_get(result, "certificates"), i, item)
	{
		if (ctl->json)
			rc = json_object_get(item, "error") ? CTL_FAILED : rc;
		else if (!print_one(item))
			rc = CTL_FAILED;
	}
	if (ctl->json)
		ctl_print_json(result);
	else
		json_array_foreach(json_object_get(result, "started"), i, item)
		    printf("%s: started\n", ctl_clean(json_string_value(item)));
	json_decref(result);
	return rc;
}
