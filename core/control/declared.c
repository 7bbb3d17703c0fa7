/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations: see declared.h. They come from a master that runs as root, but
 * through files and sockets, and what they name ends up in orders, keys of the
 * store and lines of the log: so names, issuers and key types pass the same
 * checks as those of an INI file, and the policy of [nginx] bounds them.
 */
#include "control/declared.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/now.h"
#include "control/request.h"
#include "json/json.h"

enum {
	OWNERS_MAX = 64,
	OWNER_LEN = 1024,
	LABEL_LEN = 200,
	CERTIFICATES_MAX = 100000,
	IDENTIFIERS_MAX = 100,
	FILE_MAX = 64 << 20,
};

/* ------------------------------------------------------------- checking */

static void declaration_free(struct declaration *d)
{
	free(d->name);
	free(d->issuer);
	names_free(&d->identifiers);
}

static void set_free(struct declarations *set)
{
	for (size_t i = 0; i < set->count; i++)
		declaration_free(&set->list[i]);
	free(set->list);
	free(set->owner);
	*set = (struct declarations){ 0 };
}

static int take_identifiers(const json_t *o, struct declaration *d,
                            const struct conf_nginx *nginx, struct err *e)
{
	char name[CONF_NAME_MAX];
	const json_t *array;
	const char *text;
	int rc = json_get_array(o, "identifiers", IDENTIFIERS_MAX, &array, e);

	if (rc == 0 && json_array_size(array) == 0)
		rc = err_set(e, ERR_INVALID, "no identifiers");
	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_str(array, i, CONF_NAME_MAX, &text, e);
		if (rc == 0)
			rc = conf_name_check(str_of(text), name, e);
		if (rc == 0 && !conf_nginx_name(nginx, name))
			rc = err_set(e, ERR_DENIED,
			             "[nginx] names does not allow %s", name);
		if (rc == 0 && !names_have(&d->identifiers, name))
			names_add(&d->identifiers, name);
	}
	return rc;
}

static int take_kinds(const json_t *o, struct declaration *d, struct err *e)
{
	const json_t *array;
	const char *text;
	int rc = json_opt_array(o, "key", KEY_KINDS - 1, &array, e);

	for (size_t i = 0; rc == 0 && array && i < json_array_size(array);
	     i++) {
		enum key_kind kind;
		rc = json_item_str(array, i, 16, &text, e);
		rc = rc < 0 ? rc : key_kind_parse(str_of(text), &kind, e);
		bool known = false;
		for (size_t n = 0; rc == 0 && n < d->kind_count; n++)
			known = known || d->kinds[n] == kind;
		if (rc == 0 && !known)
			d->kinds[d->kind_count++] = kind;
	}
	return rc;
}

static int take_one(const json_t *o, struct declaration *d,
                    const struct conf_nginx *nginx, struct err *e)
{
	const char *name, *issuer;
	int rc = json_get_str(o, "name", LABEL_LEN, &name, e);

	rc = rc < 0 ? rc : conf_label_check(str_of(name), e);
	rc = rc < 0 ? rc : json_get_str(o, "issuer", LABEL_LEN, &issuer, e);
	rc = rc < 0 ? rc : conf_label_check(str_of(issuer), e);
	if (rc < 0)
		return rc;
	d->name = mem_strdup(name);
	d->issuer = mem_strdup(issuer);
	if (!conf_nginx_issuer(nginx, issuer))
		return err_set(e, ERR_DENIED,
		               "[nginx] issuers does not allow %s", issuer);
	rc = take_identifiers(o, d, nginx, e);
	return rc < 0 ? rc : take_kinds(o, d, e);
}

static void refuse(json_t *refused, const json_t *item, const struct err *e)
{
	const char *name = json_string_value(json_object_get(item, "name"));

	json_array_append_new(refused,
	                      json_pack("{s:s, s:o}", "name", name ? name : "",
	                                "reason", json_lossy(e->text)));
}

