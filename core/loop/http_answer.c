/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer, as it arrives: header lines into one buffer, the body into
 * another, both within bounds. Lines are stored as "Name: value" with exactly
 * one blank, so that a value can be handed out as a C string. The fields of the
 * last answer count; those of interim ones (1xx) only count as bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/now.h"
#include "loop/http_call.h"
#include "loop/retry_after.h"

enum { KEEP_BYTES = 64 << 10 }; /* a pooled call keeps a buffer up to this */

static int store(struct http_fields *fields, struct str line)
{
	const char *colon = memchr(line.ptr, ':', line.len);

	if (!colon || memchr(line.ptr, '\0', line.len))
		return 0; /* status line or junk */
	if (fields->count == HTTP_MAX_FIELDS)
		return -1;
	size_t name = (size_t)(colon - line.ptr);
	struct str value = str_trim(
		(struct str){ colon + 1, line.len - name - 1 });
	fields->at[fields->count++] = fields->text.len;
	buf_add(&fields->text, line.ptr, name);
	buf_adds(&fields->text, ": ");
	buf_add(&fields->text, value.ptr, value.len);
	return buf_addc(&fields->text, '\0');
}

size_t http_answer_header(char *line, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;
	struct http_fields *fields = &call->fields;
	struct str text = { line, size * count };

	fields->bytes += text.len;
	if (str_starts(text, STR("HTTP/"))) {
		buf_reset(&fields->text);
		fields->count = 0;
	}
	if (fields->bytes > HTTP_MAX_HEADER || store(fields, str_trim(text))) {
		call->excess = HTTP_OVER_HEADER;
		return 0; /* ends the transfer */
	}
	return text.len;
}

size_t http_answer_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;

	if (buf_add(&call->body, bytes, size * count)) {
		call->excess = HTTP_OVER_BODY;
		return 0;
	}
	return size * count;
}

static void shrink(struct buf *b)
{
	if (b->cap > KEEP_BYTES)
		buf_free(b);
	else
		buf_reset(b);
}

void http_answer_reset(struct http_call *call)
{
	shrink(&call->body);
	shrink(&call->fields.text);
	call->body.max = call->req.max_body;
	/* Names and values are stored with at most two bytes more. */
	call->fields.text.max = HTTP_MAX_HEADER + 4 * HTTP_MAX_FIELDS;
	call->fields.count = call->fields.bytes = 0;
	call->excess = HTTP_FITS;
	call->curl_says[0] = '\0';
}

void http_answer_free(struct http_call *call)
{
	buf_free(&call->body);
	buf_free(&call->fields.text);
}

/* --- reading ------------------------------------------------------------ */

const char *http_header_next(const struct http_response *res, const char *name,
                             size_t *at)
{
	const struct http_fields *fields = res->fields;
	size_t len = name ? strlen(name) : 0;

	while (*at < fields->count) {
		const char *line = fields->text.ptr + fields->at[(*at)++];
		if (!name)
			return line;
		if (!strncasecmp(line, name, len) && line[len] == ':')
			return line + len + 2;
	}
	return NULL;
}

const char *http_header(const struct http_response *res, const char *name)
{
	size_t at = 0;

	return http_header_next(res, name, &at);
}

static void read_content_type(struct http_call *call,
                              const struct http_response *res)
{
	struct str type = str_of(http_header(res, "Content-Type"));
	size_t len = 0;

	type.len = strcspn(type.ptr, ";");
	type = str_trim(type);
	for (; len < type.len && len + 1 < sizeof call->content_type; len++) {
		char c = type.ptr[len];
		call->content_type[len] =
			(char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	call->content_type[len] = '\0';
}

/* A date is meant by the server's clock, so it is compared with it. */
static int64_t read_retry_after(const struct http_response *res)
{
	const char *value = http_header(res, "Retry-After");

	if (!value)
		return -1;
	int64_t now = retry_after_date(str_of(http_header(res, "Date")));
	return retry_after_parse(str_of(value), now >= 0 ? now : now_wall());
}

static int64_t millis(CURL *easy, CURLINFO what)
{
	curl_off_t micros = 0;

	curl_easy_getinfo(easy, what, &micros);
	return (int64_t)((micros + 999) / 1000);
}

static void read_timing(struct http_call *call, struct http_timing *t)
{
	long connects = 0;

	t->resolved = millis(call->easy, CURLINFO_NAMELOOKUP_TIME_T);
	t->connected = millis(call->easy, CURLINFO_CONNECT_TIME_T);
	t->secured = millis(call->easy, CURLINFO_APPCONNECT_TIME_T);
	t->first_byte = millis(call->easy, CURLINFO_STARTTRANSFER_TIME_T);
	t->total = now_mono() - call->began;
	curl_easy_getinfo(call->easy, CURLINFO_NUM_CONNECTS, &connects);
	t->reused = connects == 0;
}

static int version_of(long curl_version)
{
	switch (curl_version) {
	case CURL_HTTP_VERSION_1_0:
		return 10;
	case CURL_HTTP_VERSION_1_1:
		return 11;
	case CURL_HTTP_VERSION_2_0:
		return 20;
	default:
		return 30;
	}
}

void http_answer_read(struct http_call *call, struct http_response *res)
{
	long status = 0, version = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
	*res = (struct http_response){
		.status = (int)status,
		.version = version_of(version),
		.url = call->req.url,
		.body = buf_str(&call->body),
		.content_type = call->content_type,
		.fields = &call->fields,
	};
	read_content_type(call, res);
	res->retry_after_ms = read_retry_after(res);
	read_timing(call, &res->timing);
}
