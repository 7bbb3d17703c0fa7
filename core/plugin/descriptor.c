/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the descriptor of a plugin as what it is: a foreign structure of an
 * unknown age. The smaller of both sizes is copied into a zeroed one of ours,
 * so that an older plugin has NULL where we have learned more since, and what a
 * newer one says beyond our knowledge is not looked at. After that come the
 * checks, once, so that nobody else has to be careful.
 *
 * The rules, with names, are in docs/plugin-abi.md.
 */
#include "plugin/descriptor.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plugin/option.h"

enum { NAME_MAX_LEN = 63, OPTIONS_MAX = 64 };

/* The size of the first descriptor that ever was: none is smaller. */
#define SIZE_FIRST (offsetof(acme_plugin, storage) + sizeof(void *))

void descriptor_copy(void *dst, size_t size, const void *src)
{
	uint32_t theirs, both;

	memcpy(&theirs, src, sizeof theirs);
	both = theirs < size ? theirs : (uint32_t)size;
	memset(dst, 0, size);
	memcpy(dst, src, both);
	memcpy(dst, &both, sizeof both);
}

int descriptor_name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len > 0 && len <= NAME_MAX_LEN && *name != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int check_version(const acme_plugin *d, struct err *e)
{
	if (d->abi_major != ACME_ABI_MAJOR)
		return err_set(e, ERR_INVALID,
			       "has plugin ABI %u, this agent has %u",
			       d->abi_major, ACME_ABI_MAJOR);
	if (d->abi_minor > ACME_ABI_MINOR)
		return err_set(
		    e, ERR_INVALID, "needs agent ABI %u.%u, this one has %u.%u",
		    d->abi_major, d->abi_minor, ACME_ABI_MAJOR, ACME_ABI_MINOR);
	return 0;
}

static int check_words(const acme_plugin *d, const char *name, struct err *e)
{
	if (!d->name || strcmp(d->name, name) != 0)
		return err_set(e, ERR_BROKEN, "calls itself '%.63s'",
			       d->name ? d->name : "");
	if (!d->version || !*d->version || strlen(d->version) > NAME_MAX_LEN)
		return err_set(e, ERR_BROKEN, "does not say its version");
	if (!d->open || !d->close)
		return err_set(e, ERR_BROKEN, "lacks open or close");
	if (!d->challenge && !d->storage)
		return err_set(e, ERR_BROKEN,
			       "is neither for challenges nor for storage");
	return 0;
}

static int take_challenge(const acme_plugin *d, struct plugin *out,
			  struct err *e)
{
	const uint32_t known = ACME_HTTP_01 | ACME_DNS_01 | ACME_TLS_ALPN_01;

	if (!d->challenge)
		return 0;
	acme_challenge_ops *ops = mem_alloc(sizeof *ops);
	out->challenge = ops;
	descriptor_copy(ops, sizeof *ops, d->challenge);
	ops->types &= known;
	if (!ops->types)
		return err_set(e, ERR_BROKEN,
			       "names no challenge type that we know");
	if (!ops->present || !ops->cleanup)
		return err_set(e, ERR_BROKEN, "lacks present or cleanup");
	if (ops->lock_scope > ACME_SCOPE_ACCOUNT)
		ops->lock_scope = ACME_SCOPE_ACCOUNT; /* unknown: be careful */
	return 0;
}

static int take_storage(const acme_plugin *d, struct plugin *out, struct err *e)
{
	if (!d->storage)
		return 0;
	acme_storage_ops *ops = mem_alloc(sizeof *ops);
	out->storage = ops;
	descriptor_copy(ops, sizeof *ops, d->storage);
	ops->caps &= ACME_STORE_CAS | ACME_STORE_LOCK | ACME_STORE_WATCH |
		     ACME_STORE_LOCAL;
	if (!ops->get || !ops->put || !ops->del || !ops->list)
		return err_set(e, ERR_BROKEN, "lacks get, put, del or list");
	if (!(ops->caps & ACME_STORE_CAS))
		return err_set(e, ERR_BROKEN,
			       "cannot compare and set, which we depend on");
	if ((ops->caps & ACME_STORE_LOCK) &&
	    (!ops->lock || !ops->renew || !ops->unlock))
		return err_set(
		    e, ERR_BROKEN,
		    "lacks lock, renew or unlock, but promises them");
	if ((ops->caps & ACME_STORE_WATCH) && !ops->watch)
		return err_set(e, ERR_BROKEN, "lacks watch, but promises it");
	return 0;
}

