/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "acme/directory_doc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "crypto/key.h"
#include "loop/http.h"
#include "loop/loop.h"

/*
 * A CA as we talk to it: its directory, its nonces, our key there, and how to
 * send one signed request (RFC 8555 section 6).
 *
 * A call is one exchange seen from above: it gets the directory first if that
 * is not known yet, takes a nonce from the pool or fetches one, signs, sends,
 * and repeats on badNonce (section 6.5). Every other failure goes up to the
 * flow, which knows what a retry is worth. Threads: the loop's.
 */
struct ca;
struct call;

struct ca_options {
	const char *name;            /* the issuer's, for the log */
	const char *directory;       /* URL */
	const char *ca_file, *proxy; /* "" or NULL: the system's */
	enum http_ip ip;
	int64_t timeout_ms; /* of one request; 0: the client's */
};

/* All options are copied. */
struct ca *ca_new(struct loop *loop, struct http_client *http,
                  const struct log *log, const struct ca_options *options);
/* Pending calls are dropped without their fn. */
void ca_free(struct ca *ca);

const char *ca_name(const struct ca *ca);
const char *ca_directory_url(const struct ca *ca);
/* NULL before the first call was answered. */
const struct directory_doc *ca_directory(const struct ca *ca);

/* Our account: who signs. The key is borrowed, the kid copied (NULL: not known,
 * requests carry the public key). */
void ca_set_account(struct ca *ca, const struct key *key, const char *kid);
const char *ca_kid(const struct ca *ca);
const struct key *ca_key(const struct ca *ca);

/* What a request asks for beyond a URL of the CA's own. */
enum ca_target {
	CA_URL, /* `url` */
	CA_NEW_ACCOUNT,
	CA_NEW_ORDER,
	CA_REVOKE_CERT,
};

struct ca_request {
	enum ca_target target;
	const char *url;
	struct str payload;  /* JSON; empty: POST-as-GET (section 6.3) */
	bool with_jwk;       /* the public key goes along, not the kid */
	const struct key *key; /* who signs; NULL: the account */
};

struct ca_answer {
	int status;
	struct str body;
	const char *location; /* NULL: none */
	int64_t retry_after_ms; /* -1: none */
	const struct http_response *http; /* further headers */
};

/* `rc` is 0 for a 2xx answer, else the error with class and problem; `answer`
 * is NULL if there was none. Never called within ca_post. */
typedef void call_fn(void *arg, int rc, const struct err *e,
                     const struct ca_answer *answer);

struct call *ca_post(struct ca *ca, const struct ca_request *request,
                     call_fn *fn, void *arg);
/* Safe with NULL; sets it NULL. */
void call_cancel(struct call **call);

/* For the log, status and measurements. */
struct ca_stats {
	uint64_t requests, bad_nonces, failures;
};
const struct ca_stats *ca_stats(const struct ca *ca);
