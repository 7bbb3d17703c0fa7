/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A CA in the test itself, on the same loop: plain HTTP on loopback, so nothing
 * runs beside the test and every moment can be looked at. By itself it behaves
 * as RFC 8555 says, nonces and signers included (signatures are not checked:
 * that is tested in crypto). What it shall do otherwise is said with fake_say
 * (answers instead of its own) and with the knobs of struct fake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../crypto/authority.h"
#include "base/b64.h"
#include "base/mem.h"
#include "base/now.h"
#include "json/json.h"
#include "loop/fdwatch.h"

enum fake_place {
	FAKE_DIRECTORY,
	FAKE_NONCE,
	FAKE_NEW_ACCOUNT,
	FAKE_ACCOUNT,
	FAKE_NEW_ORDER,
	FAKE_ORDER,
	FAKE_AUTHZ,
	FAKE_CHALLENGE,
	FAKE_FINALIZE,
	FAKE_CERT,
	FAKE_REVOKE,
	FAKE_NOWHERE,
	FAKE_PLACES,
};

static const char *const FAKE_PATHS[FAKE_PLACES] = {
	"dir",     "nonce", "new-account", "account", "new-order", "order",
	"authz",   "chall", "finalize",    "cert",    "revoke",    "",
};

enum {
	FAKE_ORDERS = 64,
	FAKE_NAMES = 8,
	FAKE_NONCES = 4096,
	FAKE_SAYINGS = 16,
	FAKE_CONNS = 256,
	FAKE_ACCOUNTS = 128,
};

/* An answer instead of the CA's own. */
struct fake_saying {
	int times; /* left; negative: for ever */
	int status;
	char headers[256]; /* "Name: value\r\n..." */
	char *body;
	bool cut; /* the connection ends within the body */
};

struct fake_authz {
	char name[128];
	const char *status;
	const char *problem; /* of its challenge, when invalid */
	int challenged;      /* which type was chosen; -1: none */
};

struct fake_order {
	struct fake_authz authz[FAKE_NAMES];
	size_t count;
	const char *status;
	int polls_left; /* in this status */
	char *cert;
};

struct fake_conn {
	struct fake *fake;
	struct fdwatch *watch;
	int fd;
	struct buf in;
};

struct fake {
	struct loop *loop;
	struct fdwatch *watch;
	int fd, port;
	char base[64];
	struct fake_conn conns[FAKE_CONNS];

	char nonces[FAKE_NONCES]; /* 1: given out, not used yet */
	unsigned next_nonce;
	char *accounts[FAKE_ACCOUNTS]; /* their keys as JSON; NULL: none */
	struct fake_order orders[FAKE_ORDERS];
	size_t order_count;
	struct fake_saying sayings[FAKE_PLACES][FAKE_SAYINGS];
	X509 *issuer;
	EVP_PKEY *issuer_key, *other_key;

	/* what happened */
	unsigned count[FAKE_PLACES];
	char last_payload[4096]; /* of the last signed request with one */
	bool last_had_jwk;

	/* knobs */
	int bad_nonces;          /* so many requests are refused */
	bool no_nonces;          /* answers carry none */
	int pending_polls;       /* of the order after the challenges */
	int processing_polls;    /* after finalize */
	bool valid_already;      /* authorizations need no challenge */
	const char *types;       /* offered: "http-01 dns-01" */
	const char *unfit;       /* the name that fails its challenge */
	bool silent;             /* the order does not say why */
	bool for_other_key, for_other_names, expired;
	long life; /* of certificates, seconds */
	const char *terms;
	/* Told of each request before it is answered. */
	void (*heard)(void *arg, enum fake_place place, int id);
	void *arg;
};

/* ---- answers ---- */

struct fake_reply {
	int status;
	struct buf head, body;
};

