/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the files, then the snapshot, then nobody changes it any more.
 *
 * A snapshot lies in one arena, whose first block it is not: the arena's head,
 * the count of references and the snapshot are one allocation, so that a
 * pointer to the snapshot is all that anybody carries around.
 */
#include "conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "conf/build.h"
#include "conf/ini.h"
#include "conf/value.h"

enum { CONF_MEMORY_MAX = 256 << 20 };

struct holder {
	struct conf conf; /* first: what others see */
	struct arena mem;
	unsigned refs;
};

static int wanted(const struct dirent *entry)
{
	struct str name = str_of(entry->d_name);

	return name.len > 4 && *name.ptr != '.' &&
	       !strcmp(name.ptr + name.len - 4, ".ini");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Reads what is in conf.d beside the main file; there need not be one. */
static void read_folder(struct ini *ini, const char *path,
			struct conf_errors *errors)
{
	const char *slash = strrchr(path, '/');
	char *folder =
	    mem_printf("%.*sconf.d", slash ? (int)(slash - path) + 1 : 0, path);
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, wanted, by_bytes);

	if (count < 0 && errno != ENOENT)
		conf_error(errors, (struct conf_place){ 0 }, "%s: %s", folder,
			   strerror(errno));
	for (int i = 0; i < count; i++) {
		const char *file =
		    arena_printf(ini->mem, "%s/%s", folder, entries[i]->d_name);
		if (file)
			ini_read(ini, file, errors);
		free(entries[i]);
	}
	free(entries);
	free(folder);
}

int conf_load(const char *path, struct conf **out, struct conf_errors *errors)
{
	struct holder *holder = mem_alloc(sizeof(*holder));
	size_t before = errors->errors;

	*out = NULL;
	holder->refs = 1;
	holder->mem = ARENA_INIT(CONF_MEMORY_MAX);
	holder->conf.path = arena_strdup(&holder->mem, path);
	struct ini ini = INI_INIT(&holder->mem);
	ini_read(&ini, holder->conf.path, errors);
	read_folder(&ini, path, errors);
	build_conf(&holder->conf, &ini, &holder->mem, errors);
	if (errors->errors > before) {
		conf_unref(&holder->conf);
		return ERR_INVALID;
	}
	*out = &holder->conf;
	return 0;
}

struct conf *conf_ref(struct conf *conf)
{
	((struct holder *)conf)->refs++;
	return conf;
}

void conf_unref(struct conf *conf)
{
	struct holder *holder = (struct holder *)conf;

	if (!holder || --holder->refs)
		return;
	arena_reset(&holder->mem);
	free(holder);
}

/* All arrays are sorted by name, and a name is each struct's first member. */
static int compare(const void *name, const void *item)
{
	return strcmp(name, *(const char *const *)item);
}

static const void *find(const char *name, const void *items, size_t count,
			size_t size)
{
	return count ? bsearch(name, items, count, size, compare) : NULL;
}

#define FIRST(type)                                                            \
	_Static_assert(offsetof(struct type, name) == 0, "name comes first")
FIRST(conf_issuer);
FIRST(conf_challenge);
FIRST(conf_certificate);
FIRST(conf_nginx);

const struct conf_issuer *conf_issuer(const struct conf *c, const char *name)
{
	return find(name, c->issuers, c->issuer_count, sizeof(*c->issuers));
}

const struct conf_challenge *conf_challenge(const struct conf *c,
					    const char *name)
{
	return find(name, c->challenges, c->challenge_count,
		    sizeof(*c->challenges));
}

const struct conf_certificate *conf_certificate(const struct conf *c,
						const char *name)
{
	return find(name, c->certificates, c->certificate_count,
		    sizeof(*c->certificates));
}

const struct conf_nginx *conf_nginx(const struct conf *c, const char *name)
{
	return find(name, c->nginx, c->nginx_count, sizeof(*c->nginx));
}

static void boot_take(const struct ini_section *agent, const char *key,
		      char *out, size_t size)
{
	const struct ini_entry *entry = agent ? ini_find(agent, key) : NULL;
	struct err e = { 0 };

	if (!entry || strlen(entry->value) >= size)
		return;
	if (strstr(key, "_dir") ? value_path(str_of(entry->value), &e)
				: conf_label_check(str_of(entry->value), &e))
		return;
	snprintf(out, size, "%s", entry->value);
}

void conf_boot(const char *path, struct conf_boot *out)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct arena mem = ARENA_INIT(CONF_MEMORY_MAX);
	struct ini ini = INI_INIT(&mem);
	const struct ini_section *agent;

	*out = (struct conf_boot){ .run_dir = CONF_RUN_DIR,
				   .state_dir = CONF_STATE_DIR };
	ini_read(&ini, path, &errors);
	read_folder(&ini, path, &errors);
	for (agent = ini.sections; agent; agent = agent->next)
		if (!strcmp(agent->kind, "agent"))
			break;
	boot_take(agent, "run_dir", out->run_dir, sizeof(out->run_dir));
	boot_take(agent, "state_dir", out->state_dir, sizeof(out->state_dir));
	boot_take(agent, "user", out->user, sizeof(out->user));
	boot_take(agent, "group", out->group, sizeof(out->group));
	conf_errors_free(&errors);
	arena_reset(&mem);
}