/* It stands in lines of the log and in status. */
static int check_owner(const char *owner, struct err *e)
{
	for (const char *p = owner; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"')
			return err_set(e, ERR_INVALID, "\"owner\" holds control "
			               "characters or quotes");
	return *owner ? 0 : err_set(e, ERR_INVALID, "\"owner\" is empty");
}

static int take_set(const json_t *params, const struct conf_nginx *nginx,
                    struct declarations *set, json_t *refused, struct err *e)
{
	const json_t *array = NULL, *item;
	const char *owner;
	int rc = json_get_str(params, "owner", OWNER_LEN, &owner, e);

	rc = rc < 0 ? rc : check_owner(owner, e);
	if (rc == 0)
		rc = json_get_array(params, "certificates", CERTIFICATES_MAX,
		                    &array, e);
	if (rc < 0)
		return rc;
	if (json_array_size(array) > nginx->max_certificates)
		return err_set(e, ERR_DENIED, "%zu certificates declared, "
		               "[nginx] max_certificates is %u",
		               json_array_size(array),
		               nginx->max_certificates);
	set->owner = mem_strdup(owner);
	set->list = mem_array(json_array_size(array), sizeof *set->list);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct declaration *d = &set->list[set->count];
		rc = json_item_object(array, i, &item, e);
		if (rc == 0)
			rc = take_one(item, d, nginx, e);
		if (rc == 0) {
			set->count++;
			continue;
		}
		refuse(refused, json_array_get(array, i), e);
		declaration_free(d);
		*d = (struct declaration){ 0 };
	}
	return 0;
}

/* In place of what its owner declared before; an owner without certificates is
 * none. */
static int put_set(struct declared *d, struct declarations *set, struct err *e)
{
	size_t at = 0;

	while (at < d->count && (d->sets[at].uid != set->uid ||
	                         strcmp(d->sets[at].owner, set->owner)))
		at++;
	if (at < d->count)
		set_free(&d->sets[at]);
	if (set->count == 0) {
		set_free(set);
		if (at < d->count) /* the others keep their order */
			memmove(&d->sets[at], &d->sets[at + 1],
			        (--d->count - at) * sizeof *d->sets);
		return 0;
	}
	if (at == OWNERS_MAX)
		return err_set(e, ERR_NOSPACE, "more than %d nginx instances",
		               OWNERS_MAX);
	if (at == d->count)
		d->sets = mem_grow(d->sets, ++d->count, sizeof *d->sets);
	d->sets[at] = *set;
	return 0;
}

int declared_take(struct declared *d, const json_t *params, uid_t uid,
                  const struct conf_nginx *nginx, json_t *refused,
                  struct err *e)
{
	struct declarations set = { .uid = uid };
	int rc = take_set(params, nginx, &set, refused, e);

	rc = rc < 0 ? rc : put_set(d, &set, e);
	if (rc < 0)
		set_free(&set);
	return rc;
}

void declared_free(struct declared *d)
{
	for (size_t i = 0; i < d->count; i++)
		set_free(&d->sets[i]);
	free(d->sets);
	*d = (struct declared){ 0 };
}

/* ---------------------------------------------------------------- files */

static json_t *set_json(const struct declarations *set)
{
	json_t *certificates = json_array();

	for (size_t i = 0; i < set->count; i++) {
		const struct declaration *d = &set->list[i];
		json_t *ids = json_array(), *keys = json_array();
		for (size_t n = 0; n < d->identifiers.count; n++)
			json_array_append_new(
				ids, json_string(d->identifiers.list[n]));
		for (size_t n = 0; n < d->kind_count; n++)
			json_array_append_new(
				keys, json_string(key_kind_name(d->kinds[n])));
		json_array_append_new(
			certificates,
			json_pack("{s:s, s:s, s:o, s:o}", "name", d->name,
		                  "issuer", d->issuer, "identifiers", ids,
		                  "key", keys));
	}
	return json_pack("{s:s, s:I, s:o}", "owner", set->owner, "uid",
	                 (json_int_t)set->uid, "certificates", certificates);
}

int declared_write(const struct declared *d, struct buf *out, struct err *e)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->count; i++)
		json_array_append_new(array, set_json(&d->sets[i]));
	json_t *o = json_pack("{s:i, s:o}", "format", 1, "declared", array);
	int rc = json_text(o, out, e);
	json_decref(o);
	return rc < 0 ? rc : buf_addc(out, '\n');
}

