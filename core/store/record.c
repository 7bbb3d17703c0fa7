/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records to JSON and back: see record.h.
 *
 * The format is plain on purpose (JSON, PEM, RFC 3339 dates): what we leave on
 * a disk must be of use without us. Reading is strict and whole: a record with
 * one strange field is refused, set aside by store.c and reported, never used
 * in part. `format` is the version; a reader refuses versions that it does not
 * know instead of guessing.
 */
#include "store/record.h"

#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/mem.h"
#include "base/now.h"
#include "json/json.h"

enum {
	FORMAT = 1,
	TEXT_MAX = 4096,
	PEM_MAX = 256 << 10,
	NAMES_MAX = 1000,
	AUTHZ_MAX = 1000,
	COOKIE_MAX = 4096,
};

/* ------------------------------------------------------------ names */

void names_add(struct names *names, const char *name)
{
	names->list = mem_grow(names->list, names->count + 1, sizeof(char *));
	names->list[names->count++] = mem_strdup(name);
}

void names_copy(struct names *to, const struct names *from)
{
	*to = (struct names){ 0 };
	for (size_t i = 0; i < from->count; i++)
		names_add(to, from->list[i]);
}

bool names_equal(const struct names *a, const struct names *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->list[i], b->list[i]))
			return false;
	return true;
}

bool names_have(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->list[i], name))
			return true;
	return false;
}

bool names_same(const struct names *a, const struct names *b)
{
	if (names_equal(a, b))
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (!names_have(b, a->list[i]))
			return false;
	for (size_t i = 0; i < b->count; i++)
		if (!names_have(a, b->list[i]))
			return false;
	return true;
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){ 0 };
}

struct str *names_strs(const struct names *names)
{
	struct str *strs = mem_array(names->count, sizeof *strs);

	for (size_t i = 0; i < names->count; i++)
		strs[i] = str_of(names->list[i]);
	return strs;
}

/* ------------------------------------------------- pieces of JSON, out */

static json_t *names_json(const struct names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++)
		json_array_append_new(array, json_string(names->list[i]));
	return array;
}

static void set_text(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, json_string(text));
}

static void set_time(json_t *o, const char *key, int64_t ms)
{
	char text[NOW_TEXT];

	set_text(o, key, now_text(ms, 1, text));
}

static void set_secret(json_t *o, const char *key, const struct secret *s)
{
	if (s->ptr)
		json_object_set_new(o, key, json_stringn(s->ptr, s->len));
}

static int finish(json_t *o, struct buf *out)
{
	struct err e;
	int rc = json_text(o, out, &e);

	json_decref(o);
	return rc < 0 ? -1 : buf_addc(out, '\n');
}

/* -------------------------------------------------- pieces of JSON, in */

static int get_names(const json_t *o, const char *key, struct names *out,
                     struct err *e)
{
	const json_t *array;
	const char *text;
	int rc = json_get_array(o, key, NAMES_MAX, &array, e);

	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_str(array, i, TEXT_MAX, &text, e);
		if (rc == 0)
			names_add(out, text);
		else
			err_in(e, "\"%s\"", key);
	}
	return rc;
}

static int get_text(const json_t *o, const char *key, char **out,
                    struct err *e)
{
	const char *text;
	int rc = json_get_str(o, key, PEM_MAX, &text, e);

	if (rc == 0)
		*out = mem_strdup(text);
	return rc;
}

static int opt_text(const json_t *o, const char *key, char **out,
                    struct err *e)
{
	const char *text;
	int rc = json_opt_str(o, key, TEXT_MAX, &text, e);

	if (rc == 0 && text)
		*out = mem_strdup(text);
	return rc;
}

static int get_time(const json_t *o, const char *key, int64_t *out,
                    struct err *e)
{
	const char *text;
	int rc = json_get_str(o, key, NOW_TEXT, &text, e);

	if (rc == 0 && now_parse(text, out) < 0)
		rc = err_set(e, ERR_INVALID, "\"%s\" is no date", key);
	return rc;
}

