/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <curl/curl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "loop/after.h"
#include "loop/http.h"

/*
 * One HTTP exchange, as the http_*.c files share it. Calls are pooled with
 * their easy handle and buffers, so that a request of a running order costs
 * no set-up.
 *
 *   http.c         client, sockets and timer of curl, life of a call
 *   http_setup.c   request -> options of the easy handle
 *   http_answer.c  header lines and body within bounds -> response
 *   http_words.c   what curl says -> what an operator reads
 *   http_url.c     which URLs we talk to
 */
enum { HTTP_URL_MAX = 8192, HTTP_HOST_MAX = 300 };

/* What a URL says about the connection; http_url.c */
struct http_url {
	char host[HTTP_HOST_MAX]; /* "acme.example" or "[::1]:8443": for texts,
	                             and to see whether two are the same */
	bool tls, loopback;
};

int http_url_check(const char *text, struct http_url *out, struct err *e);
/* May an answer from `from` send us to `to`? */
int http_url_may_follow(const struct http_url *from, const struct http_url *to,
                        struct err *e);

struct http_fields {
	struct buf text; /* "Name: value\0" one after the other */
	size_t count, bytes;
	size_t at[HTTP_MAX_FIELDS];
};

enum http_excess { HTTP_FITS, HTTP_OVER_BODY, HTTP_OVER_HEADER };

struct http_call {
	struct http_client *client;
	struct http_call *next, **back; /* in the list of running calls */
	CURL *easy;
	struct after *deadline;
	http_fn *fn;
	void *arg;
	bool added; /* to the multi handle */

	/* the request */
	struct arena mem;
	struct http_request req; /* copies in mem, defaults filled in */
	struct curl_slist *headers;
	struct http_url url;
	int redirects;
	int64_t began;

	/* the answer */
	struct http_fields fields;
	struct buf body;
	enum http_excess excess;
	char curl_says[CURL_ERROR_SIZE];
	char content_type[128];
	struct err err;
};

/* Copies `req` into the call and checks it; http_setup.c */
int http_setup_copy(struct http_call *call, const struct http_request *req,
                    struct err *e);
/* Puts all options into the easy handle. */
void http_setup_easy(struct http_call *call, const char *user_agent,
                     long ca_cache_seconds);
/* Points the request to `url`; drops what another host must not get. */
int http_setup_redirect(struct http_call *call, const char *url, struct err *e);

/* Callbacks of curl, and the end; http_answer.c */
size_t http_answer_header(char *line, size_t size, size_t count, void *arg);
size_t http_answer_body(char *bytes, size_t size, size_t count, void *arg);
void http_answer_reset(struct http_call *call);
void http_answer_free(struct http_call *call);
void http_answer_read(struct http_call *call, struct http_response *res);

/* Fills call->err; http_words.c */
void http_words_failed(struct http_call *call, CURLcode code);
void http_words_deadline(struct http_call *call);
