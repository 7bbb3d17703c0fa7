/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request, copied and checked, then translated into options of curl.
 *
 * The header list is made of nodes in the call's arena: curl only reads it. An
 * easy handle is reset and set anew for each request, which costs some
 * microseconds; what is expensive (connections, TLS sessions, parsed CA files)
 * lives in the multi handle and the share.
 */
#include <stdlib.h>
#include <string.h>

#include "loop/http_call.h"

enum {
	REQUEST_MAX = 8 << 20, /* bytes of one request, URL and all */
	HAPPY_EYEBALLS_MS = 250,
};

/* --- copying ------------------------------------------------------------ */

static struct curl_slist *add_header(struct http_call *call, const char *line)
{
	struct curl_slist *node = arena_alloc(&call->mem, sizeof *node);
	char *copy = arena_strdup(&call->mem, line);

	if (!node || !copy)
		return NULL;
	*node = (struct curl_slist){ .data = copy, .next = call->headers };
	call->headers = node;
	return node;
}

static bool header_is(const char *line, struct str name)
{
	return !strncasecmp(line, name.ptr, name.len) && line[name.len] == ':';
}

static int check_header(const char *line, struct err *e)
{
	size_t name = strcspn(line, ":");

	if (!name || !line[name])
		return err_set(e, ERR_INVALID, "header without a name");
	for (const char *p = line; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f ||
		    (p < line + name && *p == ' '))
			return err_set(e, ERR_INVALID,
			               "header %.*s has a forbidden character",
			               (int)(name < 60 ? name : 60), line);
	return 0;
}

static int too_large(struct err *e)
{
	return err_set(e, ERR_INVALID, "request over %d bytes", REQUEST_MAX);
}

/* Ours first, as the list is built from its end; "Name:" stops what curl would
 * send by itself. */
static int copy_headers(struct http_call *call, const char *const *lines,
                        struct err *e)
{
	bool typed = false;

	call->headers = NULL;
	for (; lines && *lines; lines++) {
		if (check_header(*lines, e))
			return e->code;
		typed |= header_is(*lines, STR("Content-Type"));
		if (!add_header(call, *lines))
			return too_large(e);
	}
	if (!call->req.body.ptr)
		return 0;
	if (!add_header(call, "Expect:"))
		return too_large(e);
	if (!typed && !add_header(call, "Content-Type:"))
		return too_large(e);
	return 0;
}

static const char *copy_text(struct http_call *call, const char *text,
                             bool *failed)
{
	if (!text)
		return NULL;
	char *copy = arena_strdup(&call->mem, text);
	*failed |= !copy;
	return copy;
}

static void fill_defaults(struct http_request *req)
{
	if (!req->method)
		req->method = req->body.ptr ? "POST" : "GET";
	if (req->timeout_ms <= 0)
		req->timeout_ms = HTTP_TIMEOUT_MS;
	if (req->connect_ms <= 0)
		req->connect_ms = HTTP_CONNECT_MS;
	if (req->connect_ms > req->timeout_ms)
		req->connect_ms = req->timeout_ms;
	if (req->stall_ms <= 0)
		req->stall_ms = HTTP_STALL_MS;
	if (!req->max_body)
		req->max_body = HTTP_MAX_BODY;
}

static int check_method(const char *method, struct err *e)
{
	size_t len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (!len || method[len] || len > 16)
		return err_set(e, ERR_INVALID, "bad HTTP method");
	return 0;
}

int http_setup_copy(struct http_call *call, const struct http_request *req,
                    struct err *e)
{
	bool failed = false;
	struct http_request *copy = &call->req;

	call->mem.max = REQUEST_MAX;
	*copy = *req;
	fill_defaults(copy);
	if (http_url_check(req->url, &call->url, e) ||
	    check_method(copy->method, e))
		return e->code;
	copy->url = copy_text(call, req->url, &failed);
	copy->method = copy_text(call, copy->method, &failed);
	copy->ca_file = copy_text(call, req->ca_file, &failed);
	copy->client_cert = copy_text(call, req->client_cert, &failed);
	copy->client_key = copy_text(call, req->client_key, &failed);
	copy->proxy = copy_text(call, req->proxy, &failed);
	copy->headers = NULL; /* call->headers from here on */
	if (req->body.ptr) {
		copy->body.ptr = arena_strndup(&call->mem, req->body);
		failed |= !copy->body.ptr;
	}
	if (failed)
		return too_large(e);
	return copy_headers(call, req->headers, e);
}