static int get_kind(const json_t *o, enum key_kind *out, struct err *e)
{
	const char *text;
	int rc = json_get_str(o, "type", 32, &text, e);

	return rc < 0 ? rc : key_kind_parse(str_of(text), out, e);
}

/* A private key must look like one; whether it is one shows when it is used. */
static int get_secret(const json_t *o, const char *key, struct secret *out,
                      struct err *e)
{
	static const char begin[] = "-----BEGIN PRIVATE KEY-----";
	const char *text;
	int rc = json_get_str(o, key, PEM_MAX, &text, e);

	if (rc == 0 && strncmp(text, begin, sizeof begin - 1))
		rc = err_set(e, ERR_INVALID, "\"%s\" is no PEM key", key);
	return rc < 0 ? rc : secret_copy(out, text, strlen(text), e);
}

static int open_record(struct str text, json_t **out, struct err *e)
{
	int64_t format;
	int rc = json_read(text, out, e);

	if (rc == 0)
		rc = json_get_int(*out, "format", 0, INT32_MAX, &format, e);
	if (rc == 0 && format != FORMAT)
		rc = err_set(e, ERR_INVALID,
		             "format %lld, this agent knows %d only",
		             (long long)format, FORMAT);
	return rc;
}

/* ---------------------------------------------------------- accounts */

int account_record_write(const struct account_record *r, struct buf *out)
{
	json_t *o = json_pack("{s:i, s:s, s:o, s:b}", "format", FORMAT,
	                      "directory", r->directory, "contacts",
	                      names_json(&r->contacts), "terms_agreed",
	                      (int)r->terms_agreed);

	set_text(o, "url", r->url);
	set_secret(o, "private_key", &r->key);
	return finish(o, out);
}

static int read_account(const json_t *o, struct account_record *r,
                        struct err *e)
{
	int rc = get_text(o, "directory", &r->directory, e);

	rc = rc < 0 ? rc : get_names(o, "contacts", &r->contacts, e);
	rc = rc < 0 ? rc : json_get_bool(o, "terms_agreed", &r->terms_agreed, e);
	rc = rc < 0 ? rc : opt_text(o, "url", &r->url, e);
	return rc < 0 ? rc : get_secret(o, "private_key", &r->key, e);
}

int account_record_read(struct str text, struct account_record *r,
                        struct err *e)
{
	json_t *o = NULL;

	*r = (struct account_record){ 0 };
	int rc = open_record(text, &o, e);
	if (rc == 0)
		rc = read_account(o, r, e);
	if (rc < 0)
		account_record_free(r);
	json_decref(o);
	return rc;
}

void account_record_free(struct account_record *r)
{
	free(r->directory);
	free(r->url);
	names_free(&r->contacts);
	secret_free(&r->key);
	*r = (struct account_record){ 0 };
}

/* ------------------------------------------------------------ orders */

static json_t *authz_json(const struct authz_record *a)
{
	json_t *o = json_pack("{s:s}", "url", a->url);

	set_text(o, "identifier", a->identifier);
	set_text(o, "challenge", a->type);
	set_text(o, "instance", a->instance);
	set_text(o, "token", a->token);
	if (a->cookie.len) {
		struct buf text = BUF_INIT(2 * COOKIE_MAX);
		b64url_add(&text, a->cookie.ptr, a->cookie.len);
		set_text(o, "cookie", text.ptr);
		buf_free(&text);
	}
	return o;
}

int order_record_write(const struct order_record *r, struct buf *out)
{
	json_t *authz = json_array();

	for (size_t i = 0; i < r->authz_count; i++)
		json_array_append_new(authz, authz_json(&r->authz[i]));
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o}", "format",
	                      FORMAT, "certificate", r->certificate, "issuer",
	                      r->issuer, "state", r->state, "type",
	                      key_kind_name(r->kind), "identifiers",
	                      names_json(&r->identifiers), "authorizations",
	                      authz);
	set_time(o, "started", r->started);
	set_text(o, "account", r->account);
	set_text(o, "url", r->url);
	set_text(o, "finalize", r->finalize);
	set_text(o, "download", r->download);
	set_secret(o, "private_key", &r->key);
	return finish(o, out);
}

