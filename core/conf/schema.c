/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All options, each once: its name, type, default, place in the snapshot and
 * the sentence that explains it. A new option is a row here and a member in
 * conf.h; docs/config.md follows by itself.
 */
#include "conf/schema.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/value.h"

#ifndef ACME_PLUGIN_DIR
#define ACME_PLUGIN_DIR "/usr/lib/acme-agent/plugins"
#endif

#define LIST        SCHEMA_LIST
#define REQUIRED    SCHEMA_REQUIRED
#define KEYS(table) (table), sizeof(table) / sizeof((table)[0])
#define AT(member)  .offset = offsetof(struct OF, member)

/* clang-format off */
#define OF conf_agent
static const struct schema_key AGENT[] = {
	{ "user", SCHEMA_NAME, AT(user), .fallback = "",
	  .help = "The user that the agent becomes when root starts it; name or number." },
	{ "group", SCHEMA_NAME, AT(group), .fallback = "",
	  .help = "The group that the agent becomes when root starts it." },
	{ "run_dir", SCHEMA_PATH, AT(run_dir), .fallback = CONF_RUN_DIR,
	  .help = "Where the control socket and the segments are; nginx looks for them there." },
	{ "state_dir", SCHEMA_PATH, AT(state_dir), .fallback = CONF_STATE_DIR,
	  .help = "Where the agent keeps what it must remember." },
	{ "plugin_dir", SCHEMA_PATH, AT(plugin_dir), .fallback = ACME_PLUGIN_DIR,
	  .help = "Where plugins are found, each as NAME.so." },
	{ "log_level", SCHEMA_WORD, AT(log_level), .fallback = "info",
	  .choices = "debug info notice warn error",
	  .help = "The least important lines that are logged." },
	{ "max_orders", SCHEMA_COUNT, AT(max_orders), .fallback = "100",
	  .min = 1, .max = 10000,
	  .help = "How many orders may be under way at the same time, at all issuers together." },
	{ "declare", SCHEMA_BOOL, AT(declare), .fallback = "yes",
	  .help = "Whether nginx.conf may bring certificates of its own." },
};
#undef OF

#define OF conf_nginx
static const struct schema_key NGINX[] = {
	{ "group", SCHEMA_NAME, AT(group), .fallback = "",
	  .help = "The group of the workers: it may ask for status, and where nginx does not start as root, read the segment." },
	{ "user", SCHEMA_NAME, AT(user), .fallback = "",
	  .help = "The user of an nginx that does not start as root; it may declare certificates." },
	{ "issuers", SCHEMA_NAME, LIST, AT(issuers),
	  .help = "The issuers that nginx.conf may use; all of them when there is no such line." },
	{ "names", SCHEMA_PATTERN, LIST, AT(names),
	  .help = "The names that nginx.conf may ask for: `example.com`, `*.example.com` (everything below it), `*` (all, as when there is no such line)." },
	{ "max_certificates", SCHEMA_COUNT, AT(max_certificates), .fallback = "1000",
	  .min = 0, .max = 1000000,
	  .help = "How many certificates nginx.conf may declare." },
};
#undef OF

#define OF conf_storage
static const struct schema_key STORAGE[] = {
	{ "plugin", SCHEMA_NAME, AT(plugin), .fallback = "file",
	  .help = "The storage plugin. All further keys are its own; for `file`, `path` is `store` in the state_dir when there is no such line." },
};
#undef OF

#define OF conf_issuer
static const struct schema_key ISSUER[] = {
	{ "directory", SCHEMA_URL, REQUIRED, AT(directory), .choices = "https http",
	  .help = "The URL of the CA's ACME directory." },
	{ "contact", SCHEMA_CONTACT, LIST, AT(contact),
	  .help = "Where the CA may reach you: e-mail addresses." },
	{ "accept_terms", SCHEMA_BOOL, AT(accept_terms), .fallback = "no",
	  .help = "Whether you agree to the CA's terms of service; most CAs give no account without it." },
	{ "challenge", SCHEMA_NAME, LIST, AT(challenge), .fallback = "http-01",
	  .help = "How to prove control over a name: `[challenge NAME]` sections, or plugins that need no section, tried in this order." },
	{ "key", SCHEMA_KEY, LIST, AT(key), .fallback = "ecdsa:256",
	  .help = "The types of the certificates' keys, a certificate for each: `ecdsa:256`, `ecdsa:384`, `ecdsa:521`, `rsa:2048`, `rsa:3072`, `rsa:4096`." },
	{ "account_key", SCHEMA_KEY, AT(account_key), .fallback = "ecdsa:256",
	  .help = "The type of the account's key; only for a new account." },
	{ "renew", SCHEMA_RENEW, AT(renew), .fallback = "auto",
	  .help = "When to renew: `auto` (the last third of a life, the second half of one up to ten days), `30d` before the end, or `66%` of the life." },
	{ "ca_file", SCHEMA_PATH, AT(ca_file), .fallback = "",
	  .help = "PEM file with the roots that the CA's web server is checked against, instead of the system's." },
	{ "proxy", SCHEMA_URL, AT(proxy), .fallback = "",
	  .choices = "http https socks5 socks5h",
	  .help = "The proxy on the way to the CA; variables of the environment do not count." },
	{ "max_orders", SCHEMA_COUNT, AT(max_orders), .fallback = "10",
	  .min = 1, .max = 1000,
	  .help = "How many orders may be under way at this CA at the same time." },
	{ "ip", SCHEMA_WORD, AT(ip), .fallback = "any", .choices = "any 4 6",
	  .help = "The version of IP to reach the CA with." },
	{ "timeout", SCHEMA_DURATION, AT(timeout_ms), .fallback = "30s",
	  .help = "How long one request to the CA may take." },
};
#undef OF

