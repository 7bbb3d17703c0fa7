/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which plugins there are: shared objects in one folder, loaded by name.
 *
 * A plugin is code that runs with our rights, so its file and the folders above
 * must belong to root or to us. It is bound at once (a missing symbol is an
 * error now, not in a year) and into a scope of its own (two plugins may carry
 * the same helper). One that was accepted is never unloaded, because nothing
 * can tell whether a thread, a destructor or a callback of it is still alive.
 *
 * What it does not do: talk to plugins. That is instance.c and host.c.
 */
#include "plugin/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "plugin/descriptor.h"
#include "plugin/op.h"
#include "plugin/plugins.h"

typedef const acme_plugin *entry_fn(void);

struct plugins *plugins_new(const struct plugins_setup *setup)
{
	struct plugins *p = mem_alloc(sizeof *p);

	p->loop = setup->loop;
	p->http = setup->http;
	p->owner = setup->owner;
	p->dir = mem_strdup(setup->dir);
	log_init(&p->log, setup->log, "plugin", NULL);
	host_here();
	return p;
}

void plugins_free(struct plugins *p)
{
	if (!p)
		return;
	while (p->loaded) {
		struct loaded *l = p->loaded;
		p->loaded = l->next;
		free((void *)(uintptr_t)l->plugin.file);
		descriptor_drop(&l->plugin);
		free(l);
	}
	free(p->dir);
	free(p);
}

void plugins_set_dir(struct plugins *p, const char *dir)
{
	char *copy = mem_strdup(dir);

	free(p->dir);
	p->dir = copy;
}

/* ---- names in the folder ---- */

/* "NAME.so" -> NAME; NULL for anything else. */
static char *name_of_file(const char *file)
{
	size_t len = strlen(file);
	char *name;

	if (len <= 3 || strcmp(file + len - 3, ".so") != 0)
		return NULL;
	name = mem_strndup(file, len - 3);
	if (!descriptor_name_ok(name)) {
		free(name);
		return NULL;
	}
	return name;
}

static int is_plugin_file(const struct dirent *entry)
{
	char *name = name_of_file(entry->d_name);

	free(name);
	return name != NULL;
}

static int absent(struct plugins *p, const char *name, struct err *e)
{
	struct schema_near near = { 0 };
	struct dirent **files = NULL;
	int count = scandir(p->dir, &files, is_plugin_file, alphasort);

	if (count < 0)
		return err_errno(e, errno, "plugin '%s': folder %s", name,
				 p->dir);
	char **names = mem_array((size_t)count + 1, sizeof *names);
	for (int i = 0; i < count; i++) {
		names[i] = name_of_file(files[i]->d_name);
		schema_near(&near, str_of(name), names[i]);
		free(files[i]);
	}
	err_set(e, ERR_ABSENT, "there is no plugin '%s' in %s%s%s%s", name,
		p->dir, near.name ? "; did you mean '" : "",
		near.name ? near.name : "", near.name ? "'?" : "");
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	free(files);
	return ERR_ABSENT;
}

/* ---- loading ---- */

static entry_fn *symbol(void *object, const char *name)
{
	void *address = dlsym(object, name);
	entry_fn *entry = NULL;

	/* POSIX lets a void * hold a function, ISO C does not */
	memcpy(&entry, &address, sizeof entry);
	return entry;
}

static int no_entry(void *object, struct err *e)
{
	char name[32];

	for (int major = 0; major < 10; major++) {
		snprintf(name, sizeof name, "acme_plugin_v%d", major);
		if (symbol(object, name))
			return err_set(e, ERR_INVALID,
				       "is made for plugin ABI %d, this agent "
				       "has %d",
				       major, ACME_ABI_MAJOR);
	}
	return err_set(e, ERR_BROKEN,
		       "is no plugin: does not export acme_plugin_v%d",
		       ACME_ABI_MAJOR);
}

