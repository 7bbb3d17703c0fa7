/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One signed exchange with a CA (RFC 8555 section 6), and what is shared by all
 * of them. A call goes through up to three HTTP requests:
 *
 *   directory   once for all calls, then kept for a day
 *   newNonce    only when the pool of nonces is empty: each answer brings one
 *   the POST    again with the fresh nonce when the CA did not like ours
 *
 * The pool is small and its nonces are used newest first: old ones are the ones
 * that a CA has forgotten.
 */
#include "flow/ca.h"

#include <stdio.h>
#include <stdlib.h>

#include "acme/problem.h"
#include "acme/url.h"
#include "base/mem.h"
#include "base/now.h"
#include "crypto/jws.h"
#include "loop/after.h"

enum {
	NONCES = 32,
	NONCE_MAX = 256,
	NONCE_AGE_MS = 10 * 60 * 1000,
	BAD_NONCES_MAX = 20, /* in a row, for one call */
	DIRECTORY_AGE_MS = 24 * 3600 * 1000,
	DIRECTORY_AGAIN_MS = 10 * 60 * 1000, /* after it could not be renewed */
	DIRECTORY_MEM = 64 << 10,
	BODY_MAX = 1 << 20, /* of a request: a CSR with 1000 names fits */
};

struct nonce {
	char *text;
	int64_t at; /* monotonic */
};

struct ca {
	struct loop *loop;
	struct http_client *http;
	struct log log;
	char *name, *directory_url, *ca_file, *proxy;
	enum http_ip ip;
	int64_t timeout_ms;

	struct arena directory_mem;
	struct directory_doc directory;
	bool known;
	int64_t known_at;
	struct http_call *directory_call;

	struct nonce nonces[NONCES];
	size_t nonce_count;

	const struct key *key;
	char *kid;

	struct call *calls;
	struct ca_stats stats;
};

struct call {
	struct ca *ca;
	struct call *next, **prev;
	enum ca_target target;
	char *url; /* NULL for a target of the directory */
	char *payload;
	size_t payload_len;
	bool with_jwk;
	const struct key *key;
	call_fn *fn;
	void *arg;
	struct http_call *http;
	struct after *later; /* first turn, or an error to tell */
	struct err e;
	bool wants_directory;
	unsigned bad_nonces;
};

static void call_step(struct call *c);

/* --------------------------------------------------------------- a CA */

struct ca *ca_new(struct loop *loop, struct http_client *http,
                  const struct log *log, const struct ca_options *options)
{
	struct ca *ca = mem_alloc(sizeof *ca);

	ca->loop = loop;
	ca->http = http;
	log_init(&ca->log, log, "ca", NULL);
	ca->name = mem_strdup(options->name);
	ca->directory_url = mem_strdup(options->directory);
	if (options->ca_file && *options->ca_file)
		ca->ca_file = mem_strdup(options->ca_file);
	if (options->proxy && *options->proxy)
		ca->proxy = mem_strdup(options->proxy);
	ca->ip = options->ip;
	ca->timeout_ms = options->timeout_ms;
	return ca;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	while (ca->calls) {
		struct call *c = ca->calls;
		call_cancel(&c);
	}
	http_cancel(&ca->directory_call);
	for (size_t i = 0; i < ca->nonce_count; i++)
		free(ca->nonces[i].text);
	arena_reset(&ca->directory_mem);
	free(ca->kid);
	free(ca->name);
	free(ca->directory_url);
	free(ca->ca_file);
	free(ca->proxy);
	free(ca);
}

const char *ca_name(const struct ca *ca)
{
	return ca->name;
}

const char *ca_directory_url(const struct ca *ca)
{
	return ca->directory_url;
}

const struct directory_doc *ca_directory(const struct ca *ca)
{
	return ca->known ? &ca->directory : NULL;
}

void ca_set_account(struct ca *ca, const struct key *key, const char *kid)
{
	char *copy = kid ? mem_strdup(kid) : NULL;

	free(ca->kid);
	ca->key = key;
	ca->kid = copy;
}

const char *ca_kid(const struct ca *ca)
{
	return ca->kid;
}

const struct key *ca_key(const struct ca *ca)
{
	return ca->key;
}

const struct ca_stats *ca_stats(const struct ca *ca)
{
	return &ca->stats;
}

/* ------------------------------------------------------------- nonces */

/* RFC 8555 section 6.5.1: base64url, anything else must be ignored. */
static bool is_nonce(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                          "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return len > 0 && len <= NONCE_MAX && text[len] == '\0';
}