#define OF conf_challenge
static const struct schema_key CHALLENGE[] = {
	{ "plugin", SCHEMA_NAME, REQUIRED, AT(plugin),
	  .help = "The challenge plugin. All further keys are its own, see its README." },
};
#undef OF

#define OF conf_certificate
static const struct schema_key CERTIFICATE[] = {
	{ "names", SCHEMA_HOST, LIST, AT(names),
	  .help = "The names in the certificate: host names, `*.` in front of one, IP addresses; the section's own name when there is no such line." },
	{ "issuer", SCHEMA_NAME, AT(issuer),
	  .help = "The issuer; needless when the same file has exactly one." },
	{ "challenge", SCHEMA_NAME, LIST, AT(challenge),
	  .help = "As in the issuer, whose list it replaces." },
	{ "key", SCHEMA_KEY, LIST, AT(key),
	  .help = "As in the issuer, whose list it replaces." },
	{ "export", SCHEMA_PATH, AT(export_dir), .fallback = "",
	  .help = "A folder to also write the certificate to, as PEM files, for programs that are not nginx." },
	{ "renew", SCHEMA_RENEW, AT(renew),
	  .help = "As in the issuer, which it overrides." },
};
#undef OF

const struct schema_section SCHEMA[SCHEMA_KINDS] = {
	[SCHEMA_AGENT] = { "agent", SCHEMA_NAME_NEVER, false, KEYS(AGENT),
	  "The agent itself." },
	[SCHEMA_NGINX] = { "nginx", SCHEMA_NAME_MAY, false, KEYS(NGINX),
	  "What an nginx may have and ask for. `[nginx]` is for the one on this machine; `[nginx NAME]` for a further one." },
	[SCHEMA_STORAGE] = { "storage", SCHEMA_NAME_NEVER, true, KEYS(STORAGE),
	  "Where accounts, certificates and keys are kept." },
	[SCHEMA_ISSUER] = { "issuer", SCHEMA_NAME_MUST, false, KEYS(ISSUER),
	  "A CA, with the account that we have there and what holds for its certificates." },
	[SCHEMA_CHALLENGE] = { "challenge", SCHEMA_NAME_MUST, true, KEYS(CHALLENGE),
	  "An instance of a challenge plugin, with its options. A plugin that needs none, such as `http-01`, needs no section." },
	[SCHEMA_CERTIFICATE] = { "certificate", SCHEMA_NAME_MUST, false, KEYS(CERTIFICATE),
	  "A certificate that should exist. Its name is how `acmectl` and nginx refer to it." },
};
/* clang-format on */

const struct schema_key *schema_key(const struct schema_section *section,
				    struct str name)
{
	for (size_t i = 0; i < section->count; i++)
		if (str_eq(name, str_of(section->keys[i].name)))
			return &section->keys[i];
	return NULL;
}

int schema_word(const char *choices, struct str text)
{
	int index = 0;

	for (const char *p = choices; *p; index++) {
		size_t len = strcspn(p, " ");
		if (str_ieq(text, (struct str){ p, len }))
			return index;
		p += len;
		p += strspn(p, " ");
	}
	return -1;
}

int schema_renew(struct str text, struct conf_renew *out, struct err *e)
{
	int64_t percent;

	*out = (struct conf_renew){ .kind = CONF_RENEW_AUTO };
	if (str_ieq(text, STR("auto")))
		return 0;
	if (text.len && text.ptr[text.len - 1] == '%') {
		struct str number = { text.ptr, text.len - 1 };
		if (value_int(str_trim(number), 1, 99, &percent, e))
			return err_set(e, ERR_INVALID,
				       "expected 1%% to 99%% of the life");
		out->kind = CONF_RENEW_PERCENT;
		out->percent = (unsigned)percent;
		return 0;
	}
	out->kind = CONF_RENEW_BEFORE;
	if (value_duration(text, &out->before_ms, e) || out->before_ms <= 0)
		return err_set(e, ERR_INVALID,
			       "expected auto, a duration before the end (30d) "
			       "or a part of the life (66%%)");
	return 0;
}