static inline void fake_error(struct fake_reply *r, int status,
                              const char *type, const char *detail)
{
	r->status = status;
	buf_reset(&r->body);
	buf_addf(&r->body,
	         "{\"type\":\"urn:ietf:params:acme:error:%s\","
	         "\"detail\":\"%s\"}",
	         type, detail);
}

static inline void fake_json(struct fake_reply *r, int status, json_t *o)
{
	struct err e;

	r->status = status;
	assert_int_equal(json_text(o, &r->body, &e), 0);
	json_decref(o);
}

/* The next `times` requests to this place are answered so. */
static inline struct fake_saying *fake_say(struct fake *f,
                                           enum fake_place place, int times,
                                           int status, const char *headers,
                                           const char *body)
{
	for (int i = 0; i < FAKE_SAYINGS; i++) {
		struct fake_saying *s = &f->sayings[place][i];
		if (s->times)
			continue;
		free(s->body);
		*s = (struct fake_saying){ .times = times, .status = status };
		snprintf(s->headers, sizeof s->headers, "%s", headers);
		s->body = mem_strdup(body);
		return s;
	}
	fail_msg("too many sayings");
	return NULL;
}

/* ... with a problem of this type. */
static inline void fake_refuse(struct fake *f, enum fake_place place,
                               int times, int status, const char *type)
{
	char body[256];

	snprintf(body, sizeof body,
	         "{\"type\":\"urn:ietf:params:acme:error:%s\","
	         "\"detail\":\"the test says so\"}", type);
	fake_say(f, place, times, status, "", body);
}

static inline void fake_hush(struct fake *f, enum fake_place place)
{
	for (int i = 0; i < FAKE_SAYINGS; i++)
		f->sayings[place][i].times = 0;
}

static inline struct fake_saying *fake_said(struct fake *f,
                                            enum fake_place place)
{
	for (int i = 0; i < FAKE_SAYINGS; i++) {
		struct fake_saying *s = &f->sayings[place][i];
		if (!s->times)
			continue;
		s->times -= s->times > 0;
		return s;
	}
	return NULL;
}

/* ---- documents ---- */

static inline char *fake_url(struct fake *f, enum fake_place place, int id,
                             char out[128])
{
	if (id < 0)
		snprintf(out, 128, "%s/%s", f->base, FAKE_PATHS[place]);
	else
		snprintf(out, 128, "%s/%s/%d", f->base, FAKE_PATHS[place], id);
	return out;
}

static inline json_t *fake_url_json(struct fake *f, enum fake_place place,
                                    int id)
{
	char url[128];

	return json_string(fake_url(f, place, id, url));
}

static inline void fake_directory(struct fake *f, struct fake_reply *r)
{
	json_t *o = json_pack("{s:o,s:o,s:o,s:o}", "newNonce",
	                      fake_url_json(f, FAKE_NONCE, -1), "newAccount",
	                      fake_url_json(f, FAKE_NEW_ACCOUNT, -1),
	                      "newOrder", fake_url_json(f, FAKE_NEW_ORDER, -1),
	                      "revokeCert", fake_url_json(f, FAKE_REVOKE, -1));

	if (f->terms)
		json_object_set_new(o, "meta",
		                    json_pack("{s:s}", "termsOfService",
		                              f->terms));
	fake_json(r, 200, o);
}

/* Takes the next status if the time of this one is over. */
static inline void fake_advance(struct fake *f, struct fake_order *o)
{
	bool pending = false, invalid = false;

	for (size_t i = 0; i < o->count; i++) {
		pending = pending || !strcmp(o->authz[i].status, "pending");
		invalid = invalid || !strcmp(o->authz[i].status, "invalid");
	}
	if (o->polls_left > 0)
		o->polls_left--;
	else if (!strcmp(o->status, "pending") && invalid)
		o->status = "invalid";
	else if (!strcmp(o->status, "pending") && !pending)
		o->status = "ready";
	else if (!strcmp(o->status, "processing"))
		o->status = "valid";
	(void)f;
}