static void nonce_keep(struct ca *ca, const struct http_response *res)
{
	const char *text = http_header(res, "Replay-Nonce");

	if (!text || !is_nonce(text))
		return;
	if (ca->nonce_count == NONCES) { /* the oldest goes */
		free(ca->nonces[0].text);
		memmove(ca->nonces, ca->nonces + 1,
		        (NONCES - 1) * sizeof *ca->nonces);
		ca->nonce_count--;
	}
	ca->nonces[ca->nonce_count++] =
		(struct nonce){ mem_strdup(text), now_mono() };
}

/* The newest one; free() it. NULL if there is none worth trying. */
static char *nonce_take(struct ca *ca)
{
	while (ca->nonce_count) {
		struct nonce n = ca->nonces[--ca->nonce_count];
		if (now_mono() - n.at < NONCE_AGE_MS)
			return n.text;
		free(n.text);
	}
	return NULL;
}

/* -------------------------------------------------------------- calls */

static void call_free(struct call *c)
{
	http_cancel(&c->http);
	after_cancel(&c->later);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c->url);
	if (c->payload)
		explicit_bzero(c->payload, c->payload_len);
	free(c->payload);
	free(c);
}

void call_cancel(struct call **call)
{
	if (*call)
		call_free(*call);
	*call = NULL;
}

static void call_end(struct call *c, int rc, const struct err *e,
                     const struct ca_answer *answer)
{
	call_fn *fn = c->fn;
	void *arg = c->arg;
	struct err copy;

	if (rc < 0) {
		copy = *e; /* `e` may be the call's own */
		c->ca->stats.failures++;
	}
	call_free(c);
	fn(arg, rc, rc < 0 ? &copy : NULL, answer);
}

static void tell_error(void *arg)
{
	struct call *c = arg;

	c->later = NULL;
	call_end(c, c->e.code, &c->e, NULL);
}

static void call_fail(struct call *c, const struct err *e)
{
	c->e = *e;
	c->later = after_start(c->ca->loop, 0, tell_error, c);
}

/* What all requests to this CA have in common. */
static struct http_request request_to(const struct ca *ca, const char *url)
{
	return (struct http_request){ .url = url,
		                      .ca_file = ca->ca_file,
		                      .proxy = ca->proxy,
		                      .ip = ca->ip,
		                      .timeout_ms = ca->timeout_ms };
}

/* A status that is not 2xx as an error, Retry-After included. */
static int refused(const struct http_response *res, struct err *e)
{
	int rc = problem_read(res->status, res->body, e);

	if (res->retry_after_ms >= 0)
		e->retry_at = now_wall() + res->retry_after_ms;
	return rc;
}

/* ---------------------------------------------------------- directory */

/* The old one stays until there is a good new one. */
static int directory_keep(struct ca *ca, struct str body, struct err *e)
{
	struct arena mem = ARENA_INIT(DIRECTORY_MEM);
	struct directory_doc doc;
	int rc = directory_doc_read(body, 0, &mem, &doc, e);

	if (rc < 0) {
		arena_reset(&mem);
		return rc;
	}
	arena_reset(&ca->directory_mem);
	ca->directory_mem = mem;
	ca->directory = doc;
	ca->known = true;
	ca->known_at = now_mono();
	return 0;
}

static void directory_answered(void *arg, const struct http_response *res,
                               const struct err *why)
{
	struct ca *ca = arg;
	struct err e = { 0 };
	int rc;

	ca->directory_call = NULL;
	if (why)
		rc = (e = *why).code;
	else if (res->status != 200)
		rc = refused(res, &e);
	else
		rc = directory_keep(ca, res->body, &e);
	if (rc < 0)
		err_in(&e, "directory");
	if (rc < 0 && ca->known) { /* the old one is better than none */
		log_err(&ca->log, LOG_LEVEL_WARN, "old directory", &e);
		ca->known_at = now_mono() - DIRECTORY_AGE_MS +
		               DIRECTORY_AGAIN_MS;
		rc = 0;
	}
	for (struct call *c = ca->calls, *next; c; c = next) {
		next = c->next;
		if (!c->wants_directory)
			continue;
		c->wants_directory = false;
		if (rc < 0)
			call_fail(c, &e);
		else
			call_step(c);
	}
}

static void want_directory(struct call *c)
{
	struct ca *ca = c->ca;

	c->wants_directory = true;
	if (ca->directory_call)
		return;
	struct http_request req = request_to(ca, ca->directory_url);
	req.follow = true;
	ca->stats.requests++;
	ca->directory_call =
		http_start(ca->http, &req, directory_answered, ca);
}

static bool directory_is_fresh(const struct ca *ca)
{
	return ca->known && now_mono() - ca->known_at < DIRECTORY_AGE_MS;
}

/* ----------------------------------------------------------- exchange */

