/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorizations and their challenges. The token is the one string of a CA that
 * becomes part of a path and of a DNS record, so its alphabet is checked here,
 * before anything can use it. Types of challenge that we do not know may have
 * none, or another use for the word: theirs is dropped unless it is
 * well-formed.
 */
#include "acme/authz_doc.h"

#include <string.h>

#include "acme/doc.h"

enum { TYPE_MAX = 64 };

static const char *const AUTHZ_STATUS[] = {
	[AUTHZ_STATUS_PENDING] = "pending",
	[AUTHZ_STATUS_VALID] = "valid",
	[AUTHZ_STATUS_INVALID] = "invalid",
	[AUTHZ_STATUS_DEACTIVATED] = "deactivated",
	[AUTHZ_STATUS_EXPIRED] = "expired",
	[AUTHZ_STATUS_REVOKED] = "revoked",
};
enum { AUTHZ_STATUSES = sizeof AUTHZ_STATUS / sizeof *AUTHZ_STATUS };

static const char *const CHALLENGE_STATUS[] = {
	[CHALLENGE_STATUS_PENDING] = "pending",
	[CHALLENGE_STATUS_PROCESSING] = "processing",
	[CHALLENGE_STATUS_VALID] = "valid",
	[CHALLENGE_STATUS_INVALID] = "invalid",
};
enum {
	CHALLENGE_STATUSES = sizeof CHALLENGE_STATUS / sizeof *CHALLENGE_STATUS
};

static bool needs_token(const char *type)
{
	return !strcmp(type, "http-01") || !strcmp(type, "dns-01") ||
	       !strcmp(type, "tls-alpn-01");
}

/* RFC 8555 section 8.1: base64url, at least 128 bits. */
static bool good_token(const char *token)
{
	size_t len = strlen(token);

	return len >= CHALLENGE_TOKEN_MIN && len <= CHALLENGE_TOKEN_MAX &&
	       strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                     "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static int read_token(const struct doc *d, const json_t *obj,
                      struct challenge_doc *out)
{
	const json_t *token = json_object_get(obj, "token");
	const char *text = json_string_value(token);

	out->token = NULL;
	if (text && good_token(text))
		return doc_str(d, obj, "token", CHALLENGE_TOKEN_MAX,
		               DOC_REQUIRED, &out->token);
	if (!needs_token(out->type))
		return 0;
	return err_set(d->e, ERR_INVALID, "token of %s is %s", out->type,
	               text ? "not 22 to 512 characters of base64url"
	                    : "missing");
}

static int read_challenge(const struct doc *d, const json_t *obj,
                          struct challenge_doc *out)
{
	int status = 0;
	int rc = doc_str(d, obj, "type", TYPE_MAX, DOC_REQUIRED, &out->type);

	rc = rc ? rc : doc_url(d, obj, "url", DOC_REQUIRED, &out->url);
	rc = rc ? rc
	        : doc_word(d, obj, "status", CHALLENGE_STATUS,
	                   CHALLENGE_STATUSES, &status);
	out->status = (enum challenge_status)status;
	rc = rc ? rc : read_token(d, obj, out);
	return rc ? rc : doc_error(d, obj, &out->error);
}

static int read_challenges(const struct doc *d, struct authz_doc *out)
{
	const json_t *array, *item;
	struct challenge_doc *list;
	void *room;
	int rc = json_get_array(d->root, "challenges", AUTHZ_DOC_CHALLENGES_MAX,
	                        &array, d->e);

	if (rc < 0)
		return rc;
	rc = doc_room(d, json_array_size(array), sizeof *list, &room);
	if (rc < 0)
		return rc;
	list = room;
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_object(array, i, &item, d->e);
		rc = rc ? rc : read_challenge(d, item, &list[i]);
		if (rc < 0)
			err_in(d->e, "challenge %zu", i + 1);
	}
	out->challenges = list;
	out->challenge_count = json_array_size(array);
	return rc;
}

int authz_doc_read(struct str body, unsigned flags, struct arena *arena,
                   struct authz_doc *out, struct err *e)
{
	struct doc d = { "an authorization", arena, flags, e, NULL };
	const json_t *identifier = NULL;
	int status = 0, rc = doc_open(&d, body);

	*out = (struct authz_doc){ 0 };
	if (rc < 0)
		return rc;
	rc = doc_word(&d, d.root, "status", AUTHZ_STATUS, AUTHZ_STATUSES,
	              &status);
	out->status = (enum authz_status)status;
	rc = rc ? rc : doc_date(&d, d.root, "expires", &out->expires);
	rc = rc ? rc : json_get_object(d.root, "identifier", &identifier, e);
	rc = rc ? rc : doc_identifier(&d, identifier, &out->identifier);
	rc = rc ? rc
	        : json_opt_bool(d.root, "wildcard", false, &out->wildcard, e);
	rc = rc ? rc : read_challenges(&d, out);
	return doc_close(&d, rc);
}

int challenge_doc_read(struct str body, unsigned flags, struct arena *arena,
                       struct challenge_doc *out, struct err *e)
{
	struct doc d = { "a challenge", arena, flags, e, NULL };
	int rc = doc_open(&d, body);

	*out = (struct challenge_doc){ 0 };
	if (rc < 0)
		return rc;
	return doc_close(&d, read_challenge(&d, d.root, out));
}

const struct challenge_doc *authz_doc_challenge(const struct authz_doc *doc,
                                                const char *type)
{
	for (size_t i = 0; i < doc->challenge_count; i++)
		if (!strcmp(doc->challenges[i].type, type))
			return &doc->challenges[i];
	return NULL;
}

const struct err *authz_doc_error(const struct authz_doc *doc)
{
	for (size_t i = 0; i < doc->challenge_count; i++)
		if (doc->challenges[i].error)
			return doc->challenges[i].error;
	return NULL;
}

const char *authz_status_name(enum authz_status status)
{
	return (unsigned)status < AUTHZ_STATUSES ? AUTHZ_STATUS[status]
	                                         : "unknown";
}

const char *challenge_status_name(enum challenge_status status)
{
	return (unsigned)status < CHALLENGE_STATUSES ? CHALLENGE_STATUS[status]
	                                             : "unknown";
}
