/* SPDX-License-Identifier: Apache-2.0 */
/* What acmectl status and watch show: see report.h. */
#include "control/report.h"

#include <string.h>

#include "base/now.h"
#include "json/json.h"

json_t *report_time(int64_t wall_ms)
{
	char text[NOW_TEXT];

	return wall_ms ? json_string(now_text(wall_ms, 0, text)) : json_null();
}

json_t *report_error(const struct err *e, int64_t at)
{
	if (!e)
		return json_null();
	json_t *o = json_pack("{s:s, s:o, s:o}", "class",
	                      err_code_name(e->code), "text",
	                      json_lossy(e->text), "at", report_time(at));
	if (e->problem[0])
		json_object_set_new(o, "problem", json_string(e->problem));
	if (e->retry_at)
		json_object_set_new(o, "retry_at", report_time(e->retry_at));
	return o;
}

static json_t *names_json(const struct names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++)
		json_array_append_new(array, json_string(names->list[i]));
	return array;
}

static json_t *keys_json(const struct item *item)
{
	json_t *array = json_array();

	for (size_t k = 0; k < KEY_KINDS; k++) {
		const struct leg *leg = &item->legs[k];
		if (leg->stored)
			json_array_append_new(
				array,
				json_pack("{s:s, s:s, s:o, s:o, s:b}", "type",
			                  key_kind_name(leg->kind), "serial",
			                  leg->serial, "not_before",
			                  report_time(leg->not_before),
			                  "not_after",
			                  report_time(leg->not_after),
			                  "revoked", (int)leg->revoked));
	}
	return array;
}

/* The leg that tells most about its certificate: one that fails, else the one
 * that is due first. */
static const struct leg *telling(const struct item *item)
{
	const struct leg *first = NULL;

	for (size_t k = 0; k < KEY_KINDS; k++) {
		const struct leg *leg = &item->legs[k];
		if (!leg->wanted)
			continue;
		if (leg->last_error)
			return leg;
		if (!first || leg->order || leg->due.at < first->due.at)
			first = leg;
	}
	return first;
}

static const char *state_of(const struct item *item)
{
	bool missing = false, failed = false, expired = false, order = false;

	for (size_t k = 0; k < KEY_KINDS; k++) {
		const struct leg *leg = &item->legs[k];
		if (leg->stored && leg->not_after < now_wall())
			expired = true;
		if (!leg->wanted)
			continue;
		missing = missing || !leg_is_current(leg);
		failed = failed || leg->last_error;
		order = order || leg->order;
	}
	if (expired)
		return "expired";
	if (!item->wanted)
		return "unwanted";
	if (missing)
		return failed && !order ? "failed" : "pending";
	return "valid";
}

static json_t *next_json(const struct item *item)
{
	const struct leg *leg = telling(item);

	if (!leg)
		return json_null();
	if (leg->order)
		return json_pack("{s:s, s:s}", "action", "ordering", "state",
		                 order_state(leg->order));
	return json_pack("{s:s, s:o}", "action",
	                 leg->last_error && leg->due.at == leg->last_error->retry_at
	                         ? "retry"
	                 : leg_is_current(leg) ? "renew"
	                                        : "issue",
	                 "at",
	                 report_time(leg->due.at > 0 ? leg->due.at
	                                              : now_wall()));
}

/* The certificate's own last error, or what keeps its order from going on, or
 * its issuer from working. */
static json_t *error_json(const struct renew *renew, const struct item *item)
{
	const struct leg *leg = telling(item);
	struct issuer_status status;
	struct issuer *issuer =
		item->wanted ? renew_issuer(renew, item->wish.issuer) : NULL;

	if (leg && leg->last_error)
		return report_error(leg->last_error, leg->last_error_at);
	if (leg && leg->order && order_trouble(leg->order))
		return report_error(order_trouble(leg->order), now_wall());
	if (!issuer || !leg || leg_is_current(leg))
		return json_null();
	issuer_status(issuer, &status);
	return report_error(status.last_error, status.last_error_at);
}

json_t *report_item(const struct renew *renew, const struct item *item)
{
	const struct wish *w = &item->wish;
	const struct leg *any = NULL;

	for (size_t k = 0; k < KEY_KINDS && !any; k++)
		any = item->legs[k].stored ? &item->legs[k] : NULL;
	const char *issuer = item->wanted ? w->issuer : any ? any->issuer : "";
	const struct names none = { 0 };
	const struct names *names = item->wanted ? &w->identifiers
	                            : any        ? &any->identifiers
	                                         : &none;
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
	                 "name", item->name, "issuer", issuer, "names",
	                 names_json(names), "origin",
	                 json_lossy(item->wanted ? w->origin : ""), "state",
	                 state_of(item), "keys", keys_json(item), "not_after",
	                 report_time(item_not_after(item)), "next",
	                 next_json(item), "last_error",
	                 error_json(renew, item));
}

struct list {
	const struct renew *renew;
	json_t *array;
};

static void add_item(void *arg, struct item *item)
{
	struct list *list = arg;

	if (item->wanted || item_not_after(item))
		json_array_append_new(list->array,
		                      report_item(list->renew, item));
}

json_t *report_certificates(const struct renew *renew)
{
	struct list list = { renew, json_array() };

	inventory_each(renew_inventory(renew), add_item, &list);
	return list.array;
}

json_t *report_issuers(const struct renew *renew)
{
	json_t *array = json_array();
	struct issuer *issuer;

	for (size_t n = 0; (issuer = renew_issuer_at(renew, n)); n++) {
		struct issuer_status s;
		issuer_status(issuer, &s);
		json_array_append_new(
			array,
			json_pack("{s:s, s:s, s:s, s:s?, s:i, s:I, s:I, s:o}",
		                  "name", issuer_name(issuer), "directory",
		                  ca_directory_url(issuer_ca(issuer)), "state",
		                  s.state, "account", s.account, "orders",
		                  (int)s.running, "requests",
		                  (json_int_t)s.calls.requests, "bad_nonces",
		                  (json_int_t)s.calls.bad_nonces, "last_error",
		                  report_error(s.last_error, s.last_error_at)));
	}
	return array;
}

json_t *report_event(const struct leg *leg, const struct err *e)
{
	json_t *o = json_pack("{s:s, s:s}", "name", leg->item->name, "type",
	                      key_kind_name(leg->kind));

	if (leg->stored) {
		json_object_set_new(o, "serial", json_string(leg->serial));
		json_object_set_new(o, "not_after",
		                    report_time(leg->not_after));
	}
	if (e)
		json_object_set_new(o, "error", report_error(e, now_wall()));
	return o;
}
