/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problem documents. Which failure deserves another try is data: one row for
 * each registered type. The class of what the CA did not name follows from the
 * status. Nothing that a CA puts into such a document can make it fail to be
 * one.
 */
#include "acme/problem.h"

#include <stdio.h>
#include <string.h>

#include "acme/excerpt.h"

#define PREFIX "urn:ietf:params:acme:error:"

enum { TEXT_SIZE = sizeof((struct err *)0)->text, WORDS_MAX = 4096 };

/* https://www.iana.org/assignments/acme, "ACME Error Types". */
static const struct row {
	const char *type;
	enum err_code code;
} TYPES[] = {
	{ "accountDoesNotExist", ERR_ABSENT },
	{ "alreadyReplaced", ERR_CONFLICT },
	{ "alreadyRevoked", ERR_CONFLICT },
	{ "autoRenewalCanceled", ERR_CANCELED },
	{ "badCSR", ERR_INVALID },
	{ "badNonce", ERR_RETRY },
	{ "badPublicKey", ERR_INVALID },
	{ "badRevocationReason", ERR_INVALID },
	{ "badSignatureAlgorithm", ERR_INVALID },
	{ "caa", ERR_DENIED },
	{ "connection", ERR_RETRY },
	{ "dns", ERR_RETRY },
	{ "externalAccountRequired", ERR_DENIED },
	{ "incorrectResponse", ERR_RETRY },
	{ "invalidContact", ERR_INVALID },
	{ "invalidProfile", ERR_INVALID },
	{ "malformed", ERR_INVALID },
	{ "onionCAARequired", ERR_DENIED },
	{ "orderNotReady", ERR_RETRY },
	{ "rateLimited", ERR_LIMITED },
	{ "rejectedIdentifier", ERR_DENIED },
	{ "serverInternal", ERR_RETRY },
	{ "tls", ERR_RETRY },
	{ "unauthorized", ERR_DENIED },
	{ "unsupportedContact", ERR_INVALID },
	{ "unsupportedIdentifier", ERR_INVALID },
	{ "userActionRequired", ERR_DENIED },
};

static enum err_code code_of_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_ABSENT;
	case 409:
		return ERR_CONFLICT;
	case 408:
		return ERR_RETRY;
	case 429:
		return ERR_LIMITED;
	default:
		return status >= 500 ? ERR_RETRY : ERR_INVALID;
	}
}

static const char *word(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text && *text && strlen(text) <= WORDS_MAX ? text : NULL;
}

/* "rateLimited"; another authority's type whole; NULL for none. */
static const char *short_type(const char *type)
{
	if (!type || !strcmp(type, "about:blank"))
		return NULL;
	if (!strncmp(type, PREFIX, sizeof PREFIX - 1))
		return type + sizeof PREFIX - 1;
	return type;
}

/* ERR_OK if the table has no such type. */
static enum err_code code_of_type(const char *type)
{
	if (type && !strncmp(type, PREFIX, sizeof PREFIX - 1))
		for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
			if (!strcmp(short_type(type), TYPES[i].type))
				return TYPES[i].code;
	return ERR_OK;
}

struct text {
	char bytes[TEXT_SIZE];
	size_t len;
};

/* Appends, cut at the end of the room. */
__attribute__((format(printf, 2, 3))) static void add(struct text *t,
                                                      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->bytes + t->len, TEXT_SIZE - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
	if (t->len >= TEXT_SIZE)
		t->len = TEXT_SIZE - 1;
}

/* "type: detail", one of them, or nothing. */
static void add_words(struct text *t, const json_t *obj)
{
	const char *type = short_type(word(obj, "type"));
	const char *detail = word(obj, "detail");

	if (!detail)
		detail = word(obj, "title");
	if (type && detail)
		add(t, "%.96s: %.300s", type, detail);
	else if (type || detail)
		add(t, "%.300s", type ? type : detail);
}

static void add_subproblems(struct text *t, const json_t *list)
{
	const json_t *sub;
	size_t i;

	json_array_foreach(list, i, sub)
	{
		const char *name =
			word(json_object_get(sub, "identifier"), "value");
		if (t->len + 1 >= TEXT_SIZE)
			break;
		add(t, name ? " [%.253s: " : " [", name);
		add_words(t, sub);
		add(t, "]");
	}
}

static enum err_code choose_code(int status, const json_t *obj)
{
	const char *type = word(obj, "type");
	enum err_code code = code_of_type(type);
	const json_t *sub;
	size_t i;

	if (type && !strcmp(type, PREFIX "compound"))
		json_array_foreach(json_object_get(obj, "subproblems"), i,
		                   sub) if (code == ERR_OK) code =
			code_of_type(word(sub, "type"));
	return code == ERR_OK ? code_of_status(status) : code;
}

int problem_from(int status, const json_t *obj, struct err *e)
{
	const char *type = word(obj, "type"), *url = word(obj, "instance");
	struct text t = { .len = 0 };

	if (status == 0)
		status =
			(int)json_integer_value(json_object_get(obj, "status"));
	add_words(&t, obj);
	if (t.len == 0)
		add(&t, "no reason given");
	if (status > 99 && status < 600)
		add(&t, " (HTTP %d)", status);
	add_subproblems(&t, json_object_get(obj, "subproblems"));
	if (url && type && !strcmp(type, PREFIX "userActionRequired"))
		add(&t, ", see %.200s", url);
	err_set(e, choose_code(status, obj), "%s", t.bytes);
	if (short_type(type))
		snprintf(e->problem, sizeof e->problem, "%s", type);
	return e->code;
}

int problem_read(int status, struct str body, struct err *e)
{
	char bytes[EXCERPT_SIZE];
	json_t *obj = NULL;
	struct err ignored;

	body = str_trim(body);
	if (body.len && body.ptr[0] == '{' &&
	    json_read(body, &obj, &ignored) == 0) {
		problem_from(status, obj, e);
		json_decref(obj);
		return e->code;
	}
	return err_set(e, code_of_status(status), "HTTP %d, with %s", status,
	               excerpt(body, bytes));
}

bool problem_is(const struct err *e, const char *type)
{
	return !strncmp(e->problem, PREFIX, sizeof PREFIX - 1) &&
	       !strcmp(e->problem + sizeof PREFIX - 1, type);
}