static int check_option(const struct acme_option *list, size_t at,
			struct err *e)
{
	const struct acme_option *o = &list[at];
	struct option_value value = { 0 };
	struct err why;
	int rc = 0;

	if (!option_name_ok(o->name))
		return err_set(e, ERR_BROKEN, "has a bad option name '%.63s'",
			       o->name ? o->name : "");
	for (size_t i = 0; i < at; i++)
		if (!strcmp(list[i].name, o->name))
			return err_set(e, ERR_BROKEN, "has option '%s' twice",
				       o->name);
	if (o->type < ACME_STR || o->type > ACME_SECRET)
		return err_set(e, ERR_BROKEN,
			       "option '%s' has a type that we do not know",
			       o->name);
	if (!o->help || !*o->help)
		return err_set(e, ERR_BROKEN, "option '%s' has no help",
			       o->name);
	if (!o->fallback)
		return 0;
	if (o->type == ACME_SECRET || (o->flags & ACME_REQUIRED))
		rc = err_set(e, ERR_BROKEN, "option '%s' has a fallback",
			     o->name);
	else if (option_parse(o->type, o->fallback, &value, &why) < 0)
		rc = err_set(e, ERR_BROKEN, "fallback of option '%s': %.300s",
			     o->name, why.text);
	option_value_free(&value);
	return rc;
}

static int take_options(const acme_plugin *d, struct plugin *out, struct err *e)
{
	size_t count = 0;

	while (d->options && d->options[count] && count <= OPTIONS_MAX)
		count++;
	if (count > OPTIONS_MAX)
		return err_set(e, ERR_BROKEN, "has over %d options",
			       OPTIONS_MAX);
	acme_option *list = mem_array(count + 1, sizeof *list);
	out->options = list;
	out->option_count = count;
	for (size_t i = 0; i < count; i++) {
		descriptor_copy(&list[i], sizeof list[i], d->options[i]);
		int rc = check_option(list, i, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take(const acme_plugin *d, const char *name, struct plugin *out,
		struct err *e)
{
	int rc = check_version(d, e);

	if (rc == 0)
		rc = check_words(d, name, e);
	if (rc == 0)
		rc = take_challenge(d, out, e);
	if (rc == 0)
		rc = take_storage(d, out, e);
	if (rc == 0)
		rc = take_options(d, out, e);
	return rc;
}

int descriptor_take(const acme_plugin *theirs, const char *name,
		    struct plugin *out, struct err *e)
{
	acme_plugin d;

	memset(out, 0, sizeof *out);
	if (!theirs)
		return err_set(e, ERR_BROKEN, "gives no descriptor");
	descriptor_copy(&d, sizeof d, theirs);
	if (d.size < SIZE_FIRST)
		return err_set(e, ERR_BROKEN, "has a descriptor of %u bytes",
			       d.size);
	int rc = take(&d, name, out, e);
	if (rc < 0) {
		descriptor_drop(out);
		return rc;
	}
	out->name = d.name;
	out->version = d.version;
	out->about = d.about ? d.about : "";
	out->abi_major = d.abi_major;
	out->abi_minor = d.abi_minor;
	out->open = d.open;
	out->close = d.close;
	out->cancel = d.cancel;
	return 0;
}

void descriptor_drop(struct plugin *p)
{
	free((void *)(uintptr_t)p->challenge);
	free((void *)(uintptr_t)p->storage);
	free((void *)(uintptr_t)p->options);
	memset(p, 0, sizeof *p);
}