int http_setup_redirect(struct http_call *call, const char *url, struct err *e)
{
	struct http_url to;
	bool failed = false;

	if (++call->redirects > HTTP_MAX_REDIRECTS)
		return err_set(e, ERR_BROKEN, "redirected more than %d times",
		               HTTP_MAX_REDIRECTS);
	if (http_url_check(url, &to, e)) {
		e->code = ERR_BROKEN;
		return err_in(e, "redirected");
	}
	if (http_url_may_follow(&call->url, &to, e))
		return e->code;
	if (strcasecmp(call->url.host, to.host)) {
		call->headers = NULL;
		call->req.client_cert = call->req.client_key = NULL;
	}
	call->url = to;
	call->req.url = copy_text(call, url, &failed);
	return failed ? too_large(e) : 0;
}

/* --- options ------------------------------------------------------------ */

static curl_socket_t open_socket(void *arg, curlsocktype purpose,
                                 struct curl_sockaddr *a)
{
	(void)arg;
	(void)purpose;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* The type of an option's value is part of curl's interface; wrong ones are
 * caught by curl's own compile-time checks in curl_easy_setopt. What fails
 * here fails for want of memory or of a feature that we require. */
#define SET(option, value) curl_easy_setopt(call->easy, option, value)

static void set_method(struct http_call *call)
{
	const struct http_request *req = &call->req;

	if (req->body.ptr) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
		SET(CURLOPT_POSTFIELDS, req->body.ptr);
	}
	if (!strcmp(req->method, "HEAD"))
		SET(CURLOPT_NOBODY, 1L);
	else
		SET(CURLOPT_CUSTOMREQUEST, req->method);
	SET(CURLOPT_HTTPHEADER, call->headers);
}

static void set_limits(struct http_call *call)
{
	const struct http_request *req = &call->req;

	/* The deadline of the whole is ours: curl's does not count the time
	 * that a call waits for a connection. */
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)req->connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, (long)((req->stall_ms + 999) / 1000));
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)req->max_body);
	SET(CURLOPT_PROTOCOLS_STR, call->url.tls ? "https" : "http");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
}

/* curl keeps one parsed CA file for the multi handle, but only when there is
 * no CA folder beside it. */
static void set_tls(struct http_call *call, long ca_cache_seconds)
{
	const struct http_request *req = &call->req;

	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CA_CACHE_TIMEOUT, ca_cache_seconds);
	if (req->ca_file)
		SET(CURLOPT_CAINFO, req->ca_file);
	if (req->client_cert)
		SET(CURLOPT_SSLCERT, req->client_cert);
	if (req->client_key)
		SET(CURLOPT_SSLKEY, req->client_key);
}

static void set_route(struct http_call *call)
{
	static const long IP[] = {
		[HTTP_IP_ANY] = CURL_IPRESOLVE_WHATEVER,
		[HTTP_IP_4] = CURL_IPRESOLVE_V4,
		[HTTP_IP_6] = CURL_IPRESOLVE_V6,
	};
	const struct http_request *req = &call->req;

	if (req->proxy) { /* "" keeps curl from the environment, too */
		SET(CURLOPT_PROXY, req->proxy);
		SET(CURLOPT_NOPROXY, "");
	} else if (call->url.loopback) {
		SET(CURLOPT_PROXY, "");
	}
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_IPRESOLVE, IP[req->ip]);
	SET(CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, (long)HAPPY_EYEBALLS_MS);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Wait for a connection that can be shared rather than open more. */
	SET(CURLOPT_PIPEWAIT, 1L);
}

void http_setup_easy(struct http_call *call, const char *user_agent,
                     long ca_cache_seconds)
{
	SET(CURLOPT_PRIVATE, call);
	SET(CURLOPT_URL, call->req.url);
	SET(CURLOPT_USERAGENT, user_agent);
	/* No signals; and do not wait for a look-up that is canceled: its
	 * thread ends by itself. */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_ERRORBUFFER, call->curl_says);
	SET(CURLOPT_HEADERFUNCTION, http_answer_header);
	SET(CURLOPT_HEADERDATA, call);
	SET(CURLOPT_WRITEFUNCTION, http_answer_body);
	SET(CURLOPT_WRITEDATA, call);
	set_method(call);
	set_limits(call);
	set_tls(call, ca_cache_seconds);
	set_route(call);
}
