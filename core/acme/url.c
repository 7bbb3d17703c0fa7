/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs that a CA hands out are followed with our signature on the request, so
 * they are held to the few forms that ACME needs. This is a sieve, not a parser
 * of RFC 3986: whatever is ambiguous between parsers (user info, backslashes,
 * blanks, control bytes) is refused.
 */
#include "acme/url.h"

#include <arpa/inet.h>
#include <stdio.h>

struct parts {
	struct str host; /* with brackets, if it has some */
	struct str port; /* digits or empty */
	bool https;
};

/* False if it is not of the form scheme://host[:port]... */
static bool split(struct str url, struct parts *out)
{
	struct str rest = url;

	out->https = url.len >= 8 && !strncasecmp(url.ptr, "https://", 8);
	if (!out->https &&
	    (url.len < 7 || strncasecmp(url.ptr, "http://", 7) != 0))
		return false;
	rest.ptr += out->https ? 8 : 7;
	rest.len -= out->https ? 8 : 7;
	size_t end = 0, host = 0;
	while (end < rest.len && !strchr("/?#", rest.ptr[end]))
		end++;
	if (end > 0 && rest.ptr[0] == '[') {
		while (host < end && rest.ptr[host] != ']')
			host++;
		if (host++ == end)
			return false;
	} else {
		while (host < end && rest.ptr[host] != ':')
			host++;
	}
	out->host = (struct str){ rest.ptr, host };
	out->port = (struct str){ rest.ptr + host, end - host };
	if (out->port.len == 0)
		return true;
	if (out->port.ptr[0] != ':')
		return false;
	out->port.ptr++;
	out->port.len--;
	return true;
}

static bool good_port(struct str port)
{
	long value = 0;

	if (port.len > 5)
		return false;
	for (size_t i = 0; i < port.len; i++) {
		if (port.ptr[i] < '0' || port.ptr[i] > '9')
			return false;
		value = value * 10 + (port.ptr[i] - '0');
	}
	return port.len == 0 || (value > 0 && value < 65536);
}

static bool good_host(struct str host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char bytes[16];

	if (host.len == 0 || host.len > 253)
		return false;
	if (host.ptr[0] == '[') {
		if (host.len < 4 || host.len - 2 >= sizeof text)
			return false;
		memcpy(text, host.ptr + 1, host.len - 2);
		text[host.len - 2] = '\0';
		return inet_pton(AF_INET6, text, bytes) == 1;
	}
	for (size_t i = 0; i < host.len; i++) {
		char c = host.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		      c == '_'))
			return false;
	}
	return true;
}

static bool is_loopback(struct str host)
{
	char text[INET_ADDRSTRLEN];
	unsigned char bytes[4];

	if (str_ieq(host, STR("localhost")) || str_eq(host, STR("[::1]")))
		return true;
	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, bytes) == 1 && bytes[0] == 127;
}

int url_check(struct str url, unsigned flags, struct err *e)
{
	struct parts parts;

	if (url.len > URL_MAX)
		return err_set(e, ERR_INVALID, "URL over %d bytes", URL_MAX);
	for (size_t i = 0; i < url.len; i++) {
		char c = url.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"<>\\#", c))
			return err_set(e, ERR_INVALID,
			               "URL with a character that has no place "
			               "in it");
	}
	if (!split(url, &parts))
		return err_set(e, ERR_INVALID, "no http or https URL: %.100s",
		               url.len ? "" : "empty");
	if (!good_host(parts.host) || !good_port(parts.port))
		return err_set(e, ERR_INVALID, "no host and port in URL: %.*s",
		               url.len > 100 ? 100 : (int)url.len, url.ptr);
	if (!parts.https && !(flags & URL_HTTP) && !is_loopback(parts.host))
		return err_set(e, ERR_INVALID, "URL without TLS: %.*s",
		               url.len > 100 ? 100 : (int)url.len, url.ptr);
	return 0;
}

bool url_same_origin(struct str a, struct str b)
{
	struct parts p, q;

	if (!split(a, &p) || !split(b, &q) || p.https != q.https)
		return false;
	struct str port = p.https ? STR("443") : STR("80");
	if (p.port.len == 0)
		p.port = port;
	if (q.port.len == 0)
		q.port = port;
	return str_ieq(p.host, q.host) && str_eq(p.port, q.port);
}

struct str url_authority(struct str url)
{
	struct parts p;

	if (!split(url, &p))
		return STR("");
	if (p.port.len)
		p.host.len = (size_t)(p.port.ptr + p.port.len - p.host.ptr);
	return p.host;
}
