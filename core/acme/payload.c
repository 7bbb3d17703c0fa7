/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads, by jansson's packer: an object is built, written and dropped. A
 * string that is not UTF-8 makes the packer give NULL, which json_text() calls
 * by its name.
 */
#include "acme/payload.h"

#include <stdlib.h>
#include <string.h>

#include "acme/identifier.h"
#include "base/b64.h"
#include "json/json.h"

enum { DER_TEXT_MAX = 512 * 1024 };

/* RFC 5280 section 5.3.1; 7 is not used. */
static const char *const REASONS[] = {
	"unspecified",     "keyCompromise",
	"cACompromise",    "affiliationChanged",
	"superseded",      "cessationOfOperation",
	"certificateHold", NULL,
	"removeFromCRL",   "privilegeWithdrawn",
	"aACompromise",
};
enum { REASON_COUNT = sizeof REASONS / sizeof *REASONS };

static int finish(json_t *obj, struct buf *out, struct err *e)
{
	int rc = json_text(obj, out, e);

	json_decref(obj);
	return rc;
}

static json_t *contact_list(const struct payload_account *account)
{
	json_t *list = json_array();

	for (size_t i = 0; i < account->contact_count; i++) {
		const char *text = account->contacts[i];
		json_t *item = strchr(text, ':')
		                       ? json_string(text)
		                       : json_sprintf("mailto:%s", text);
		if (json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int payload_account(const struct payload_account *account, struct buf *out,
                    struct err *e)
{
	json_t *obj = json_object(), *binding;
	int bad = 0;

	if (account->only_existing)
		bad |= json_object_set_new(obj, "onlyReturnExisting",
		                           json_true());
	if (account->terms_agreed)
		bad |= json_object_set_new(obj, "termsOfServiceAgreed",
		                           json_true());
	if (account->contact_count)
		bad |= json_object_set_new(obj, "contact",
		                           contact_list(account));
	if (bad) {
		json_decref(obj);
		return err_set(e, ERR_INVALID, "contact is not UTF-8");
	}
	if (account->binding.len) {
		int rc = json_read(account->binding, &binding, e);
		if (rc < 0) {
			json_decref(obj);
			return err_in(e, "external account binding");
		}
		json_object_set_new(obj, "externalAccountBinding", binding);
	}
	return finish(obj, out, e);
}

static json_t *identifier_json(struct str name)
{
	char text[IDENTIFIER_SIZE];

	if (name.len >= sizeof text)
		return NULL;
	if (name.len)
		memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	return json_pack("{s:s, s:s}", "type",
	                 identifier_type_name(identifier_type(text)), "value",
	                 text);
}

int payload_order(const struct str *names, size_t count, const char *profile,
                  const char *replaces, struct buf *out, struct err *e)
{
	json_t *list = json_array();
	int bad = 0;

	for (size_t i = 0; !bad && i < count; i++)
		bad = json_array_append_new(list, identifier_json(names[i]));
	if (bad) {
		json_decref(list);
		return err_set(e, ERR_INVALID, "a name is no identifier");
	}
	return finish(json_pack("{s:o, s:s*, s:s*}", "identifiers", list,
	                        "profile", profile, "replaces", replaces),
	              out, e);
}

/* {"name":"base64url"...: what both finalize and revoke begin with. */
static json_t *der_object(const char *name, struct str der)
{
	struct buf text = BUF_INIT(DER_TEXT_MAX);
	json_t *obj = NULL;

	if (b64url_add(&text, der.ptr, der.len) == 0)
		obj = json_pack("{s:s#}", name, text.ptr ? text.ptr : "",
		                (int)text.len);
	buf_free(&text);
	return obj;
}

int payload_finalize(struct str csr_der, struct buf *out, struct err *e)
{
	return finish(der_object("csr", csr_der), out, e);
}

int payload_challenge(struct buf *out, struct err *e)
{
	return finish(json_object(), out, e);
}

int payload_revoke(struct str cert_der, int reason, struct buf *out,
                   struct err *e)
{
	json_t *obj = der_object("certificate", cert_der);

	if (obj && reason >= 0)
		json_object_set_new(obj, "reason", json_integer(reason));
	return finish(obj, out, e);
}

int payload_deactivate(struct buf *out, struct err *e)
{
	return finish(json_pack("{s:s}", "status", "deactivated"), out, e);
}

int payload_key_change(const char *account_url, const char *old_jwk,
                       struct buf *out, struct err *e)
{
	json_t *key;
	int rc = json_read(str_of(old_jwk), &key, e);

	if (rc < 0)
		return err_in(e, "old key");
	return finish(
		json_pack("{s:s, s:o}", "account", account_url, "oldKey", key),
		out, e);
}

int payload_reason_parse(const char *text)
{
	char *end;

	for (int i = 0; i < REASON_COUNT; i++)
		if (REASONS[i] && !strcasecmp(text, REASONS[i]))
			return i;
	long number = strtol(text, &end, 10);
	if (!*text || *end || number < 0 || number >= REASON_COUNT ||
	    !REASONS[number])
		return -1;
	return (int)number;
}
