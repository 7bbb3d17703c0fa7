/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP service: a request of the ABI becomes one of the loop's client, its
 * answer one of the ABI, with the words and the status that a plugin would
 * otherwise have to make up for itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/http.h"
#include "plugin/plugins.h"
#include "plugin/service.h"

enum {
	HTTP_DEFAULT_MS = 30000,
	HTTP_DEFAULT_BODY = 1 << 20,
	HTTP_LARGEST_BODY = 64 << 20,
	HTTP_HEADERS = 64,
	EXCERPT = 160, /* of an answer's body, in its error */
};

static acme_status status_of(int code)
{
	if (code >= 200 && code < 300)
		return ACME_OK;
	if (code == 408 || code == 425 || code == 429 || code >= 500)
		return ACME_RETRY;
	if (code == 404 || code == 410)
		return ACME_ABSENT;
	if (code == 401 || code == 403 || code == 407)
		return ACME_DENIED;
	if (code == 409 || code == 412)
		return ACME_CONFLICT;
	return ACME_INVALID;
}

static acme_status status_of_err(const struct err *e)
{
	switch (e->code) {
	case ERR_INVALID:
		return ACME_INVALID;
	case ERR_DENIED:
		return ACME_DENIED;
	case ERR_CANCELED:
		return ACME_CANCELED;
	case ERR_OK:
	case ERR_RETRY:
	case ERR_ABSENT:
	case ERR_CONFLICT:
	case ERR_BROKEN:
	case ERR_LIMITED:
	case ERR_NOSPACE:
	case ERR_DECLINED:
	default:
		return ACME_RETRY;
	}
}

/* "HTTP 403: {"message":"token not valid"}": the provider's own words, unless
 * they are a page for browsers. */
static void word_of_answer(const struct http_response *res, char *out,
			   size_t size)
{
	struct str body = str_trim(res->body);
	int cut = (int)(body.len < EXCERPT ? body.len : EXCERPT);

	if (body.len == 0 || body.ptr[0] == '<' || res->status < 300)
		snprintf(out, size, "HTTP %d", res->status);
	else
		snprintf(out, size, "HTTP %d: %.*s", res->status, cut,
			 body.ptr);
}

static void fill_answer(const struct http_response *res,
			acme_http_response *out, acme_str *headers, char *words,
			size_t size)
{
	const char *line;
	size_t at = 0, count = 0;

	while (count < HTTP_HEADERS &&
	       (line = http_header_next(res, NULL, &at)))
		headers[count++] = acme_text(line);
	word_of_answer(res, words, size);
	out->code = (uint32_t)res->status;
	out->status = (uint32_t)status_of(res->status);
	if (res->retry_after_ms > 0)
		out->retry_ms = res->retry_after_ms < UINT32_MAX
				    ? (uint32_t)res->retry_after_ms
				    : UINT32_MAX;
	out->body = (acme_str){ res->body.ptr, res->body.len };
	out->headers = headers;
	out->header_count = count;
}

static void on_http(void *arg, const struct http_response *res,
		    const struct err *e)
{
	struct service *s = arg;
	struct op *op = s->op;
	acme_http_then *fn = s->fn.http_then;
	void *fn_arg = s->arg;
	acme_str headers[HTTP_HEADERS];
	char words[64 + EXCERPT];
	acme_http_response out = { .size = sizeof out };

	if (res) {
		fill_answer(res, &out, headers, words, sizeof words);
		out.error = acme_text(words);
	} else {
		out.status = (uint32_t)status_of_err(e);
		out.error = acme_text(e->text);
	}
	op_enter(op);
	service_unlink(s);
	free(s);
	fn(op->inst->self, op->handle, fn_arg, &out);
	op_leave(op, "http");
}

static char *text_of(struct arena *a, acme_str s)
{
	if (s.len && (!s.ptr || memchr(s.ptr, '\0', s.len)))
		return NULL;
	return arena_strndup(a, (struct str){ s.ptr, s.len });
}

/* What the loop's client wants, in `a`; NULL if the plugin asks nonsense. */
static const struct http_request *request_of(struct arena *a,
					     const acme_http_request *r)
{
	struct http_request *out = arena_alloc(a, sizeof *out);
	char **headers;

	if (!out || r->header_count > HTTP_HEADERS ||
	    !(headers =
		  arena_alloc(a, (r->header_count + 1) * sizeof *headers)))
		return NULL;
	for (size_t i = 0; i < r->header_count; i++)
		if (!(headers[i] = text_of(a, r->headers[i])))
			return NULL;
	out->url = text_of(a, r->url);
	out->method = r->method.len ? text_of(a, r->method) : NULL;
	if (!out->url || (r->method.len && !out->method))
		return NULL;
	out->headers = (const char *const *)headers;
	out->body = (struct str){ r->body.ptr, r->body.len };
	out->timeout_ms = r->timeout_ms ? r->timeout_ms : HTTP_DEFAULT_MS;
	out->max_body = r->body_max ? r->body_max : HTTP_DEFAULT_BODY;
	if (out->max_body > HTTP_LARGEST_BODY)
		out->max_body = HTTP_LARGEST_BODY;
	return out;
}

void host_http(acme_op handle, const acme_http_request *theirs,
	       acme_http_then *fn, void *arg)
{
	struct op *op = service_op("http", handle);
	struct arena a = ARENA_INIT(1 << 20);
	acme_http_request r;

	if (!op || !fn || !(op = service_host(op)))
		return;
	memset(&r, 0, sizeof r);
	memcpy(&r, theirs, theirs->size < sizeof r ? theirs->size : sizeof r);
	const struct http_request *req = request_of(&a, &r);
	struct http_client *client = op->inst->plugins->http;
	op_pin(op);
	if (!req || !client) {
		service_refuse(
		    op, ERR_BROKEN,
		    req ? "there is no HTTP client"
			: "http: not a request (NUL byte, or too large)");
	} else {
		struct service *s = service_new(op, SERVICE_HTTP, arg);
		s->fn.http_then = fn;
		s->is.http = http_start(client, req, on_http, s);
	}
	op_unpin(op);
	arena_wipe(&a);
}
