/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From sections to the snapshot.
 *
 *   1. sort     each section goes to its kind, sorted by name; unknown kinds
 *               and second sections of a name are errors
 *   2. fill     the schema's table checks each key and writes the struct
 *   3. resolve  what one section takes from another: a certificate its issuer
 *               and what it inherits, challenges without a section
 *
 * Nothing stops at an error; a member that could not be filled keeps its zero,
 * and a snapshot with errors is never shown to anybody.
 */
#include "conf/build.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "conf/value.h"

enum { SECTION_KEYS_MAX = 1000, SOCKET_PATH_MAX = 107 };

struct kind {
	const struct ini_section **sections;
	size_t count;
};

struct build {
	struct conf *conf;
	struct arena *mem;
	struct conf_errors *errors;
	struct kind kinds[SCHEMA_KINDS];
	bool full;
};

#define CUT(s) (int)((s).len < 60 ? (s).len : 60), (s).ptr

/* Memory of the snapshot. Once there is none left, everything gets the same
 * scratch: the snapshot is lost anyway. */
static void *take(struct build *b, size_t count, size_t size)
{
	void *ptr = arena_alloc(b->mem, count ? count * size : 1);

	if (ptr)
		return ptr;
	if (!b->full)
		conf_error(b->errors, (struct conf_place){ 0 },
			   "configuration is too large");
	b->full = true;
	return NULL;
}

/* 1. sort */

static int by_name(const void *a, const void *b)
{
	const struct ini_section *x = *(const struct ini_section *const *)a;
	const struct ini_section *y = *(const struct ini_section *const *)b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = strcmp(x->place.file, y->place.file);
	if (!order)
		order = (x->place.line > y->place.line) -
			(x->place.line < y->place.line);
	return order;
}

static enum schema_kind kind_of(struct build *b, const struct ini_section *s)
{
	struct schema_near near = { 0 };

	for (int i = 0; i < SCHEMA_KINDS; i++)
		if (!strcmp(SCHEMA[i].name, s->kind))
			return (enum schema_kind)i;
	for (int i = 0; i < SCHEMA_KINDS; i++)
		schema_near(&near, str_of(s->kind), SCHEMA[i].name);
	conf_error(b->errors, s->place, "unknown section [%s]%s%s%s", s->kind,
		   near.name ? "; is [" : "", near.name ? near.name : "",
		   near.name ? "] meant?" : "");
	return SCHEMA_KINDS;
}

static bool name_ok(struct build *b, const struct ini_section *s,
		    enum schema_kind kind)
{
	enum schema_name named = SCHEMA[kind].named;
	struct err e = { 0 };

	if (*s->name && named == SCHEMA_NAME_NEVER) {
		conf_error(b->errors, s->place, "[%s] has no name", s->kind);
		return false;
	}
	if (!*s->name && named == SCHEMA_NAME_MUST) {
		conf_error(b->errors, s->place, "[%s] needs a name: [%s NAME]",
			   s->kind, s->kind);
		return false;
	}
	if (*s->name && conf_label_check(str_of(s->name), &e)) {
		conf_error(b->errors, s->place, "%s", e.text);
		return false;
	}
	return true;
}

static void drop_twins(struct build *b, struct kind *kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < kind->count; i++) {
		const struct ini_section *s = kind->sections[i];
		const struct ini_section *last =
		    kept ? kind->sections[kept - 1] : NULL;
		if (last && !strcmp(last->name, s->name))
			conf_error(b->errors, s->place,
				   "[%s%s%s] stands already in %s:%u", s->kind,
				   *s->name ? " " : "", s->name,
				   last->place.file, last->place.line);
		else
			kind->sections[kept++] = s;
	}
	kind->count = kept;
}

