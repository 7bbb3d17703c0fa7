/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "conf/errors.h"

/*
 * The configuration as an immutable snapshot: the main file and, sorted by
 * name, conf.d/?*.ini beside it.
 *
 * A snapshot is whole or does not exist. All texts are NUL-terminated, owned
 * by it and never NULL unless said so; lists and defaults are filled in, so a
 * reader never asks "or else?". The order of files and sections means nothing.
 * Snapshots are shared by reference count, on the loop thread only.
 */

struct conf_list {
	const char *const *items;
	size_t count;
};

/* One line of a section whose keys belong to a plugin. */
struct conf_raw {
	const char *key, *value;
	struct conf_place place;
};

struct conf_raws {
	const struct conf_raw *items;
	size_t count;
};

struct conf_agent {
	const char *user, *group; /* "" : whoever starts it */
	const char *run_dir, *state_dir, *plugin_dir;
	enum log_level log_level;
	unsigned max_orders; /* at the same time, over all issuers */
	bool declare;        /* does nginx.conf count? */
	struct conf_place place;
};

/* [nginx] and [nginx NAME]: what one nginx may have. The first one has the
 * name "" and exists always. */
struct conf_nginx {
	const char *name;
	const char *group; /* "": keys for root's children only */
	const char *user;  /* "": only root and ourselves declare */
	struct conf_list issuers; /* empty: all */
	struct conf_list names;   /* patterns; empty: all */
	unsigned max_certificates;
	struct conf_place place;
};

struct conf_storage {
	const char *plugin;
	struct conf_raws options; /* for "file", `path` is always there */
	struct conf_place place;
};

enum conf_renew_kind {
	CONF_RENEW_AUTO,    /* the last third of a life, half of a short one */
	CONF_RENEW_BEFORE,  /* `before_ms` before the end */
	CONF_RENEW_PERCENT, /* when `percent` of the life is over */
};

struct conf_renew {
	enum conf_renew_kind kind;
	int64_t before_ms;
	unsigned percent; /* 1 to 99 */
};

enum conf_ip { CONF_IP_ANY, CONF_IP_V4, CONF_IP_V6 };

struct conf_issuer {
	const char *name;
	const char *directory;      /* http:// or https:// */
	struct conf_list contact;   /* URIs: "mailto:admin@example.com" */
	bool accept_terms;
	struct conf_list challenge; /* names of instances, at least one */
	struct conf_list key;       /* "ecdsa:256", "rsa:2048": canonical */
	const char *account_key;
	struct conf_renew renew;
	const char *ca_file;        /* "": the system's */
	const char *proxy;          /* "": none */
	unsigned max_orders;        /* at the same time, at this CA */
	enum conf_ip ip;
	int64_t timeout_ms;         /* for one request */
	struct conf_place place;
};

struct conf_challenge {
	const char *name, *plugin;
	struct conf_raws options; /* all keys but `plugin` */
	/* No section: somebody names it, so it is the plugin of that name
	 * with no options; `place` is where it was named. */
	bool implicit;
	struct conf_place place;
};

struct conf_certificate {
	const char *name;
	struct conf_list names;     /* lower case; "*.example.com", addresses */
	const struct conf_issuer *issuer;
	struct conf_list challenge; /* its own or the issuer's */
	struct conf_list key;       /* its own or the issuer's */
	const char *export_dir;     /* "": none */
	struct conf_renew renew;    /* its own or the issuer's */
	struct conf_place place;
};

struct conf {
	const char *path; /* of the main file */
	struct conf_agent agent;
	struct conf_storage storage;
	const struct conf_nginx *nginx; /* [0] has the name "" */
	const struct conf_issuer *issuers;
	const struct conf_challenge *challenges; /* implicit ones too */
	const struct conf_certificate *certificates;
	size_t nginx_count, issuer_count, challenge_count, certificate_count;
};

/* Reads everything. 0 and a snapshot with one reference, or ERR_INVALID and
 * `*out` NULL; warnings may be there in both cases. Blocks on disk. */
int conf_load(const char *path, struct conf **out, struct conf_errors *errors);

struct conf *conf_ref(struct conf *conf);
void conf_unref(struct conf *conf); /* NULL is fine */

/* NULL if there is none of that name. */
const struct conf_issuer *conf_issuer(const struct conf *c, const char *name);
const struct conf_challenge *conf_challenge(const struct conf *c,
                                            const char *name);
const struct conf_certificate *conf_certificate(const struct conf *c,
                                                const char *name);
const struct conf_nginx *conf_nginx(const struct conf *c, const char *name);

/* May this nginx declare a certificate with that issuer, with that name? */
bool conf_nginx_issuer(const struct conf_nginx *nginx, const char *issuer);
bool conf_nginx_name(const struct conf_nginx *nginx, const char *name);

/* Is a name matched by a pattern: "*" all, "*.example.com" all below it (at
 * any depth, and itself when it is written so), "example.com" only itself. */
bool conf_pattern(const char *pattern, const char *name);

/* Checks of what others than INI files bring (a declaration of nginx). */
/* A DNS name with an optional "*.", or an IP address; lower-cased in `out`. */
enum { CONF_NAME_MAX = 254 };
int conf_name_check(struct str name, char out[CONF_NAME_MAX], struct err *e);
/* "ecdsa" -> "ecdsa:256"; NULL if it is no key type. Static text. */
const char *conf_key_check(struct str text);
/* A certificate's or an instance's own name: printable, no blank, no slash,
 * no leading dot, at most 200 bytes. */
int conf_label_check(struct str text, struct err *e);

/*
 * Just enough to publish what is stored before a configuration is accepted.
 * Never fails: what cannot be read or is nonsense has its default.
 */
struct conf_boot {
	char run_dir[256], state_dir[256];
	char user[64], group[64]; /* "" : whoever starts it */
};

void conf_boot(const char *path, struct conf_boot *out);

#ifndef ACME_SYSCONFDIR
#define ACME_SYSCONFDIR "/etc"
#endif
#define CONF_PATH ACME_SYSCONFDIR "/acme-agent/acme-agent.ini"
#define CONF_RUN_DIR "/run/acme-agent"
#define CONF_STATE_DIR "/var/lib/acme-agent"