/* "admin@example.com" -> "mailto:admin@example.com" */
static int contact(struct str text, struct buf *out, struct err *e)
{
	const char *at = memchr(text.ptr, '@', text.len);
	bool uri = memchr(text.ptr, ':', text.len);
	size_t start = str_starts(text, STR("mailto:")) ? 7 : 0;
	const char *end = text.ptr + text.len;

	for (size_t i = 0; i < text.len; i++)
		if (!isgraph((unsigned char)text.ptr[i]))
			return err_set(e, ERR_INVALID,
				       "expected an e-mail address, not '%.*s'",
				       STR_ARG(text));
	if ((start || !uri) &&
	    (!at || at == text.ptr + start || at + 1 == end ||
	     memchr(at + 1, '@', (size_t)(end - at - 1))))
		return err_set(e, ERR_INVALID,
			       "expected an e-mail address, not '%.*s'",
			       STR_ARG(text));
	if (!uri)
		buf_adds(out, "mailto:");
	buf_add(out, text.ptr, text.len);
	return 0;
}

static int pattern(struct str text, struct buf *out, struct err *e)
{
	char name[CONF_NAME_MAX];

	if (str_eq(text, STR("*")))
		return buf_adds(out, "*");
	if (conf_name_check(text, name, e))
		return err_set(e, ERR_INVALID,
			       "expected a name, *.name or *, not '%.*s'",
			       STR_ARG(text));
	return buf_adds(out, name);
}

static int as_is(int rc, struct str text, struct buf *out)
{
	return rc ? rc : buf_add(out, text.ptr, text.len);
}

int schema_canon(const struct schema_key *key, struct str text, struct buf *out,
		 struct err *e)
{
	union {
		bool yes;
		int64_t number;
		struct conf_renew renew;
		char name[CONF_NAME_MAX];
		const char *key;
	} to;

	switch (key->type) {
	case SCHEMA_WORD:
		if (schema_word(key->choices, text) < 0)
			return err_set(e, ERR_INVALID,
				       "expected one of: %s; not '%.*s'",
				       key->choices, STR_ARG(text));
		return buf_add(out, text.ptr, text.len);
	case SCHEMA_BOOL:
		return as_is(value_bool(text, &to.yes, e), text, out);
	case SCHEMA_COUNT:
		return as_is(value_int(text, key->min, key->max, &to.number, e),
			     text, out);
	case SCHEMA_DURATION:
		return as_is(value_duration(text, &to.number, e), text, out);
	case SCHEMA_RENEW:
		return as_is(schema_renew(text, &to.renew, e), text, out);
	case SCHEMA_PATH:
		return as_is(value_path(text, e), text, out);
	case SCHEMA_URL:
		return as_is(value_url(text, key->choices, e), text, out);
	case SCHEMA_NAME:
		return as_is(conf_label_check(text, e), text, out);
	case SCHEMA_PATTERN:
		return pattern(text, out, e);
	case SCHEMA_CONTACT:
		return contact(text, out, e);
	case SCHEMA_HOST:
		return conf_name_check(text, to.name, e)
			   ? (int)e->code
			   : buf_adds(out, to.name);
	case SCHEMA_KEY:
		to.key = conf_key_check(text);
		return to.key ? buf_adds(out, to.key)
			      : err_set(e, ERR_INVALID,
					"expected ecdsa:256, ecdsa:384, "
					"ecdsa:521, rsa:2048, rsa:3072 or "
					"rsa:4096, not '%.*s'",
					STR_ARG(text));
	}
	return err_set(e, ERR_INVALID, "a type that nobody knows");
}

/* Longer words are not compared. */
enum { NEAR_MAX = 64 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein, case ignored. */
static size_t edit_distance(struct str a, struct str b)
{
	size_t row[NEAR_MAX + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 0; i < a.len; i++) {
		size_t corner = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < b.len; j++) {
			size_t above = row[j + 1];
			size_t same = tolower((unsigned char)a.ptr[i]) !=
				      tolower((unsigned char)b.ptr[j]);
			row[j + 1] =
			    least(corner + same, least(above, row[j]) + 1);
			corner = above;
		}
	}
	return row[b.len];
}

void schema_near(struct schema_near *best, struct str text,
		 const char *candidate)
{
	struct str other = str_of(candidate);

	if (text.len > NEAR_MAX || other.len > NEAR_MAX || !other.len)
		return;
	size_t distance = edit_distance(text, other);
	size_t limit = text.len < 4 ? 1 : text.len < 8 ? 2 : 3;
	if (distance > limit && !str_starts(other, text))
		return;
	if (!best->name || distance < best->distance)
		*best = (struct schema_near){ candidate, distance };
}