static void sort_sections(struct build *b, const struct ini *ini)
{
	for (int i = 0; i < SCHEMA_KINDS; i++)
		b->kinds[i].sections =
		    mem_array(ini->count + 1, sizeof(void *));
	for (const struct ini_section *s = ini->sections; s; s = s->next) {
		enum schema_kind kind = kind_of(b, s);
		if (kind == SCHEMA_KINDS || !name_ok(b, s, kind))
			continue;
		b->kinds[kind].sections[b->kinds[kind].count++] = s;
	}
	for (int i = 0; i < SCHEMA_KINDS; i++) {
		qsort(b->kinds[i].sections, b->kinds[i].count, sizeof(void *),
		      by_name);
		drop_twins(b, &b->kinds[i]);
	}
}

/* 2. fill */

static void unknown_key(struct build *b, const struct schema_section *schema,
			const struct ini_entry *entry)
{
	struct schema_near near = { 0 };

	for (size_t i = 0; i < schema->count; i++)
		schema_near(&near, str_of(entry->key), schema->keys[i].name);
	conf_error(b->errors, entry->place, "unknown key '%s' in [%s]%s%s%s",
		   entry->key, schema->name, near.name ? "; is '" : "",
		   near.name ? near.name : "", near.name ? "' meant?" : "");
}

/* Each key known and there once. */
static void check_keys(struct build *b, const struct schema_section *schema,
		       const struct ini_section *s)
{
	size_t count = 0;

	for (const struct ini_entry *i = s->entries; i; i = i->next) {
		if (++count > SECTION_KEYS_MAX) {
			conf_error(b->errors, i->place,
				   "section with over %d keys",
				   SECTION_KEYS_MAX);
			return;
		}
		const struct ini_entry *first = ini_find(s, i->key);
		if (first != i)
			conf_error(b->errors, i->place,
				   "'%s' stands already in line %u", i->key,
				   first->place.line);
		else if (!schema->open && !schema_key(schema, str_of(i->key)))
			unknown_key(b, schema, i);
	}
}

static const char *fill_text(struct build *b, const struct schema_key *key,
			     struct str text, struct conf_place place)
{
	struct buf canon = BUF_INIT(INI_VALUE_MAX + 16);
	struct err e = { 0 };
	char *out = NULL;

	if (schema_canon(key, text, &canon, &e))
		conf_error(b->errors, place, "%s: %s", key->name, e.text);
	else if ((out = take(b, canon.len + 1, 1)))
		memcpy(out, canon.ptr, canon.len);
	buf_free(&canon);
	return out ? out : "";
}

static struct conf_list fill_list(struct build *b, const struct schema_key *key,
				  struct str text, struct conf_place place)
{
	struct str rest = text, item;
	const char **items;
	size_t count = 0, kept = 0;

	while (value_next(&rest, &item))
		count++;
	if (count == 0)
		conf_error(b->errors, place, "%s: the list is empty",
			   key->name);
	if (count > SCHEMA_LIST_MAX)
		conf_error(b->errors, place, "%s: list of %zu; at most %d",
			   key->name, count, SCHEMA_LIST_MAX);
	if (count == 0 || count > SCHEMA_LIST_MAX ||
	    !(items = take(b, count, sizeof(*items))))
		return (struct conf_list){ 0 };
	rest = text;
	while (value_next(&rest, &item)) {
		items[kept] = fill_text(b, key, item, place);
		for (size_t i = 0; *items[kept] && i < kept; i++)
			if (!strcmp(items[i], items[kept]))
				conf_error(b->errors, place,
					   "%s: '%s' stands twice", key->name,
					   items[kept]);
		kept++;
	}
	return (struct conf_list){ items, kept };
}

static void fill_value(struct build *b, const struct schema_key *key,
		       struct str text, struct conf_place place, void *at)
{
	const char *canon;
	struct err e = { 0 };
	int64_t number = 0;

