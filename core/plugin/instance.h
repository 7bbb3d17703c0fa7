/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <acme/plugin.h>

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"
#include "plugin/plugin.h"

/*
 * An instance is a section of the INI file that names a plugin; an operation is
 * one question to it. Everything here is called on the loop's thread.
 *
 * Operations start at once and are answered later: `fn` runs exactly once, on a
 * later turn of the loop, never within the call, unless op_cancel came first
 * (then never). Whatever goes wrong (closing instance, missing function, too
 * many operations, deadline) arrives as such an answer too, so a caller has one
 * path. Arguments are copied within the call.
 */
struct instance;

/* What the agent does for an instance; any may be NULL (then refused). */
struct instance_hooks {
	void *arg;
	/* Shows, or with value.ptr NULL withdraws. `kind` is ACME_PUBLISH_*;
	 * name and value are those of the operation's own challenge. */
	int (*publish)(void *arg, uint32_t kind, struct str name,
		       struct str value, struct err *e);
};

struct instance_spec {
	const char *plugin;       /* its name */
	const char *name;         /* of the section; "" for [storage] */
	struct conf_place place;  /* where the section begins */
	struct conf_raws options; /* its lines, without `plugin` itself */
	struct instance_hooks hooks;
	bool must_challenge, must_storage; /* what the section is for */
};

/* Loads the plugin, checks the options against its schema, resolves secrets,
 * opens. Nothing in `spec` is kept but hooks. Errors say file:line of the
 * option at fault, what was expected and the nearest known name. */
int instance_open(struct plugins *p, const struct instance_spec *spec,
		  struct instance **out, struct err *e);

/* Only the checks, without opening: for `acme-agent -t`. Secrets are read. All
 * that is wrong is added to `errors`; 0 or ERR_INVALID. */
int instance_check(struct plugins *p, const struct instance_spec *spec,
		   struct conf_errors *errors);

/* Takes no more operations, lets those in flight end within `drain_ms` (0: they
 * are cancelled now), closes, frees, then calls fn (may be NULL) on the loop.
 * Their callbacks run before that, as ERR_CANCELED where they were cut off. */
typedef void instance_closed_fn(void *arg);
void instance_close(struct instance *i, uint32_t drain_ms,
		    instance_closed_fn *fn, void *arg);

const char *instance_name(const struct instance *i);
const struct plugin *instance_plugin(const struct instance *i);
/* Operations in flight. */
size_t instance_busy(const struct instance *i);

/* ---- answers ---- */

/* An entry that a storage plugin emitted; all borrowed until fn returns. Value
 * and version are NUL-terminated beyond their length. */
struct op_entry {
	uint32_t flags; /* ACME_ENTRY_DELETED, _RESYNC; never _END */
	struct str key, value, version;
};

struct op_result {
	enum err_code code;
	uint32_t retry_ms; /* not before; 0: by policy */
	const char *text;  /* the plugin's words, printable; "" */
	struct str cookie; /* present: keep it for cleanup */
	const struct op_entry *entries;
	size_t count;
	struct str cursor; /* list: the next call's; empty: complete */
	struct str point;  /* list: for watch; empty: unknown */
	uint32_t took_ms;
};

typedef void op_fn(void *arg, const struct op_result *res);

/* The answer as an error, in front of it "challenge hetzner (dns-rest)";
 * retry_at is set from retry_ms. Returns the code, 0 if it was ERR_OK. */
int op_err(const struct instance *i, const struct op_result *res,
	   struct err *e);

/* fn will not run; the plugin is told to stop. A stale handle is ignored. */
void op_cancel(acme_op op);

/* ---- challenge ---- */

/* Of `c` everything is copied; `c->size` need not be set. */
acme_op instance_present(struct instance *i, const acme_challenge *c,
			 uint32_t deadline_ms, op_fn *fn, void *arg);
acme_op instance_cleanup(struct instance *i, const acme_challenge *c,
			 uint32_t deadline_ms, op_fn *fn, void *arg);

/* ---- storage ---- */

/* For `expect`: whatever is there. (struct str){"", 0} means create only. */
#define EXPECT_ANY  ((struct str){ NULL, 0 })
#define EXPECT_NONE ((struct str){ "", 0 })

/* entries[0] is the value; ERR_ABSENT if there is none. */
acme_op instance_get(struct instance *i, struct str key, uint32_t deadline_ms,
		     op_fn *fn, void *arg);
/* entries[0].version is the new version; ERR_CONFLICT if `expect` is not. */
acme_op instance_put(struct instance *i, struct str key, struct str value,
		     struct str expect, uint32_t deadline_ms, op_fn *fn,
		     void *arg);
acme_op instance_del(struct instance *i, struct str key, struct str expect,
		     uint32_t deadline_ms, op_fn *fn, void *arg);

struct list_query {
	struct str prefix, cursor;
	uint32_t limit; /* entries at most; 0: the plugin's own choice */
	bool with_values;
};
acme_op instance_list(struct instance *i, const struct list_query *q,
		      uint32_t deadline_ms, op_fn *fn, void *arg);

/* entries[0].version is the lease. */
acme_op instance_lock(struct instance *i, struct str name, uint32_t lease_ms,
		      uint32_t deadline_ms, op_fn *fn, void *arg);
acme_op instance_renew(struct instance *i, struct str name, struct str lease,
		       uint32_t lease_ms, uint32_t deadline_ms, op_fn *fn,
		       void *arg);
acme_op instance_unlock(struct instance *i, struct str name, struct str lease,
			uint32_t deadline_ms, op_fn *fn, void *arg);

/* Changes arrive by `change`, as often as they come; `fn` says once why they
 * stopped coming: list and watch again. No deadline; ends by op_cancel. */
typedef void watch_fn(void *arg, const struct op_entry *entry);
acme_op instance_watch(struct instance *i, struct str prefix, struct str point,
		       watch_fn *change, op_fn *fn, void *arg);