static int read_cookie(const json_t *o, struct authz_record *a, struct err *e)
{
	const char *text;
	int rc = json_opt_str(o, "cookie", 2 * COOKIE_MAX, &text, e);

	a->cookie = BUF_INIT(COOKIE_MAX);
	if (rc == 0 && text && b64url_decode(&a->cookie, str_of(text)) < 0)
		rc = err_set(e, ERR_INVALID, "\"cookie\" is no base64url");
	return rc;
}

static int read_authz(const json_t *o, struct authz_record *a, struct err *e)
{
	int rc = get_text(o, "url", &a->url, e);

	rc = rc < 0 ? rc : opt_text(o, "identifier", &a->identifier, e);
	rc = rc < 0 ? rc : opt_text(o, "challenge", &a->type, e);
	rc = rc < 0 ? rc : opt_text(o, "instance", &a->instance, e);
	rc = rc < 0 ? rc : opt_text(o, "token", &a->token, e);
	return rc < 0 ? rc : read_cookie(o, a, e);
}

static int read_authzs(const json_t *o, struct order_record *r, struct err *e)
{
	const json_t *array, *item;
	int rc = json_get_array(o, "authorizations", AUTHZ_MAX, &array, e);

	if (rc < 0)
		return rc;
	r->authz = mem_array(json_array_size(array), sizeof *r->authz);
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_object(array, i, &item, e);
		r->authz_count++;
		rc = rc < 0 ? rc : read_authz(item, &r->authz[i], e);
	}
	return rc;
}

static int read_order(const json_t *o, struct order_record *r, struct err *e)
{
	int rc = get_text(o, "certificate", &r->certificate, e);

	rc = rc < 0 ? rc : get_text(o, "issuer", &r->issuer, e);
	rc = rc < 0 ? rc : get_text(o, "state", &r->state, e);
	rc = rc < 0 ? rc : get_kind(o, &r->kind, e);
	rc = rc < 0 ? rc : get_names(o, "identifiers", &r->identifiers, e);
	rc = rc < 0 ? rc : get_time(o, "started", &r->started, e);
	rc = rc < 0 ? rc : opt_text(o, "account", &r->account, e);
	rc = rc < 0 ? rc : opt_text(o, "url", &r->url, e);
	rc = rc < 0 ? rc : opt_text(o, "finalize", &r->finalize, e);
	rc = rc < 0 ? rc : opt_text(o, "download", &r->download, e);
	rc = rc < 0 ? rc : get_secret(o, "private_key", &r->key, e);
	return rc < 0 ? rc : read_authzs(o, r, e);
}

int order_record_read(struct str text, struct order_record *r, struct err *e)
{
	json_t *o = NULL;

	*r = (struct order_record){ 0 };
	int rc = open_record(text, &o, e);
	if (rc == 0)
		rc = read_order(o, r, e);
	if (rc < 0)
		order_record_free(r);
	json_decref(o);
	return rc;
}

void authz_record_free(struct authz_record *a)
{
	free(a->url);
	free(a->identifier);
	free(a->type);
	free(a->instance);
	free(a->token);
	buf_free(&a->cookie);
	*a = (struct authz_record){ 0 };
}

void order_record_free(struct order_record *r)
{
	free(r->certificate);
	free(r->issuer);
	free(r->state);
	free(r->account);
	free(r->url);
	free(r->finalize);
	free(r->download);
	names_free(&r->identifiers);
	secret_free(&r->key);
	for (size_t i = 0; i < r->authz_count; i++)
		authz_record_free(&r->authz[i]);
	free(r->authz);
	*r = (struct order_record){ 0 };
}

/* ------------------------------------------------------ certificates */

static json_t *cert_key_json(const struct cert_key *k)
{
	json_t *o = json_pack("{s:s, s:s, s:o, s:s}", "type",
	                      key_kind_name(k->kind), "issuer", k->issuer,
	                      "identifiers", names_json(&k->identifiers),
	                      "serial", k->serial);

	set_time(o, "not_before", k->not_before);
	set_time(o, "not_after", k->not_after);
	set_time(o, "issued", k->issued);
	json_object_set_new(o, "revoked", json_boolean(k->revoked));
	set_secret(o, "private_key", &k->key);
	set_text(o, "chain", k->chain);
	return o;
}

