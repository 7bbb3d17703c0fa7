/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory. Only what we use is read; newAuthz and members of other
 * extensions are not ours. A "meta" that is null or holds nulls occurs and says
 * nothing.
 */
#include "acme/directory_doc.h"

#include "acme/doc.h"
#include "acme/url.h"

enum { CAA_MAX = 64, PROFILES_MAX = 64, PROFILE_NAME_MAX = 200 };

/* Names are the members of an object whose values describe them. */
static int read_profiles(const struct doc *d, const json_t *meta,
                         struct directory_doc *out)
{
	const json_t *profiles;
	const char **names;
	void *room;
	int rc = json_opt_object(meta, "profiles", &profiles, d->e);

	if (rc < 0 || !profiles)
		return rc;
	if (json_object_size(profiles) > PROFILES_MAX)
		return err_set(d->e, ERR_INVALID, "over %d profiles",
		               PROFILES_MAX);
	rc = doc_room(d, json_object_size(profiles), sizeof *names, &room);
	if (rc < 0)
		return rc;
	names = room;
	void *iter = json_object_iter((json_t *)profiles);
	for (; iter; iter = json_object_iter_next((json_t *)profiles, iter)) {
		const char *name = json_object_iter_key(iter);
		if (strlen(name) > PROFILE_NAME_MAX)
			continue;
		names[out->profile_count] = arena_strdup(d->arena, name);
		if (!names[out->profile_count++])
			return err_set(d->e, ERR_NOSPACE, "too large");
	}
	out->profiles = names;
	return 0;
}

static int read_meta(const struct doc *d, struct directory_doc *out)
{
	const json_t *meta;
	struct doc inner = *d;
	int rc = json_opt_object(d->root, "meta", &meta, d->e);

	if (rc < 0 || !meta)
		return rc;
	inner.root = (json_t *)meta;
	/* Shown to people, never fetched: any string will do. */
	rc = doc_str(d, meta, "termsOfService", URL_MAX, DOC_OPTIONAL,
	             &out->terms);
	rc = rc ? rc
	        : doc_str(d, meta, "website", URL_MAX, DOC_OPTIONAL,
	                  &out->website);
	rc = rc ? rc
	        : doc_strs(&inner, "caaIdentities", CAA_MAX, &out->caa,
	                   &out->caa_count);
	rc = rc ? rc
	        : json_opt_bool(meta, "externalAccountRequired", false,
	                        &out->external_account_required, d->e);
	rc = rc ? rc : read_profiles(d, meta, out);
	return rc < 0 ? err_in(d->e, "\"meta\"") : 0;
}

int directory_doc_read(struct str body, unsigned flags, struct arena *arena,
                       struct directory_doc *out, struct err *e)
{
	struct doc d = { "a directory", arena, flags, e, NULL };
	const struct {
		const char *key, **to;
		enum doc_presence presence;
	} urls[] = {
		{ "newNonce", &out->new_nonce, DOC_REQUIRED },
		{ "newAccount", &out->new_account, DOC_REQUIRED },
		{ "newOrder", &out->new_order, DOC_REQUIRED },
		{ "revokeCert", &out->revoke_cert, DOC_OPTIONAL },
		{ "keyChange", &out->key_change, DOC_OPTIONAL },
		{ "renewalInfo", &out->renewal_info, DOC_OPTIONAL },
	};
	int rc = doc_open(&d, body);

	*out = (struct directory_doc){ 0 };
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < sizeof urls / sizeof *urls; i++)
		rc = doc_url(&d, d.root, urls[i].key, urls[i].presence,
		             urls[i].to);
	rc = rc ? rc : read_meta(&d, out);
	return doc_close(&d, rc);
}

const char *directory_doc_foreign(const struct directory_doc *doc,
                                  const char *directory_url)
{
	const char *urls[] = { doc->new_nonce,  doc->new_account,
		               doc->new_order,  doc->revoke_cert,
		               doc->key_change, doc->renewal_info };

	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
		if (urls[i] &&
		    !url_same_origin(str_of(urls[i]), str_of(directory_url)))
			return urls[i];
	return NULL;
}
