/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, in words for the operator, and the code that says what the
 * caller should do. curl's own texts are used where they carry a fact that its
 * codes do not (why a certificate was refused); the rest is worded here. Texts
 * name the host, never the whole URL: its query may hold a token.
 */
#include <stdlib.h>
#include <string.h>

#include "loop/http_call.h"

/* "30 s", "250 ms" */
static void say_time(int64_t ms, char out[32])
{
	if (ms % 1000)
		snprintf(out, 32, "%lld ms", (long long)ms);
	else
		snprintf(out, 32, "%lld s", (long long)(ms / 1000));
}

static bool connected(const struct http_call *call)
{
	curl_off_t at = 0;

	curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &at);
	return at > 0;
}

static int say_timeout(struct http_call *call)
{
	char text[32];
	bool stalled = strstr(call->curl_says, "too slow") != NULL;

	if (stalled) {
		say_time((call->req.stall_ms + 999) / 1000 * 1000, text);
		return err_set(&call->err, ERR_RETRY,
		               "nothing received for %s", text);
	}
	say_time(call->req.connect_ms, text);
	return err_set(&call->err, ERR_RETRY, "no connection within %s", text);
}

static int say_connect(struct http_call *call)
{
	long errnum = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &errnum);
	if (!errnum)
		return err_set(&call->err, ERR_RETRY, "cannot connect");
	char why[96];
	const char *text = strerror_r((int)errnum, why, sizeof why);
	/* "Connection refused" within a sentence */
	err_set(&call->err, ERR_RETRY, "%s", text);
	if (call->err.text[0] >= 'A' && call->err.text[0] <= 'Z')
		call->err.text[0] = (char)(call->err.text[0] - 'A' + 'a');
	return call->err.code;
}

/* "SSL certificate problem: unable to get local issuer certificate" */
static int say_verify(struct http_call *call)
{
	static const struct str problem = { "SSL certificate problem: ", 25 };
	const char *why = call->curl_says;

	if (str_starts(str_of(why), problem))
		why += problem.len;
	else if (str_starts(str_of(why), STR("SSL: ")))
		why += 5;
	return err_set(&call->err, ERR_RETRY,
	               "TLS: certificate verify failed: %s",
	               *why ? why : "no reason given");
}

static int say_curl(struct http_call *call, enum err_code code,
                    const char *words, CURLcode curl)
{
	const char *why = call->curl_says;

	if (!*why)
		why = curl_easy_strerror(curl);
	return err_set(&call->err, code, "%s%s", words, why);
}

static int say_excess(struct http_call *call)
{
	if (call->excess == HTTP_OVER_HEADER)
		return err_set(&call->err, ERR_BROKEN,
		               "header over %d bytes or %d fields",
		               HTTP_MAX_HEADER, HTTP_MAX_FIELDS);
	return err_set(&call->err, ERR_BROKEN, "body over %zu bytes",
	               call->req.max_body);
}

static int say(struct http_call *call, CURLcode code)
{
	struct err *e = &call->err;

	switch ((int)code) { /* most of curl's codes cannot come here */
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, ERR_RETRY, "cannot resolve the name");
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_set(e, ERR_RETRY, "cannot resolve the proxy's name");
	case CURLE_COULDNT_CONNECT:
		return say_connect(call);
	case CURLE_OPERATION_TIMEDOUT:
		return say_timeout(call);
	case CURLE_PEER_FAILED_VERIFICATION:
		return say_verify(call);
	case CURLE_SSL_CONNECT_ERROR:
		return say_curl(call, ERR_RETRY, "TLS: ", code);
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, ERR_DENIED, "CA file %s: cannot be used",
		               call->req.ca_file ? call->req.ca_file :
		                                   "of the system");
	case CURLE_SSL_CERTPROBLEM:
		return say_curl(call, ERR_DENIED, "client certificate: ", code);
	case CURLE_WRITE_ERROR:
	case CURLE_FILESIZE_EXCEEDED:
		return say_excess(call);
	case CURLE_GOT_NOTHING:
		return err_set(e, ERR_RETRY, "closed without an answer");
	case CURLE_PARTIAL_FILE:
		return err_set(e, ERR_RETRY, "answer cut off");
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, that is: anything */
	case CURLE_WEIRD_SERVER_REPLY:
		return err_set(e, ERR_BROKEN, "the answer is not HTTP");
	default:
		return say_curl(call, ERR_RETRY, "", code);
	}
}

/* Who: the host, and the proxy where one may be to blame. */
static void put_host(struct http_call *call)
{
	const char *proxy = call->req.proxy;

	if (proxy && *proxy) {
		const char *at = strrchr(proxy, '@'); /* no password */
		const char *name = strstr(proxy, "://");
		name = at ? at + 1 : name ? name + 3 : proxy;
		err_in(&call->err, "%s through proxy %s", call->url.host, name);
	} else {
		err_in(&call->err, "%s", call->url.host);
	}
}

void http_words_failed(struct http_call *call, CURLcode code)
{
	if (call->excess != HTTP_FITS)
		say_excess(call);
	else
		say(call, code);
	put_host(call);
}

void http_words_deadline(struct http_call *call)
{
	char text[32];

	say_time(call->req.timeout_ms, text);
	err_set(&call->err, ERR_RETRY, "no %s within %s",
	        connected(call) ? "complete answer" : "connection", text);
	put_host(call);
}