	if (key->flags & SCHEMA_LIST) {
		*(struct conf_list *)at = fill_list(b, key, text, place);
		return;
	}
	if (!text.len)
		return; /* by default */
	canon = fill_text(b, key, text, place);
	if (!*canon && key->type < SCHEMA_PATH)
		return;
	if (key->type == SCHEMA_WORD) {
		*(int *)at = schema_word(key->choices, str_of(canon));
	} else if (key->type == SCHEMA_BOOL) {
		value_bool(str_of(canon), at, &e);
	} else if (key->type == SCHEMA_DURATION) {
		value_duration(str_of(canon), at, &e);
	} else if (key->type == SCHEMA_RENEW) {
		schema_renew(str_of(canon), at, &e);
	} else if (key->type == SCHEMA_COUNT) {
		value_int(str_of(canon), key->min, key->max, &number, &e);
		*(unsigned *)at = (unsigned)number;
	} else {
		*(const char **)at = canon;
	}
}

/* Writes all members of a section's struct; `s` may be NULL: the defaults. */
static void fill(struct build *b, enum schema_kind kind,
		 const struct ini_section *s, void *out)
{
	const struct schema_section *schema = &SCHEMA[kind];

	if (s)
		check_keys(b, schema, s);
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_key *key = &schema->keys[i];
		const struct ini_entry *entry =
		    s ? ini_find(s, key->name) : NULL;
		void *at = (char *)out + key->offset;
		if (key->type >= SCHEMA_PATH && !(key->flags & SCHEMA_LIST))
			*(const char **)at = "";
		if (entry && *entry->value)
			fill_value(b, key, str_of(entry->value), entry->place,
				   at);
		else if (entry)
			conf_error(b->errors, entry->place,
				   "%s: no value; leave the line out for the "
				   "default",
				   key->name);
		else if (key->fallback)
			fill_value(b, key, str_of(key->fallback),
				   (struct conf_place){ 0 }, at);
		else if (s && (key->flags & SCHEMA_REQUIRED))
			conf_error(b->errors, s->place, "[%s%s%s] needs '%s'",
				   s->kind, *s->name ? " " : "", s->name,
				   key->name);
	}
}

static const char *keep(struct build *b, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = take(b, size, 1);

	return copy ? memcpy(copy, text, size) : "";
}

/* A plugin's secrets are not known here, but their usual names are. */
static void warn_secret(struct build *b, const struct ini_entry *entry)
{
	static const char *const WORDS[] = { "token",  "secret",  "password",
					     "passwd", "api_key", "apikey" };
	struct str value = str_of(entry->value);
	struct stat st;
	bool named = false;

	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
		named |= strcasestr(entry->key, WORDS[i]) != NULL;
	if (!named || str_starts(value, STR("file:")) ||
	    str_starts(value, STR("env:")) ||
	    str_starts(value, STR("credential:")))
		return;
	if (!stat(entry->place.file, &st) && (st.st_mode & 0044))
		conf_warning(b->errors, entry->place,
			     "%s: a secret in a file that others may read; "
			     "write file:/path instead, or chmod 600",
			     entry->key);
}

/* The keys of an open section that are not ours; room for one more. */
static struct conf_raws fill_raws(struct build *b, enum schema_kind kind,
				  const struct ini_section *s)
{
	size_t count = 0;

	for (const struct ini_entry *i = s ? s->entries : NULL; i; i = i->next)
		count++;
	struct conf_raw *items = take(b, count + 1, sizeof(*items));
	if (!items)
		return (struct conf_raws){ 0 };
	count = 0;
	for (const struct ini_entry *i = s ? s->entries : NULL; i;
	     i = i->next) {
		if (schema_key(&SCHEMA[kind], str_of(i->key)))
			continue;
		warn_secret(b, i);
		items[count++] =
		    (struct conf_raw){ i->key, i->value, i->place };
	}
	return (struct conf_raws){ items, count };
}

static const struct ini_section *only(struct build *b, enum schema_kind kind)
{
	return b->kinds[kind].count ? b->kinds[kind].sections[0] : NULL;
}

static void build_agent(struct build *b)
{
	const struct ini_section *s = only(b, SCHEMA_AGENT);

	fill(b, SCHEMA_AGENT, s, &b->conf->agent);
	if (s)
		b->conf->agent.place = s->place;
	size_t len = strlen(b->conf->agent.run_dir) + strlen("/control.sock");
	if (len > SOCKET_PATH_MAX)
		conf_error(b->errors, ini_find(s, "run_dir")->place,
			   "run_dir: the path of the control socket in it "
			   "would have %zu bytes; at most %d",
			   len, SOCKET_PATH_MAX);
}