int cert_record_write(const struct cert_record *r, struct buf *out)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < r->key_count; i++)
		json_array_append_new(keys, cert_key_json(&r->keys[i]));
	return finish(json_pack("{s:i, s:s, s:o}", "format", FORMAT, "name",
	                        r->name, "keys", keys),
	              out);
}

static int read_cert_key(const json_t *o, struct cert_key *k, struct err *e)
{
	int rc = get_kind(o, &k->kind, e);

	rc = rc < 0 ? rc : get_text(o, "issuer", &k->issuer, e);
	rc = rc < 0 ? rc : get_names(o, "identifiers", &k->identifiers, e);
	rc = rc < 0 ? rc : get_text(o, "serial", &k->serial, e);
	rc = rc < 0 ? rc : get_time(o, "not_before", &k->not_before, e);
	rc = rc < 0 ? rc : get_time(o, "not_after", &k->not_after, e);
	rc = rc < 0 ? rc : get_time(o, "issued", &k->issued, e);
	rc = rc < 0 ? rc
	            : json_opt_bool(o, "revoked", false, &k->revoked, e);
	rc = rc < 0 ? rc : get_secret(o, "private_key", &k->key, e);
	return rc < 0 ? rc : get_text(o, "chain", &k->chain, e);
}

static int read_cert(const json_t *o, struct cert_record *r, struct err *e)
{
	const json_t *array = NULL, *item;
	int rc = get_text(o, "name", &r->name, e);

	rc = rc < 0 ? rc : json_get_array(o, "keys", CERT_KEYS_MAX, &array, e);
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_object(array, i, &item, e);
		r->key_count++;
		rc = rc < 0 ? rc : read_cert_key(item, &r->keys[i], e);
		if (rc == 0 && cert_record_find(r, r->keys[i].kind) !=
		                       &r->keys[i])
			rc = err_set(e, ERR_INVALID, "%s is there twice",
			             key_kind_name(r->keys[i].kind));
		if (rc < 0)
			err_in(e, "keys[%zu]", i);
	}
	return rc;
}

int cert_record_read(struct str text, struct cert_record *r, struct err *e)
{
	json_t *o = NULL;

	*r = (struct cert_record){ 0 };
	int rc = open_record(text, &o, e);
	if (rc == 0)
		rc = read_cert(o, r, e);
	if (rc < 0)
		cert_record_free(r);
	json_decref(o);
	return rc;
}

void cert_key_free(struct cert_key *k)
{
	free(k->issuer);
	names_free(&k->identifiers);
	free(k->serial);
	secret_free(&k->key);
	free(k->chain);
	*k = (struct cert_key){ 0 };
}

void cert_record_free(struct cert_record *r)
{
	free(r->name);
	for (size_t i = 0; i < r->key_count; i++)
		cert_key_free(&r->keys[i]);
	*r = (struct cert_record){ 0 };
}

struct cert_key *cert_record_find(struct cert_record *r, enum key_kind kind)
{
	for (size_t i = 0; i < r->key_count; i++)
		if (r->keys[i].kind == kind)
			return &r->keys[i];
	return NULL;
}

void cert_record_set(struct cert_record *r, struct cert_key *k)
{
	struct cert_key *at = cert_record_find(r, k->kind);

	if (at)
		cert_key_free(at);
	else if (r->key_count < CERT_KEYS_MAX)
		at = &r->keys[r->key_count++];
	else
		abort(); /* more kinds than there are */
	*at = *k;
	*k = (struct cert_key){ 0 };
}

void cert_record_drop(struct cert_record *r, enum key_kind kind)
{
	struct cert_key *at = cert_record_find(r, kind);

	if (!at)
		return;
	cert_key_free(at);
	*at = r->keys[--r->key_count];
	r->keys[r->key_count] = (struct cert_key){ 0 };
}
