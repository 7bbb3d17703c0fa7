/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance in a host: from the descriptor to `open`, and from `close` to the
 * last look at what it left behind.
 */
#include "inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Unix milliseconds at which the clock of each kit begins: 2026-01-01. */
#define BEGINNING 1767225600000

/* ---- the descriptor ---- */

/* The smaller of both sizes, the rest zero. */
static void take(void *to, size_t size, const void *from)
{
	uint32_t theirs;

	memset(to, 0, size);
	memcpy(&theirs, from, sizeof theirs);
	memcpy(to, from, theirs < size ? theirs : size);
}

static bool name_ok(const char *s, const char *chars)
{
	size_t len = s ? strlen(s) : 0;

	return len > 0 && len <= 63 && strspn(s, chars) == len;
}

static int version(const acme_plugin *p, kit_report *r)
{
	const size_t first = offsetof(acme_plugin, storage) + sizeof(void *);

	if (p->size < first) {
		kit_report_add(r, "version-size",
			       "the descriptor says that it has %u bytes",
			       (unsigned)p->size);
		return -1;
	}
	if (p->abi_major != ACME_ABI_MAJOR) {
		kit_report_add(r, "version-symbol",
			       "abi_major is %u, the symbol says %u",
			       p->abi_major, ACME_ABI_MAJOR);
		return -1;
	}
	if (p->abi_minor > ACME_ABI_MINOR) {
		kit_report_add(r, "version-minor",
			       "needs agent ABI %u.%u, this is %u.%u",
			       p->abi_major, p->abi_minor, ACME_ABI_MAJOR,
			       ACME_ABI_MINOR);
		return -1;
	}
	return 0;
}

static void words(const acme_plugin *p, kit_report *r)
{
	if (!name_ok(p->name, "abcdefghijklmnopqrstuvwxyz0123456789-") ||
	    *p->name == '-')
		kit_report_add(r, "load-name", "'%s' is no name of a plugin",
			       p->name ? p->name : "");
	if (!p->version || !*p->version || strlen(p->version) > 63)
		kit_report_add(r, "descriptor-complete",
			       "does not say its version");
	if (!p->about || !*p->about)
		kit_report_add(r, "descriptor-complete",
			       "does not say what it is about");
}

static void option(const acme_option *const *list, size_t at, kit_report *r)
{
	const acme_option *o = list[at];
	const char *rule = "descriptor-options";

	if (o->size < sizeof *o) {
		kit_report_add(r, "version-size", "option %zu says %u bytes",
			       at, (unsigned)o->size);
		return;
	}
	if (!name_ok(o->name, "abcdefghijklmnopqrstuvwxyz0123456789_") ||
	    *o->name < 'a' || !strcmp(o->name, "plugin")) {
		kit_report_add(r, rule, "'%s' is no name of an option",
			       o->name ? o->name : "");
		return;
	}
	for (size_t i = 0; i < at; i++)
		if (list[i]->name && !strcmp(list[i]->name, o->name))
			kit_report_add(r, rule, "option '%s' is there twice",
				       o->name);
	if (o->type < ACME_STR || o->type > ACME_SECRET)
		kit_report_add(r, rule, "option '%s' has an unknown type",
			       o->name);
	if (!o->help || !*o->help)
		kit_report_add(r, rule, "option '%s' has no help", o->name);
	if (o->fallback &&
	    (o->type == ACME_SECRET || (o->flags & ACME_REQUIRED)))
		kit_report_add(r, rule, "option '%s' must have no fallback",
			       o->name);
}

static int tables(const acme_plugin *p, kit_report *r)
{
	const char *rule = "descriptor-complete";
	acme_challenge_ops c = { 0 };
	acme_storage_ops s = { 0 };
	size_t before = kit_report_count(r);

	if (!p->open || !p->close)
		kit_report_add(r, rule, "open or close is missing");
	if (!p->challenge && !p->storage)
		kit_report_add(r, rule, "neither for challenges nor storage");
	if (p->challenge)
		take(&c, sizeof c, p->challenge);
	if (p->storage)
		take(&s, sizeof s, p->storage);
	if (p->challenge && (!c.present || !c.cleanup || !(c.types & 7)))
		kit_report_add(r, rule,
			       "present, cleanup or a type is missing");
	if (p->storage && (!s.get || !s.put || !s.del || !s.list))
		kit_report_add(r, rule, "get, put, del or list is missing");
	if (p->storage && !(s.caps & ACME_STORE_CAS))
		kit_report_add(r, "store-cas", "ACME_STORE_CAS is missing");
	if (p->storage && (((s.caps & ACME_STORE_LOCK) &&
			    (!s.lock || !s.renew || !s.unlock)) ||
			   ((s.caps & ACME_STORE_WATCH) && !s.watch)))
		kit_report_add(r, rule, "caps promise what is not there");
	return kit_report_count(r) == before ? 0 : -1;
}