static void build_storage(struct build *b)
{
	const struct ini_section *s = only(b, SCHEMA_STORAGE);
	struct conf_storage *storage = &b->conf->storage;

	fill(b, SCHEMA_STORAGE, s, storage);
	storage->options = fill_raws(b, SCHEMA_STORAGE, s);
	if (s)
		storage->place = s->place;
	if (strcmp(storage->plugin, "file") || (s && ini_find(s, "path")))
		return;
	size_t len = strlen(b->conf->agent.state_dir);
	char *path = take(b, len + sizeof("/store"), 1);
	struct conf_raw *last = (struct conf_raw *)storage->options.items;
	if (!path || !last)
		return;
	memcpy(path, b->conf->agent.state_dir, len);
	memcpy(path + len, "/store", sizeof("/store"));
	last[storage->options.count++] =
	    (struct conf_raw){ "path", path, storage->place };
}

static void build_nginx(struct build *b)
{
	struct kind *kind = &b->kinds[SCHEMA_NGINX];
	bool named_only = !kind->count || *kind->sections[0]->name;
	struct conf_nginx *all =
	    take(b, kind->count + 1, sizeof(struct conf_nginx));

	if (!all)
		return;
	b->conf->nginx = all;
	b->conf->nginx_count = kind->count + named_only;
	if (named_only) {
		fill(b, SCHEMA_NGINX, NULL, all);
		all++->name = "";
	}
	for (size_t i = 0; i < kind->count; i++) {
		fill(b, SCHEMA_NGINX, kind->sections[i], &all[i]);
		all[i].name = keep(b, kind->sections[i]->name);
		all[i].place = kind->sections[i]->place;
	}
}

static void build_issuers(struct build *b)
{
	struct kind *kind = &b->kinds[SCHEMA_ISSUER];
	struct conf_issuer *all = take(b, kind->count, sizeof(*all));

	for (size_t i = 0; all && i < kind->count; i++) {
		const struct ini_section *s = kind->sections[i];
		fill(b, SCHEMA_ISSUER, s, &all[i]);
		all[i].name = s->name;
		all[i].place = s->place;
		if (str_starts(str_of(all[i].directory), STR("http://")))
			conf_warning(b->errors, ini_find(s, "directory")->place,
				     "directory: http, so everybody on the way "
				     "may read and change what is said");
		if (all[i].timeout_ms < 1000 && ini_find(s, "timeout"))
			conf_error(b->errors, ini_find(s, "timeout")->place,
				   "timeout: at least 1s");
		b->conf->issuer_count = i + 1;
	}
	b->conf->issuers = all;
}

/* 3. resolve */

struct named {
	const char *name;
	struct conf_place place;
};

static int by_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = strcmp(x->place.file, y->place.file);
	return order ? order
		     : (x->place.line > y->place.line) -
			   (x->place.line < y->place.line);
}

static size_t count_names(struct build *b, enum schema_kind kind)
{
	size_t count = 0;

	if (kind == SCHEMA_ISSUER)
		for (size_t i = 0; i < b->conf->issuer_count; i++)
			count += b->conf->issuers[i].challenge.count;
	else
		for (size_t i = 0; i < b->conf->certificate_count; i++)
			count += b->conf->certificates[i].challenge.count;
	return count;
}

static void add_names(struct named *to, size_t *count,
		      const struct conf_list *list, const struct ini_section *s)
{
	const struct ini_entry *entry = ini_find(s, "challenge");

	for (size_t i = 0; i < list->count; i++)
		to[(*count)++] =
		    (struct named){ list->items[i],
				    entry ? entry->place : s->place };
}