static int load(struct plugins *p, const char *name, const char *file,
		struct plugin *out, struct err *e)
{
	int rc = file_trusted(file, p->owner, e);

	if (rc < 0)
		return rc;
	void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!object)
		return err_set(e, ERR_BROKEN, "%s", dlerror());
	entry_fn *entry = symbol(object, "acme_plugin_v0");
	rc = entry ? descriptor_take(entry(), name, out, e)
		   : no_entry(object, e);
	if (rc < 0)
		dlclose(object); /* refused: nothing of it was started */
	return rc;
}

static const struct plugin *known(const struct plugins *p, const char *name)
{
	for (const struct loaded *l = p->loaded; l; l = l->next)
		if (!strcmp(l->plugin.name, name))
			return &l->plugin;
	return NULL;
}

int plugins_find(struct plugins *p, const char *name, const struct plugin **out,
		 struct err *e)
{
	*out = NULL;
	if (!descriptor_name_ok(name))
		return err_set(e, ERR_INVALID,
			       "'%.100s' cannot be the name of a plugin: "
			       "expected a-z, 0-9 and -",
			       name ? name : "");
	if ((*out = known(p, name)))
		return 0;
	char *file = mem_printf("%s/%s.so", p->dir, name);
	if (access(file, F_OK) < 0 && errno == ENOENT) {
		free(file);
		return absent(p, name, e);
	}
	struct loaded *l = mem_alloc(sizeof *l);
	if (load(p, name, file, &l->plugin, e) < 0) {
		err_in(e, "plugin '%s'", name);
		free(file);
		free(l);
		return e->code;
	}
	l->plugin.file = file;
	l->next = p->loaded;
	p->loaded = l;
	*out = &l->plugin;
	log_info(&p->log, "loaded", "plugin=%s version=%s", name,
		 l->plugin.version);
	return 0;
}

int plugins_list(struct plugins *p, plugins_list_fn *fn, void *arg,
		 struct err *e)
{
	struct dirent **files = NULL;
	int count = scandir(p->dir, &files, is_plugin_file, alphasort);

	if (count < 0)
		return err_errno(e, errno, "plugin folder %s", p->dir);
	for (int i = 0; i < count; i++) {
		char *name = name_of_file(files[i]->d_name);
		const struct plugin *plugin;
		struct err why;
		if (plugins_find(p, name, &plugin, &why) < 0)
			fn(arg, name, NULL, &why);
		else
			fn(arg, name, plugin, NULL);
		free(name);
		free(files[i]);
	}
	free(files);
	return 0;
}

/* ---- words ---- */

struct word {
	uint32_t bit;
	const char *text;
};

static char *words(uint32_t bits, const struct word *list, size_t count,
		   char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if ((bits & list[i].bit) && len < size) {
			int n = snprintf(out + len, size - len, "%s%s",
					 len ? " " : "", list[i].text);
			len += n > 0 ? (size_t)n : 0;
		}
	return out;
}

char *plugin_challenge_types(const struct plugin *p, char *out, size_t size)
{
	static const struct word TYPES[] = {
		{ ACME_HTTP_01, "http-01" },
		{ ACME_DNS_01, "dns-01" },
		{ ACME_TLS_ALPN_01, "tls-alpn-01" },
	};

	return words(p->challenge ? p->challenge->types : 0, TYPES,
		     sizeof TYPES / sizeof *TYPES, out, size);
}

char *plugin_storage_caps(const struct plugin *p, char *out, size_t size)
{
	static const struct word CAPS[] = {
		{ ACME_STORE_CAS, "cas" },
		{ ACME_STORE_LOCK, "lock" },
		{ ACME_STORE_WATCH, "watch" },
		{ ACME_STORE_LOCAL, "local" },
	};

	return words(p->storage ? p->storage->caps : 0, CAPS,
		     sizeof CAPS / sizeof *CAPS, out, size);
}