static inline json_t *fake_order_json(struct fake *f, int id)
{
	struct fake_order *o = &f->orders[id];
	json_t *ids = json_array(), *authz = json_array();

	for (size_t i = 0; i < o->count; i++) {
		json_array_append_new(ids, json_pack("{s:s,s:s}", "type", "dns",
		                                     "value",
		                                     o->authz[i].name));
		json_array_append_new(
			authz, fake_url_json(f, FAKE_AUTHZ,
		                             id * FAKE_NAMES + (int)i));
	}
	json_t *doc = json_pack("{s:s,s:o,s:o,s:o}", "status", o->status,
	                        "identifiers", ids, "authorizations", authz,
	                        "finalize", fake_url_json(f, FAKE_FINALIZE, id));
	if (o->cert && !strcmp(o->status, "valid"))
		json_object_set_new(doc, "certificate",
		                    fake_url_json(f, FAKE_CERT, id));
	return doc;
}

static inline json_t *fake_challenge_json(struct fake *f, int id, int type,
                                          const char *name)
{
	struct fake_authz *a =
		&f->orders[id / FAKE_NAMES].authz[id % FAKE_NAMES];
	char token[64];
	bool mine = a->challenged == type;

	snprintf(token, sizeof token, "token-number-%04d-%04d-%d", id,
	         f->port % 10000, type);
	json_t *o = json_pack("{s:s,s:o,s:s,s:s}", "type", name, "url",
	                      fake_url_json(f, FAKE_CHALLENGE, id * 4 + type),
	                      "token", token, "status",
	                      mine ? strcmp(a->status, "pending")
	                                     ? a->status
	                                     : "processing"
	                           : "pending");
	if (mine && a->problem)
		json_object_set_new(
			o, "error",
			json_pack("{s:s,s:s,s:i}", "type", a->problem,
		                  "detail", "looked in vain", "status", 403));
	return o;
}

static inline const char *fake_type(const struct fake *f, int n, char out[32])
{
	const char *at = f->types;

	while (n-- && at)
		at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
	if (!at)
		return NULL;
	snprintf(out, 32, "%.*s", (int)strcspn(at, " "), at);
	return out;
}

static inline json_t *fake_authz_json(struct fake *f, int id)
{
	struct fake_authz *a =
		&f->orders[id / FAKE_NAMES].authz[id % FAKE_NAMES];
	json_t *list = json_array();
	bool star = !strncmp(a->name, "*.", 2);
	char type[32];

	for (int n = 0; fake_type(f, n, type); n++)
		json_array_append_new(list,
		                      fake_challenge_json(f, id, n, type));
	json_t *o = json_pack("{s:s,s:{s:s,s:s},s:o}", "status", a->status,
	                      "identifier", "type", "dns", "value",
	                      a->name + (star ? 2 : 0), "challenges", list);
	if (star)
		json_object_set_new(o, "wildcard", json_true());
	return o;
}

static inline void fake_challenged(struct fake *f, int id)
{
	struct fake_authz *a =
		&f->orders[id / 4 / FAKE_NAMES].authz[id / 4 % FAKE_NAMES];

	if (strcmp(a->status, "pending"))
		return;
	a->challenged = id % 4;
	if (f->unfit && !strcmp(a->name, f->unfit)) {
		a->status = "invalid";
		a->problem = "urn:ietf:params:acme:error:unauthorized";
	} else {
		a->status = "valid";
	}
}

/* ---- certificates ---- */