/* All challenges that anybody names, sorted. Before certificates inherit. */
static struct named *named_challenges(struct build *b, size_t *count)
{
	const struct kind *issuers = &b->kinds[SCHEMA_ISSUER];
	const struct kind *certs = &b->kinds[SCHEMA_CERTIFICATE];
	size_t room =
	    count_names(b, SCHEMA_ISSUER) + count_names(b, SCHEMA_CERTIFICATE);
	struct named *all = mem_array(room + 1, sizeof(*all));

	*count = 0;
	for (size_t i = 0; i < b->conf->issuer_count; i++)
		add_names(all, count, &b->conf->issuers[i].challenge,
			  issuers->sections[i]);
	for (size_t i = 0; i < b->conf->certificate_count; i++)
		add_names(all, count, &b->conf->certificates[i].challenge,
			  certs->sections[i]);
	qsort(all, *count, sizeof(*all), by_named);
	return all;
}

/* Merges sections and names, both sorted. */
static void build_challenges(struct build *b)
{
	const struct kind *kind = &b->kinds[SCHEMA_CHALLENGE];
	size_t named_count, s = 0, n = 0, count = 0;
	struct named *named = named_challenges(b, &named_count);
	struct conf_challenge *all =
	    take(b, kind->count + named_count, sizeof(*all));

	while (all && (s < kind->count || n < named_count)) {
		int order = s == kind->count   ? 1
			    : n == named_count ? -1
					       : strcmp(kind->sections[s]->name,
							named[n].name);
		struct conf_challenge *c = &all[count++];
		if (order <= 0) {
			c->name = kind->sections[s]->name;
			c->place = kind->sections[s]->place;
			fill(b, SCHEMA_CHALLENGE, kind->sections[s], c);
			c->options =
			    fill_raws(b, SCHEMA_CHALLENGE, kind->sections[s++]);
		} else {
			*c = (struct conf_challenge){ .name = named[n].name,
						      .plugin = named[n].name,
						      .implicit = true,
						      .place = named[n].place };
		}
		while (n < named_count && !strcmp(named[n].name, c->name))
			n++;
	}
	b->conf->challenges = all;
	b->conf->challenge_count = count;
	free(named);
}

static void unknown_issuer(struct build *b, struct conf_place place,
			   const char *what, const char *name)
{
	struct schema_near near = { 0 };

	for (size_t i = 0; i < b->conf->issuer_count; i++)
		schema_near(&near, str_of(name), b->conf->issuers[i].name);
	conf_error(b->errors, place, "%s: there is no [issuer %s]%s%s%s", what,
		   name, near.name ? "; is '" : "", near.name ? near.name : "",
		   near.name ? "' meant?" : "");
}

/* The only issuer of that file, or NULL. */
static const struct conf_issuer *issuer_of_file(struct build *b,
						const char *file, size_t *count)
{
	const struct conf_issuer *found = NULL;

	*count = 0;
	for (size_t i = 0; i < b->conf->issuer_count; i++) {
		if (strcmp(b->conf->issuers[i].place.file, file))
			continue;
		found = &b->conf->issuers[i];
		++*count;
	}
	return *count == 1 ? found : NULL;
}

static void resolve_issuer(struct build *b, const struct ini_section *s,
			   struct conf_certificate *cert, const char *name)
{
	const struct ini_entry *entry = ini_find(s, "issuer");
	size_t count;

	if (entry && !*name)
		return; /* was complained about */
	if (entry) {
		cert->issuer = conf_issuer(b->conf, name);
		if (!cert->issuer)
			unknown_issuer(b, entry->place, "issuer", name);
		return;
	}
	cert->issuer = issuer_of_file(b, s->place.file, &count);
	if (!cert->issuer)
		conf_error(b->errors, s->place,
			   "[certificate %s] needs 'issuer': this file has "
			   "%s issuer",
			   s->name, count ? "more than one" : "no");
}

static void default_names(struct build *b, const struct ini_section *s,
			  struct conf_certificate *cert)
{
	char name[CONF_NAME_MAX];
	struct err e = { 0 };
	const char **items;

