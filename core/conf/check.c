/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of names and key types that also hold for what nginx declares. A name
 * that passes here may go into a request to a CA, into a file name behind an
 * escape, into a log line.
 */
#include <arpa/inet.h>
#include <ctype.h>

#include "conf/conf.h"

#define CUT(s) (int)((s).len < 80 ? (s).len : 80), (s).ptr

static bool is_address(struct str name, char out[CONF_NAME_MAX])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	if (strlen(text) != name.len)
		return false;
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		if (inet_pton(family, text, &addr) == 1)
			return inet_ntop(family, &addr, out, CONF_NAME_MAX);
	}
	return false;
}

static int check_label(struct str whole, struct str label, struct err *e)
{
	if (!label.len || label.len > 63)
		return err_set(e, ERR_INVALID,
			       "'%.*s' is no host name: a part of it is %s",
			       CUT(whole),
			       label.len ? "over 63 bytes" : "empty");
	for (size_t i = 0; i < label.len; i++) {
		unsigned char c = (unsigned char)label.ptr[i];
		if (c >= 0x80)
			return err_set(e, ERR_INVALID,
				       "'%.*s' is not ASCII: write it as DNS "
				       "has it (xn--...)",
				       CUT(whole));
		if (!isalnum(c) && c != '_' && c != '-')
			return err_set(e, ERR_INVALID,
				       "'%.*s' is neither a host name nor an "
				       "address",
				       CUT(whole));
	}
	if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
		return err_set(e, ERR_INVALID,
			       "'%.*s' is no host name: '-' at the edge",
			       CUT(whole));
	return 0;
}

/* The last part of a name has a letter, else it was meant as an address. */
static bool all_digits(struct str label)
{
	for (size_t i = 0; i < label.len; i++)
		if (!isdigit((unsigned char)label.ptr[i]))
			return false;
	return true;
}

int conf_name_check(struct str name, char out[CONF_NAME_MAX], struct err *e)
{
	struct str rest = name, label = { 0 };

	if (is_address(name, out))
		return 0;
	if (!name.len || name.len > 253)
		return err_set(e, ERR_INVALID, "host name of %zu bytes",
			       name.len);
	if (str_starts(rest, STR("*."))) {
		rest.ptr += 2;
		rest.len -= 2;
	}
	for (bool more = true; more;) {
		const char *dot = memchr(rest.ptr, '.', rest.len);
		label = rest;
		if (dot)
			label.len = (size_t)(dot - rest.ptr);
		if (check_label(name, label, e))
			return e->code;
		more = dot;
		rest.ptr += label.len + (more ? 1 : 0);
		rest.len -= label.len + (more ? 1 : 0);
	}
	if (all_digits(label))
		return err_set(e, ERR_INVALID,
			       "'%.*s' is neither a host name nor an address",
			       CUT(name));
	for (size_t i = 0; i < name.len; i++)
		out[i] = (char)tolower((unsigned char)name.ptr[i]);
	out[name.len] = '\0';
	return 0;
}

int conf_label_check(struct str text, struct err *e)
{
	if (!text.len || text.len > 200)
		return err_set(e, ERR_INVALID, "name of %zu bytes; 1 to 200",
			       text.len);
	if (*text.ptr == '.')
		return err_set(e, ERR_INVALID, "name '%.*s' begins with a dot",
			       CUT(text));
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (!isgraph(c) || strchr("/\\\"'`[];,", c))
			return err_set(e, ERR_INVALID,
				       "name '%.*s' may not contain the byte "
				       "0x%02x",
				       CUT(text), c);
	}
	return 0;
}

const char *conf_key_check(struct str text)
{
	static const char *const KEYS[] = {
		"ecdsa:256", "ecdsa:384", "ecdsa:521",
		"rsa:2048",  "rsa:3072",  "rsa:4096",
	};

	if (str_ieq(text, STR("ecdsa")))
		return KEYS[0];
	if (str_ieq(text, STR("rsa")))
		return KEYS[3];
	for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++)
		if (str_ieq(text, str_of(KEYS[i])))
			return KEYS[i];
	return NULL;
}

bool conf_pattern(const char *pattern, const char *name)
{
	if (!strcmp(pattern, "*"))
		return true;
	if (!strcasecmp(pattern, name))
		return true;
	if (strncmp(pattern, "*.", 2))
		return false;
	struct str suffix = str_of(pattern + 1), text = str_of(name);
	if (text.len <= suffix.len)
		return false;
	text.ptr += text.len - suffix.len;
	text.len = suffix.len;
	return str_ieq(text, suffix);
}

bool conf_nginx_issuer(const struct conf_nginx *nginx, const char *issuer)
{
	for (size_t i = 0; i < nginx->issuers.count; i++)
		if (!strcmp(nginx->issuers.items[i], issuer))
			return true;
	return nginx->issuers.count == 0;
}

bool conf_nginx_name(const struct conf_nginx *nginx, const char *name)
{
	for (size_t i = 0; i < nginx->names.count; i++)
		if (conf_pattern(nginx->names.items[i], name))
			return true;
	return nginx->names.count == 0;
}