static void post_answered(void *arg, const struct http_response *res,
                          const struct err *why)
{
	struct call *c = arg;
	struct ca *ca = c->ca;
	struct err e = { 0 };

	c->http = NULL;
	if (why) {
		e = *why;
		call_end(c, e.code, &e, NULL);
		return;
	}
	nonce_keep(ca, res);
	struct ca_answer answer = { .status = res->status,
		                    .body = res->body,
		                    .location = http_header(res, "Location"),
		                    .retry_after_ms = res->retry_after_ms,
		                    .http = res };
	if (res->status >= 200 && res->status < 300) {
		call_end(c, 0, NULL, &answer);
		return;
	}
	int rc = refused(res, &e);
	if (problem_is(&e, "badNonce") && ++c->bad_nonces < BAD_NONCES_MAX) {
		ca->stats.bad_nonces++;
		log_debug(&ca->log, "bad nonce", "tries=%u", c->bad_nonces);
		call_step(c);
		return;
	}
	call_end(c, rc, &e, &answer);
}

static const char *url_of(const struct call *c)
{
	const struct directory_doc *d = &c->ca->directory;

	switch (c->target) {
	case CA_NEW_ACCOUNT:
		return d->new_account;
	case CA_NEW_ORDER:
		return d->new_order;
	case CA_REVOKE_CERT:
		return d->revoke_cert;
	case CA_URL:
		break;
	}
	return c->url;
}

static int sign(struct call *c, const char *nonce, struct buf *body,
                struct err *e)
{
	const struct key *key = c->key ? c->key : c->ca->key;
	const char *kid = c->with_jwk ? NULL : c->ca->kid;

	if (!url_of(c))
		return err_set(e, ERR_DENIED, "%s does not offer this",
		               c->ca->name);
	if (!key || (!c->with_jwk && !kid))
		return err_set(e, ERR_RETRY, "no account at %s yet",
		               c->ca->name);
	return jws_sign(key, kid, nonce, url_of(c),
	                (struct str){ c->payload, c->payload_len }, body, e);
}

static void post(struct call *c, const char *nonce)
{
	static const char *const headers[] = {
		"Content-Type: application/jose+json", NULL
	};
	struct buf body = BUF_INIT(BODY_MAX);
	struct err e;

	if (sign(c, nonce, &body, &e) < 0) {
		call_fail(c, &e);
	} else {
		struct http_request req = request_to(c->ca, url_of(c));
		req.method = "POST";
		req.headers = headers;
		req.body = buf_str(&body);
		c->ca->stats.requests++;
		c->http = http_start(c->ca->http, &req, post_answered, c);
	}
	buf_free(&body);
}

static void nonce_answered(void *arg, const struct http_response *res,
                           const struct err *why)
{
	struct call *c = arg;
	struct err e = { 0 };

	c->http = NULL;
	if (why) {
		e = *why;
	} else if (res->status < 200 || res->status > 299) {
		refused(res, &e);
	} else {
		nonce_keep(c->ca, res);
		char *nonce = nonce_take(c->ca);
		if (nonce) {
			post(c, nonce);
			free(nonce);
			return;
		}
		err_set(&e, ERR_BROKEN, "an answer without Replay-Nonce");
	}
	err_in(&e, "newNonce");
	call_end(c, e.code, &e, NULL);
}

/* Does the next thing that the call needs. */
static void call_step(struct call *c)
{
	struct ca *ca = c->ca;

	if (!directory_is_fresh(ca)) {
		want_directory(c);
		return;
	}
	char *nonce = nonce_take(ca);
	if (nonce) {
		post(c, nonce);
		free(nonce);
		return;
	}
	struct http_request req = request_to(ca, ca->directory.new_nonce);
	req.method = "HEAD";
	ca->stats.requests++;
	c->http = http_start(ca->http, &req, nonce_answered, c);
}

static void call_begin(void *arg)
{
	struct call *c = arg;

	c->later = NULL;
	call_step(c);
}

struct call *ca_post(struct ca *ca, const struct ca_request *request,
                     call_fn *fn, void *arg)
{
	struct call *c = mem_alloc(sizeof *c);

	c->ca = ca;
	c->target = request->target;
	if (request->url)
		c->url = mem_strdup(request->url);
	c->payload = mem_strndup(request->payload.ptr, request->payload.len);
	c->payload_len = request->payload.len;
	c->with_jwk = request->with_jwk;
	c->key = request->key;
	c->fn = fn;
	c->arg = arg;
	c->next = ca->calls;
	c->prev = &ca->calls;
	if (ca->calls)
		ca->calls->prev = &c->next;
	ca->calls = c;
	c->later = after_start(ca->loop, 0, call_begin, c);
	return c;
}
