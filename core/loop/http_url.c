/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which URLs we talk to: https anywhere, http on loopback only. Names and
 * addresses are judged after curl's own parser has normalised them, since curl
 * is what connects; "localhost" is safe because curl resolves it by itself and
 * asks no DNS (RFC 6761).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "loop/http_call.h"

static bool is_loopback(const char *host)
{
	struct in_addr ip4;

	if (!strcasecmp(host, "localhost") || !strcmp(host, "[::1]"))
		return true;
	return inet_pton(AF_INET, host, &ip4) == 1 &&
	       ntohl(ip4.s_addr) >> 24 == 127;
}

static bool has_junk(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return true;
	return false;
}

/* The parts are curl's to free. */
struct parts {
	char *scheme, *host, *port, *user, *password;
};

static void get(CURLU *u, CURLUPart what, char **out)
{
	if (curl_url_get(u, what, out, 0))
		*out = NULL;
}

static int judge(const struct parts *parts, struct http_url *out, struct err *e)
{
	if (!parts->scheme || !parts->host || !parts->host[0])
		return err_set(e, ERR_INVALID, "not a URL");
	out->tls = !strcmp(parts->scheme, "https");
	out->loopback = is_loopback(parts->host);
	if (parts->user || parts->password)
		return err_set(e, ERR_INVALID,
		               "a URL with user or password is refused");
	if (!out->tls && (strcmp(parts->scheme, "http") || !out->loopback))
		return err_set(e, ERR_INVALID, "%s://%s: only https is allowed",
		               parts->scheme, parts->host);
	int n = snprintf(out->host, sizeof out->host, "%s%s%s", parts->host,
	                 parts->port ? ":" : "",
	                 parts->port ? parts->port : "");
	if (n >= (int)sizeof out->host)
		return err_set(e, ERR_INVALID, "host name is too long");
	return 0;
}

int http_url_check(const char *text, struct http_url *out, struct err *e)
{
	struct parts parts = { 0 };

	memset(out, 0, sizeof *out);
	if (!text || strlen(text) > HTTP_URL_MAX || has_junk(text))
		return err_set(e, ERR_INVALID, "not a URL");
	CURLU *u = curl_url();
	if (!u || curl_url_set(u, CURLUPART_URL, text, 0)) {
		curl_url_cleanup(u);
		return err_set(e, ERR_INVALID, "not a URL: %.200s", text);
	}
	get(u, CURLUPART_SCHEME, &parts.scheme);
	get(u, CURLUPART_HOST, &parts.host);
	get(u, CURLUPART_PORT, &parts.port);
	get(u, CURLUPART_USER, &parts.user);
	get(u, CURLUPART_PASSWORD, &parts.password);
	int rc = judge(&parts, out, e);
	curl_free(parts.scheme);
	curl_free(parts.host);
	curl_free(parts.port);
	curl_free(parts.user);
	curl_free(parts.password);
	curl_url_cleanup(u);
	return rc;
}

int http_url_may_follow(const struct http_url *from, const struct http_url *to,
                        struct err *e)
{
	if (from->tls && !to->tls)
		return err_set(e, ERR_BROKEN, "redirected from https to http");
	if (to->loopback && !from->loopback)
		return err_set(e, ERR_BROKEN, "redirected to this machine");
	return 0;
}