int kit_descriptor(const acme_plugin *p, kit_report *r)
{
	size_t before;

	if (!p) {
		kit_report_add(r, "descriptor-complete", "there is none");
		return -1;
	}
	if (version(p, r) < 0)
		return -1;
	words(p, r);
	before = kit_report_count(r);
	for (size_t i = 0; p->options && p->options[i]; i++)
		option(p->options, i, r);
	if (kit_report_count(r) != before)
		return -1;
	return tables(p, r);
}

/* ---- open ---- */

static int prepare(kit *k, const kit_setup *setup)
{
	take(&k->plugin, sizeof k->plugin, setup->plugin);
	if (k->plugin.challenge)
		take(&k->challenge, sizeof k->challenge, k->plugin.challenge);
	if (k->plugin.storage)
		take(&k->storage, sizeof k->storage, k->plugin.storage);
	k->now = BEGINNING;
	k->loop = pthread_self();
	pthread_mutex_init(&k->lock, NULL);
	if (pipe2(k->wake, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	host_fill(k);
	host_enlist(k);
	k->root = call_new(k, CALL_ROOT, NULL, "open");
	if (setup->tape && !(k->tape = tape_open(setup->tape, k->report)))
		return -1;
	return options_read(k, setup);
}

static void release(kit *k)
{
	host_strike(k);
	while (k->calls) {
		struct kit_call *c = k->calls;
		k->calls = c->next;
		call_free(c);
	}
	while (k->posts) {
		struct service *s = k->posts;
		k->posts = s->next;
		free(s);
	}
	lents_free(&k->ended);
	lents_free(&k->option_text);
	lents_free(&k->borrowed);
	lents_free(&k->secrets);
	for (int i = 0; i < KIT_PUBLISHED; i++) {
		free(k->published[i][0]);
		free(k->published[i][1]);
	}
	tape_free(k->tape);
	options_free(k);
	free(k->log.ptr);
	close(k->wake[0]);
	close(k->wake[1]);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

kit *kit_open(const kit_setup *setup, kit_report *r)
{
	kit *k;

	if (kit_descriptor(setup->plugin, r) < 0)
		return NULL;
	lent_arm();
	k = kit_mem(sizeof *k);
	k->report = r;
	k->theirs = setup->plugin;
	if (prepare(k, setup) < 0) {
		release(k);
		return NULL;
	}
	k->process = process_look(setup->plugin);
	k->opening = true;
	kit_enter(k, k->root, "open");
	acme_status st = k->plugin.open(&k->host, k->root->op, &k->self);
	kit_leave(k);
	k->opening = false;
	if (st == ACME_OK) {
		process_opened(k->process);
		return k;
	}
	kit_report_add(r, "kit-setup", "open failed with status %d: %s",
		       (int)st, k->open_text);
	call_drop(k->root);
	k->root->live = false;
	kit_join(k);
	process_compare(k->process, setup->plugin, r);
	release(k);
	return NULL;
}

void kit_cancel(kit *k, kit_call *call)
{
	(void)k;
	call_end(call);
	call->tell_cancel = false;
}

void kit_close(kit *k)
{
	struct process *process;

	if (!k)
		return;
	for (struct kit_call *c = k->calls; c; c = c->next)
		if (c->kind == CALL_ONE || c->kind == CALL_WATCH)
			call_end(c);
	call_drop(k->root);
	kit_join(k);
	kit_enter(k, k->root, "close");
	k->plugin.close(k->self);
	kit_leave(k);
	k->root->live = false;
	lents_end(&k->option_text, &k->ended);
	process = k->process;
	process_compare(process, k->theirs, k->report);
	lent_look(k->report, "close");
	release(k);
}

void kit_fail(kit *k, uint32_t what, uint32_t n)
{
	k->fail = n ? what : 0;
	k->fail_at = n;
	k->fail_count = 0;
	k->failed = k->failed_delete = false;
}

int kit_failed(const kit *k)
{
	return k->failed;
}

const char *kit_log(const kit *k)
{
	return k->log.ptr ? k->log.ptr : "";
}