/* A policy without bounds: what is read back was checked when it came. */
static const struct conf_nginx ANY = { .name = "",
	                               .max_certificates = CERTIFICATES_MAX };

static int read_sets(struct declared *d, const json_t *o,
                     const struct log *log, struct err *e)
{
	const json_t *array, *item;
	json_t *refused = json_array();
	int64_t uid = 0;
	int rc = json_get_array(o, "declared", OWNERS_MAX, &array, e);

	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++) {
		rc = json_item_object(array, i, &item, e);
		rc = rc < 0 ? rc
		            : json_opt_int(item, "uid", 0, 0, UINT32_MAX, &uid,
		                           e);
		rc = rc < 0 ? rc
		            : declared_take(d, item, (uid_t)uid, &ANY, refused,
		                            e);
	}
	declared_log(refused, log);
	json_decref(refused);
	return rc;
}

static void set_aside(const char *path, const struct log *log,
                      const struct err *why)
{
	char to[4096], stamp[NOW_TEXT];

	snprintf(to, sizeof to, "%s.damaged-%s", path,
	         now_text(now_wall(), 0, stamp));
	log_err(log, LOG_LEVEL_ERROR, "damaged file set aside", why);
	if (rename(path, to) < 0)
		log_error(log, "rename", "file=%s error=\"%s\"", to,
		          strerrordesc_np(errno));
}

int declared_load(struct declared *d, const char *path, const struct log *log,
                  struct err *e)
{
	struct buf text = BUF_INIT(FILE_MAX);
	json_t *o = NULL;
	int rc = file_read(path, &text, e);

	if (rc == ERR_ABSENT) {
		buf_free(&text);
		return 0;
	}
	if (rc == 0)
		rc = json_read_within(buf_str(&text), FILE_MAX, &o, e);
	if (rc == 0)
		rc = read_sets(d, o, log, e);
	if (rc == ERR_INVALID) {
		err_in(e, "%s", path);
		set_aside(path, log, e);
	}
	json_decref(o);
	buf_free(&text);
	return rc;
}

/* Reads a file that root or we ourselves have left. */
static int read_left(const char *path, json_t **out, struct err *e)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct stat st;
	int rc = 0;

	*out = NULL;
	if (lstat(path, &st) < 0)
		return err_errno(e, errno, "%s", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()))
		return err_set(e, ERR_DENIED, "%s: not root's file, nor ours",
		               path);
	rc = file_read(path, &text, e);
	if (rc == 0)
		rc = json_read_within(buf_str(&text), REQUEST_MAX, out, e);
	buf_free(&text);
	return rc;
}

void declared_collect(struct declared *d, const char *folder,
                      const struct conf_nginx *nginx, const struct log *log)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	json_t *refused = json_array();
	char path[4096];
	struct err e;

	while (dir && (entry = readdir(dir))) {
		const json_t *params;
		json_t *o;
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		int rc = read_left(path, &o, &e);
		rc = rc < 0 ? rc : json_opt_object(o, "params", &params, &e);
		if (rc == 0)
			rc = declared_take(d, params ? params : o, 0, nginx,
			                   refused, &e);
		if (rc < 0) {
			err_in(&e, "%s", path);
			log_err(log, LOG_LEVEL_WARN, "declaration refused", &e);
		}
		json_decref(o);
	}
	if (dir)
		closedir(dir);
	declared_log(refused, log);
	json_decref(refused);
}

void declared_log(const json_t *refused, const struct log *log)
{
	char name[512], reason[1024];

	for (size_t i = 0; i < json_array_size(refused); i++) {
		const json_t *o = json_array_get(refused, i);
		const char *n = json_string_value(json_object_get(o, "name"));
		const char *r = json_string_value(json_object_get(o, "reason"));
		log_warn(log, "declaration refused", "cert=%s reason=%s",
		         log_quote(n, strlen(n), name, sizeof name),
		         log_quote(r, strlen(r), reason, sizeof reason));
	}
}