static inline void fake_issue(struct fake *f, struct fake_order *o,
                              EVP_PKEY *key)
{
	char names[FAKE_NAMES * 140] = "";
	long now = (long)(now_wall() / 1000 - AUTHORITY_NOW);
	struct buf pem = BUF_INIT(64 << 10);

	for (size_t i = 0; i < o->count; i++)
		snprintf(names + strlen(names), 140, "%sDNS:%s", i ? "," : "",
		         f->for_other_names ? "other.test" : o->authz[i].name);
	struct authority_wish wish = {
		.cn = "leaf",
		.names = names,
		.key = f->for_other_key ? f->other_key : key,
		.issuer = f->issuer,
		.issuer_key = f->issuer_key,
		.from = f->expired ? now - 7200 : now - 60,
		.until = f->expired ? now - 3600 : now + f->life,
	};
	X509 *leaf = authority_issue(&wish);
	authority_pem(&pem, leaf);
	authority_pem(&pem, f->issuer);
	free(o->cert);
	o->cert = mem_strdup(pem.ptr);
	X509_free(leaf);
	buf_free(&pem);
}

static inline bool fake_finalize(struct fake *f, int id, const json_t *payload,
                                 struct fake_reply *r)
{
	struct fake_order *o = &f->orders[id];
	struct buf der = BUF_INIT(64 << 10);
	const char *csr =
		json_string_value(json_object_get(payload, "csr"));

	if (strcmp(o->status, "ready")) {
		fake_error(r, 403, "orderNotReady", "not ready");
		return false;
	}
	assert_non_null(csr);
	assert_int_equal(b64url_decode(&der, str_of(csr)), 0);
	const unsigned char *p = (const unsigned char *)der.ptr;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.len);
	assert_non_null(req);
	EVP_PKEY *key = X509_REQ_get_pubkey(req);
	assert_int_equal(X509_REQ_verify(req, key), 1);
	fake_issue(f, o, key);
	EVP_PKEY_free(key);
	X509_REQ_free(req);
	buf_free(&der);
	o->status = f->processing_polls ? "processing" : "valid";
	o->polls_left = f->processing_polls - 1;
	return true;
}

#include "fake_http.h"

/* ---- life ---- */

static inline void fake_listen(struct fake *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	struct err e;

	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(f->fd, 64), 0);
	getsockname(f->fd, (struct sockaddr *)&a, &len);
	f->port = ntohs(a.sin_port);
	snprintf(f->base, sizeof f->base, "http://127.0.0.1:%d", f->port);
	assert_int_equal(fdwatch_start(f->loop, f->fd, FDWATCH_READ,
	                               fake_accept, f, &f->watch, &e),
	                 0);
}

static inline struct fake *fake_new(struct loop *loop)
{
	struct fake *f = mem_alloc(sizeof *f);

	f->loop = loop;
	f->types = "http-01 dns-01";
	f->life = 90 * 24 * 3600L;
	f->issuer_key = authority_key();
	f->other_key = authority_key();
	f->issuer = authority_issue(&(struct authority_wish){
		.cn = "Fake CA",
		.key = f->issuer_key,
		.from = (long)(now_wall() / 1000 - AUTHORITY_NOW) - 86400,
		.until = (long)(now_wall() / 1000 - AUTHORITY_NOW) +
	                 1000L * 86400,
		.ca = true });
	fake_listen(f);
	return f;
}

/* It has never heard of anybody or anything. */
static inline void fake_forget(struct fake *f)
{
	for (int i = 0; i < FAKE_ACCOUNTS; i++) {
		free(f->accounts[i]);
		f->accounts[i] = NULL;
	}
}

static inline void fake_free(struct fake *f)
{
	for (int i = 0; i < FAKE_CONNS; i++)
		if (f->conns[i].fake)
			fake_conn_end(&f->conns[i]);
	fdwatch_cancel(&f->watch);
	close(f->fd);
	fake_forget(f);
	for (int i = 0; i < FAKE_ORDERS; i++)
		free(f->orders[i].cert);
	for (int p = 0; p < FAKE_PLACES; p++)
		for (int i = 0; i < FAKE_SAYINGS; i++)
			free(f->sayings[p][i].body);
	X509_free(f->issuer);
	EVP_PKEY_free(f->issuer_key);
	EVP_PKEY_free(f->other_key);
	free(f);
}
