/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <acme/plugin.h>

#include "base/err.h"
#include "base/log.h"

/*
 * Shared objects in one folder, known by name: NAME.so is loaded when NAME is
 * first asked for and never unloaded. All on the loop's thread; loading reads
 * files, so it belongs to start and reload.
 */
struct http_client;
struct loop;
struct plugins;

/* One plugin, loaded and checked. Lives as long as the process. The tables are
 * copies of ours: functions that the plugin does not have are NULL, members
 * that are newer than the plugin are 0. */
struct plugin {
	const char *name, *version, *about;
	const char *file;
	unsigned abi_major, abi_minor;
	const struct acme_option *options;
	size_t option_count;
	acme_status (*open)(const acme_host *host, acme_op root, void **self);
	void (*close)(void *self);
	void (*cancel)(void *self, acme_op op); /* may be NULL */
	const acme_challenge_ops *challenge;    /* NULL: it is none */
	const acme_storage_ops *storage;
};

struct plugins_setup {
	struct loop *loop;
	struct http_client *http; /* for the service; NULL: it is refused */
	const struct log *log;    /* outlives the plugins */
	const char *dir;          /* copied */
	uid_t owner; /* who may own files beside root: our own uid */
};

struct plugins *plugins_new(const struct plugins_setup *setup);

/* After all instances are closed and op callbacks ran. What was loaded stays
 * loaded. NULL is accepted. */
void plugins_free(struct plugins *p);

/* The folder of reloads from now on; what is loaded stays. */
void plugins_set_dir(struct plugins *p, const char *dir);

/* The plugin of that name, loading it if needed. ERR_INVALID for a name that
 * can be none and a plugin of another ABI, ERR_ABSENT if there is no such file
 * (with the folder, and the nearest name there), ERR_DENIED if it is not
 * trusted, ERR_BROKEN if it is no plugin or its descriptor is wrong. */
int plugins_find(struct plugins *p, const char *name, const struct plugin **out,
		 struct err *e);

/* Each NAME.so in the folder, in order of names: `plugin`, or NULL and why. */
typedef void plugins_list_fn(void *arg, const char *name,
			     const struct plugin *plugin,
			     const struct err *why);
int plugins_list(struct plugins *p, plugins_list_fn *fn, void *arg,
		 struct err *e);

/* "http-01 dns-01" and "cas lock watch" for people; returns `out`. */
char *plugin_challenge_types(const struct plugin *p, char *out, size_t size);
char *plugin_storage_caps(const struct plugin *p, char *out, size_t size);
