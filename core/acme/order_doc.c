/* SPDX-License-Identifier: Apache-2.0 */
/* Order objects, as newOrder, polls and finalize answer them. */
#include "acme/order_doc.h"

#include "acme/doc.h"

enum { PROFILE_MAX = 200 };

static const char *const STATUS[] = {
	[ORDER_STATUS_PENDING] = "pending",
	[ORDER_STATUS_READY] = "ready",
	[ORDER_STATUS_PROCESSING] = "processing",
	[ORDER_STATUS_VALID] = "valid",
	[ORDER_STATUS_INVALID] = "invalid",
};
enum { STATUSES = sizeof STATUS / sizeof *STATUS };

static int read_identifiers(const struct doc *d, struct order_doc *out)
{
	const json_t *array, *item;
	struct identifier *ids;
	void *room;
	int rc = json_get_array(d->root, "identifiers", ORDER_DOC_NAMES_MAX,
	                        &array, d->e);

	if (rc < 0)
		return rc;
	rc = doc_room(d, json_array_size(array), sizeof *ids, &room);
	if (rc < 0)
		return rc;
	ids = room;
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_object(array, i, &item, d->e);
		rc = rc ? rc : doc_identifier(d, item, &ids[i]);
	}
	out->identifiers = ids;
	out->identifier_count = json_array_size(array);
	return rc;
}

static enum doc_presence finalize_presence(enum order_status status)
{
	bool over =
		status == ORDER_STATUS_VALID || status == ORDER_STATUS_INVALID;

	return over ? DOC_OPTIONAL : DOC_REQUIRED;
}

/* What each status promises (RFC 8555 section 7.1.6). */
static int check_promises(const struct order_doc *doc, struct err *e)
{
	if (doc->status == ORDER_STATUS_PENDING &&
	    doc->authorization_count == 0)
		return err_set(e, ERR_INVALID,
		               "pending, but no \"authorizations\"");
	if (doc->status == ORDER_STATUS_VALID && !doc->certificate)
		return err_set(e, ERR_INVALID, "valid, but no \"certificate\"");
	return 0;
}

int order_doc_read(struct str body, unsigned flags, struct arena *arena,
                   struct order_doc *out, struct err *e)
{
	struct doc d = { "an order", arena, flags, e, NULL };
	int status = 0, rc = doc_open(&d, body);

	*out = (struct order_doc){ 0 };
	if (rc < 0)
		return rc;
	rc = doc_word(&d, d.root, "status", STATUS, STATUSES, &status);
	out->status = (enum order_status)status;
	rc = rc ? rc : doc_date(&d, d.root, "expires", &out->expires);
	rc = rc ? rc : read_identifiers(&d, out);
	rc = rc ? rc
	        : doc_urls(&d, "authorizations", ORDER_DOC_NAMES_MAX,
	                   &out->authorizations, &out->authorization_count);
	rc = rc ? rc
	        : doc_url(&d, d.root, "finalize",
	                  finalize_presence(out->status), &out->finalize);
	rc = rc ? rc
	        : doc_url(&d, d.root, "certificate", DOC_OPTIONAL,
	                  &out->certificate);
	rc = rc ? rc
	        : doc_str(&d, d.root, "profile", PROFILE_MAX, DOC_OPTIONAL,
	                  &out->profile);
	rc = rc ? rc : doc_error(&d, d.root, &out->error);
	rc = rc ? rc : check_promises(out, e);
	return doc_close(&d, rc);
}

const char *order_status_name(enum order_status status)
{
	return (unsigned)status < STATUSES ? STATUS[status] : "unknown";
}
