/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Account objects. Some CAs leave members out that RFC 8555 requires ("orders",
 * even "status" in answers to newAccount): absent means valid, and no more.
 */
#include "acme/account_doc.h"

#include "acme/doc.h"
#include "acme/url.h"

enum { CONTACTS_MAX = 32 };

static const char *const STATUS[] = {
	[ACCOUNT_STATUS_VALID] = "valid",
	[ACCOUNT_STATUS_DEACTIVATED] = "deactivated",
	[ACCOUNT_STATUS_REVOKED] = "revoked",
};
enum { STATUSES = sizeof STATUS / sizeof *STATUS };

int account_doc_read(struct str body, struct arena *arena,
                     struct account_doc *out, struct err *e)
{
	struct doc d = { "an account", arena, 0, e, NULL };
	int status = ACCOUNT_STATUS_VALID;
	int rc = doc_open(&d, body);

	*out = (struct account_doc){ 0 };
	if (rc < 0)
		return rc;
	if (json_object_get(d.root, "status"))
		rc = doc_word(&d, d.root, "status", STATUS, STATUSES, &status);
	out->status = (enum account_status)status;
	rc = rc ? rc
	        : doc_strs(&d, "contact", CONTACTS_MAX, &out->contacts,
	                   &out->contact_count);
	rc = rc ? rc
	        : doc_str(&d, d.root, "orders", URL_MAX, DOC_OPTIONAL,
	                  &out->orders);
	rc = rc ? rc
	        : json_opt_bool(d.root, "termsOfServiceAgreed", false,
	                        &out->terms_agreed, e);
	return doc_close(&d, rc);
}

const char *account_status_name(enum account_status status)
{
	return (unsigned)status < STATUSES ? STATUS[status] : "unknown";
}
