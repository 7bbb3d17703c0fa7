/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as CAs take them (RFC 8555 section 7.1.4, RFC 8738). What a CA would
 * refuse for its policy (reserved names, public suffixes) is not our business;
 * what could never be a name is refused here, where the text can still point at
 * the file that it came from.
 */
#include "acme/identifier.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { LABEL_MAX = 63 };

/* Addresses in the text that inet_ntop gives. 1 if it is one. */
static int read_address(struct str text, char out[IDENTIFIER_SIZE])
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char bytes[16];

	if (text.len == 0 || text.len >= sizeof copy ||
	    memchr(text.ptr, '\0', text.len))
		return 0;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (int i = 0; i < 2; i++) {
		int family = i ? AF_INET6 : AF_INET;
		if (inet_pton(family, copy, bytes) == 1)
			return inet_ntop(family, bytes, out, IDENTIFIER_SIZE) !=
			       NULL;
	}
	return 0;
}

static int check_char(char c, struct err *e)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')
		return 0;
	if (c == '*')
		return err_set(e, ERR_INVALID,
		               "\"*\" may only be the whole first label");
	if ((unsigned char)c >= 0x80)
		return err_set(e, ERR_INVALID,
		               "not ASCII: write the name in its punycode "
		               "form (xn--...)");
	if (c > ' ' && c < 0x7f)
		return err_set(e, ERR_INVALID,
		               "character \"%c\" has no place in a name", c);
	return err_set(e, ERR_INVALID, "blank or control character in a name");
}

static int check_label(const char *label, size_t len, struct err *e)
{
	int rc = 0;

	if (len == 0)
		return err_set(e, ERR_INVALID, "empty label (a dot too many)");
	for (size_t i = 0; rc == 0 && i < len; i++)
		rc = check_char(label[i], e);
	if (rc < 0)
		return rc;
	if (len > LABEL_MAX)
		return err_set(e, ERR_INVALID,
		               "label of %zu characters, %d "
		               "are allowed",
		               len, LABEL_MAX);
	if (label[0] == '-' || label[len - 1] == '-')
		return err_set(e, ERR_INVALID,
		               "label begins or ends with a hyphen");
	return 0;
}

static int check_name(const char *name, struct err *e)
{
	const char *label = identifier_base(name);
	size_t len = 0;
	int rc = 0;

	for (;; label += len + 1) {
		len = strcspn(label, ".");
		rc = check_label(label, len, e);
		if (rc < 0 || label[len] == '\0')
			break;
	}
	if (rc == 0 && strspn(label, "0123456789") == len)
		return err_set(e, ERR_INVALID,
		               "neither a name nor an IP address");
	return rc;
}

int identifier_read(struct str text, char out[IDENTIFIER_SIZE],
                    enum identifier_type *type, struct err *e)
{
	enum identifier_type found = IDENTIFIER_DNS;
	int rc = 0;

	if (text.len == 0)
		return err_set(e, ERR_INVALID, "empty name");
	if (text.len > IDENTIFIER_MAX)
		return err_set(e, ERR_INVALID,
		               "name of %zu characters, %d are allowed",
		               text.len, IDENTIFIER_MAX);
	if (read_address(text, out)) {
		found = IDENTIFIER_IP;
	} else {
		if (memchr(text.ptr, '\0', text.len))
			return check_char('\0', e);
		for (size_t i = 0; i < text.len; i++) {
			char c = text.ptr[i];
			out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		}
		out[text.len] = '\0';
		rc = check_name(out, e);
	}
	if (rc < 0)
		return err_in(e, "\"%.*s\"", STR_ARG(text));
	if (type)
		*type = found;
	return 0;
}

enum identifier_type identifier_type(const char *value)
{
	char out[IDENTIFIER_SIZE];

	return read_address(str_of(value), out) ? IDENTIFIER_IP
	                                        : IDENTIFIER_DNS;
}

const char *identifier_type_name(enum identifier_type type)
{
	switch (type) {
	case IDENTIFIER_DNS:
		return "dns";
	case IDENTIFIER_IP:
		return "ip";
	case IDENTIFIER_OTHER:
	default:
		return "other";
	}
}

bool identifier_is_wildcard(const char *value)
{
	return value[0] == '*' && value[1] == '.';
}

const char *identifier_base(const char *value)
{
	return identifier_is_wildcard(value) ? value + 2 : value;
}
