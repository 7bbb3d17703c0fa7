/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

/*
 * An HTTP client for APIs: small answers, kept-alive connections, HTTP/2 where
 * the server has it, and a bound on everything that the other side chooses.
 *
 * https only, but for plain http to loopback. Certificates are always verified.
 * No cookies, no authentication of its own, no netrc, no content encodings, no
 * caching. An answer of any status is an answer; an error is the absence of
 * one, worded for the operator: "acme.example: connection refused".
 */
struct http_client;
struct http_call;

struct http_client_options {
	const char *user_agent; /* NULL: "acme-agent/VERSION" */
	int host_connections;   /* to one host, at most; 0: 4 */
	int connections;        /* idle ones kept, at most; 0: 32 */
};

/* One for the process: connections are shared by all that use it. `options`
 * may be NULL. Never returns NULL. */
struct http_client *http_client_new(struct loop *loop,
                                    const struct http_client_options *options);
/* Cancels all calls (their handles are dead then), closes all connections.
 * Not from a callback of one of its calls. */
void http_client_free(struct http_client **client);

enum http_ip { HTTP_IP_ANY, HTTP_IP_4, HTTP_IP_6 };

enum {
	HTTP_TIMEOUT_MS = 60000,   /* whole exchange, queueing included */
	HTTP_CONNECT_MS = 15000,   /* look-up, TCP and TLS */
	HTTP_STALL_MS = 30000,     /* without a byte in either direction */
	HTTP_MAX_BODY = 256 << 10, /* bytes of an answer */
	HTTP_MAX_FIELDS = 100,     /* header fields of an answer */
	HTTP_MAX_HEADER = 32 << 10, /* bytes of all of them */
	HTTP_MAX_REDIRECTS = 5,
};

/* Only `url` is needed; all zero else. Everything is copied by http_start. */
struct http_request {
	const char *method;         /* NULL: GET, POST with a body */
	const char *url;            /* without user, password */
	const char *const *headers; /* "Name: value", up to a NULL; or NULL */
	struct str body;            /* ptr NULL: none ("" is an empty one) */
	int64_t timeout_ms;         /* 0 takes the default, here and below */
	int64_t connect_ms;
	int64_t stall_ms;           /* noticed up to 5 s later */
	size_t max_body;
	const char *ca_file;     /* PEM; NULL: the system's */
	const char *client_cert; /* PEM files, both or none */
	const char *client_key;
	/* "http://host:port", "socks5h://..."; "": none. NULL: as https_proxy
	 * and no_proxy in the environment say, loopback always direct. */
	const char *proxy;
	enum http_ip ip;
	/* Follow redirects of GET and HEAD, to https only, at most
	 * HTTP_MAX_REDIRECTS; another host gets neither `headers` nor the
	 * client certificate. When false, a 3xx is an answer like others. */
	bool follow;
};

struct http_timing { /* milliseconds since http_start; 0: did not happen */
	int64_t resolved, connected, secured, first_byte, total;
	bool reused; /* no new connection was needed */
};

/* Borrowed: valid until the callback returns. */
struct http_response {
	int status;        /* 100 to 599 */
	int version;       /* 10, 11, 20, 30 */
	const char *url;   /* after redirects */
	struct str body;   /* NUL-terminated beyond len */
	const char *content_type; /* "application/json" without parameters;
	                             "" if there is none */
	int64_t retry_after_ms;   /* -1: none or garbage; see retry_after.h */
	struct http_timing timing;
	const struct http_fields *fields;
};

/* Exactly one of `res` and `e` is NULL. The call is over: forget its handle.
 * Codes: RETRY network and time-outs, INVALID a request that cannot be made,
 * DENIED a file or proxy that the operator must look at, BROKEN an answer that
 * is not HTTP or passes a bound. */
typedef void http_fn(void *arg, const struct http_response *res,
                     const struct err *e);

/* Never NULL, never calls back within the call: what is wrong with the request
 * comes as an error in a later turn. */
struct http_call *http_start(struct http_client *client,
                             const struct http_request *req, http_fn *fn,
                             void *arg);
void http_cancel(struct http_call **call);

/* Value of the first field of that name (any case), trimmed; NULL if absent. */
const char *http_header(const struct http_response *res, const char *name);

/* All values of that name in turn, in the order of the answer; `*at` is 0 at
 * first. NULL at the end. `name` NULL: all fields, as "Name: value". */
const char *http_header_next(const struct http_response *res, const char *name,
                             size_t *at);