	if (ini_find(s, "names"))
		return;
	if (conf_name_check(str_of(s->name), name, &e)) {
		conf_error(b->errors, s->place,
			   "[certificate %s] needs 'names', because its own "
			   "name is no host name",
			   s->name);
		return;
	}
	if (!(items = take(b, 1, sizeof(*items))))
		return;
	items[0] = keep(b, name);
	cert->names = (struct conf_list){ items, 1 };
}

/* The schema's `issuer` is a text, the member a pointer; it is read here. */
static void build_certificates(struct build *b)
{
	const struct kind *kind = &b->kinds[SCHEMA_CERTIFICATE];
	struct conf_certificate *all = take(b, kind->count, sizeof(*all));

	for (size_t i = 0; all && i < kind->count; i++) {
		const struct ini_section *s = kind->sections[i];
		const char *issuer;
		fill(b, SCHEMA_CERTIFICATE, s, &all[i]);
		memcpy(&issuer, &all[i].issuer, sizeof(issuer));
		all[i].issuer = NULL;
		all[i].name = s->name;
		all[i].place = s->place;
		resolve_issuer(b, s, &all[i], issuer);
		default_names(b, s, &all[i]);
		b->conf->certificate_count = i + 1;
	}
	b->conf->certificates = all;
}

static void inherit(struct build *b)
{
	const struct kind *kind = &b->kinds[SCHEMA_CERTIFICATE];
	struct conf_certificate *all =
	    (struct conf_certificate *)b->conf->certificates;

	for (size_t i = 0; i < b->conf->certificate_count; i++) {
		struct conf_certificate *c = &all[i];
		if (!c->issuer)
			continue;
		if (!c->challenge.count)
			c->challenge = c->issuer->challenge;
		if (!c->key.count)
			c->key = c->issuer->key;
		if (!ini_find(kind->sections[i], "renew"))
			c->renew = c->issuer->renew;
	}
}

/* Two certificates in one folder would take turns in the same files. */
static void check_exports(struct build *b)
{
	const struct kind *kind = &b->kinds[SCHEMA_CERTIFICATE];
	struct named *all = mem_array(kind->count + 1, sizeof(*all));
	size_t count = 0;

	for (size_t i = 0; i < b->conf->certificate_count; i++)
		if (*b->conf->certificates[i].export_dir)
			all[count++] = (struct named){
			    b->conf->certificates[i].export_dir,
			    ini_find(kind->sections[i], "export")->place };
	qsort(all, count, sizeof(*all), by_named);
	for (size_t i = 1; i < count; i++)
		if (!strcmp(all[i].name, all[i - 1].name))
			conf_error(b->errors, all[i].place,
				   "export: this folder stands in %s:%u, too",
				   all[i - 1].place.file, all[i - 1].place.line);
	free(all);
}

static void check_nginx(struct build *b)
{
	const struct kind *kind = &b->kinds[SCHEMA_NGINX];

	for (size_t i = 0; i < b->conf->nginx_count; i++) {
		const struct conf_nginx *nginx = &b->conf->nginx[i];
		for (size_t j = 0; j < nginx->issuers.count; j++) {
			const char *name = nginx->issuers.items[j];
			size_t at = i + kind->count - b->conf->nginx_count;
			if (*name && !conf_issuer(b->conf, name))
				unknown_issuer(
				    b,
				    ini_find(kind->sections[at], "issuers")
					->place,
				    "issuers", name);
		}
	}
}

void build_conf(struct conf *conf, const struct ini *ini, struct arena *mem,
		struct conf_errors *errors)
{
	struct build b = { .conf = conf, .mem = mem, .errors = errors };

	sort_sections(&b, ini);
	build_agent(&b);
	build_storage(&b);
	build_nginx(&b);
	build_issuers(&b);
	build_certificates(&b);
	build_challenges(&b);
	inherit(&b);
	check_exports(&b);
	check_nginx(&b);
	for (int i = 0; i < SCHEMA_KINDS; i++)
		free(b.kinds[i].sections);
}
