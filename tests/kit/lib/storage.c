/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of storage plugins, as acme/storage.h has it: keys, reading what
 * was written, compare-and-set, lists page by page, leases, watches, a second
 * instance; then each operation with each fault at each place. Everything is
 * below "kit/", but for one value of somebody else that nobody may change.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 256, PAGES_MAX = 100 };

struct run {
	const kit_setup *setup;
	kit_report *report;
	kit *k;
	char version[VERSION]; /* of the last put or lease */
};

#define KEY	"kit/a/value"
#define BESIDE	"kit/ab"
#define OTHER	"kit-other/value"
#define FOREIGN "somebody else's"

/* ---- one operation to its end ---- */

static const kit_result *end(struct run *run, kit_call *call)
{
	kit_run(run->k);
	const kit_result *res = kit_result_of(call);
	if (res->count && res->entries[res->count - 1].version.ptr)
		snprintf(run->version, sizeof run->version, "%s",
			 res->entries[res->count - 1].version.ptr);
	return res;
}

static uint32_t put(struct run *run, const char *key, const char *value,
		    const char *expect)
{
	char was[VERSION];

	snprintf(was, sizeof was, "%s", expect ? expect : "");
	return end(run, kit_put(run->k, key, acme_text(value),
				expect ? was : NULL))
	    ->status;
}

static uint32_t del(struct run *run, const char *key, const char *expect)
{
	return end(run, kit_del(run->k, key, expect))->status;
}

static void check(struct run *run, const char *rule, bool ok, const char *what)
{
	if (!ok)
		kit_report_add(run->report, rule, "%s", what);
}

static bool holds(struct run *run, const char *key, const char *value)
{
	const kit_result *res = end(run, kit_get(run->k, key));

	return res->status == ACME_OK && res->count == 1 &&
	       acme_eq(res->entries[0].value, acme_text(value)) &&
	       acme_eq(res->entries[0].key, acme_text(key));
}

static bool absent(struct run *run, const char *key)
{
	return end(run, kit_get(run->k, key))->status == ACME_ABSENT;
}

/* ---- reading, writing, compare-and-set ---- */

static void compare_and_set(struct run *run)
{
	char first[VERSION], second[VERSION];

	check(run, "store-reads", absent(run, KEY), "get of no key: not ABSENT");
	check(run, "store-cas", put(run, KEY, "one", "") == ACME_OK,
	      "put of a new key with an empty version: not OK");
	snprintf(first, sizeof first, "%s", run->version);
	check(run, "store-cas", *first != '\0', "put emits no version");
	check(run, "store-cas", put(run, KEY, "two", "") == ACME_CONFLICT,
	      "put with an empty version over a value: not CONFLICT");
	check(run, "store-reads", holds(run, KEY, "one"),
	      "get after put does not see it");
	check(run, "store-cas", !strcmp(run->version, first),
	      "get and put disagree about the version");
	check(run, "store-cas", put(run, KEY, "two", first) == ACME_OK,
	      "put with the right version: not OK");
	snprintf(second, sizeof second, "%s", run->version);
	check(run, "store-cas", strcmp(first, second) != 0,
	      "the version did not change with the value");
	check(run, "store-cas", put(run, KEY, "three", first) == ACME_CONFLICT,
	      "put with an old version: not CONFLICT");
	check(run, "store-reads", holds(run, KEY, "two"),
	      "a put that failed changed the value");
	check(run, "store-cas", del(run, KEY, first) == ACME_CONFLICT,
	      "del with an old version: not CONFLICT");
	check(run, "store-cas", put(run, KEY, "four", NULL) == ACME_OK,
	      "put without a version: not OK");
	check(run, "store-reads", holds(run, KEY, "four"),
	      "get after put does not see it");
}

static void deleting(struct run *run)
{
	char version[VERSION];

	check(run, "store-reads", put(run, KEY, "five", NULL) == ACME_OK,
	      "put: not OK");
	snprintf(version, sizeof version, "%s", run->version);
	check(run, "store-cas", del(run, KEY, version) == ACME_OK,
	      "del with the right version: not OK");
	check(run, "store-reads", absent(run, KEY),
	      "get after del: not ABSENT");
	check(run, "store-cas", del(run, KEY, version) == ACME_CONFLICT,
	      "del of no key with a version: not CONFLICT");
	check(run, "store-cas", del(run, KEY, NULL) == ACME_OK,
	      "del of no key without a version: not OK");
}

static void one_value(struct run *run, acme_str value, const char *what)
{
	const kit_result *res = end(run, kit_put(run->k, KEY, value, NULL));

	if (res->status != ACME_OK) {
		kit_report_add(run->report, "store-reads",
			       "put of %s: status %u: %s", what, res->status,
			       res->text);
		return;
	}
	res = end(run, kit_get(run->k, KEY));
	if (res->status != ACME_OK || res->count != 1 ||
	    !acme_eq(res->entries[0].value, value))
		kit_report_add(run->report, "store-reads",
			       "%s does not come back as it was", what);
}

static void values(struct run *run)
{
	char *large = kit_mem(ACME_VALUE_MAX);

	for (size_t i = 0; i < ACME_VALUE_MAX; i++)
		large[i] = (char)(i * 7 + i / 251);
	one_value(run, (acme_str){ large, 256 }, "a value of all bytes");
	one_value(run, (acme_str){ large, 0 }, "an empty value");
	one_value(run, (acme_str){ large, ACME_VALUE_MAX }, "a value of 1 MiB");
	free(large);
}

/* ---- keys and lists ---- */

static void keys(struct run *run)
{
	static const char *const odd[] = {
		"kit/.hidden", "kit/%41", "kit/a b", "kit/~*?\"<>|\\:",
		"kit/UPPER",   "kit/upper", "kit/..x", "kit/-x",
	};
	char longest[ACME_KEY_MAX + 1] = "kit/";

	memset(longest + 4, 'x', 200);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		put(run, odd[i], odd[i], NULL);
	check(run, "store-keys", put(run, longest, "long", NULL) == ACME_OK,
	      "put of a component of 200 bytes: not OK");
	check(run, "store-keys", holds(run, longest, "long"),
	      "a component of 200 bytes does not come back");
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		if (!holds(run, odd[i], odd[i]))
			kit_report_add(run->report, "store-keys",
				       "key '%s' does not come back", odd[i]);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		del(run, odd[i], NULL);
	check(run, "store-keys",
	      del(run, longest, NULL) == ACME_OK && absent(run, longest),
	      "a component of 200 bytes cannot be deleted");
}

/* How many keys are below the prefix, page by page; `want` among them? */
static unsigned list(struct run *run, const char *prefix, uint32_t limit,
		     const char *want, unsigned *found)
{
	acme_list l = { .size = sizeof l, .flags = ACME_LIST_VALUES };
	char cursor[1024] = "";
	unsigned count = 0;

	*found = 0;
	l.prefix = acme_text(prefix);
	l.limit = limit;
	for (int page = 0; page < PAGES_MAX; page++) {
		l.cursor = acme_text(cursor);
		const kit_result *res = end(run, kit_list(run->k, &l));
		check(run, "store-keys", res->status == ACME_OK,
		      "list: not OK");
		for (size_t i = 0; i < res->count; i++)
			if (acme_eq(res->entries[i].key, acme_text(want)))
				++*found;
		count += (unsigned)res->count;
		snprintf(cursor, sizeof cursor, "%s", res->cursor);
		if (!*cursor || res->status != ACME_OK)
			return count;
	}
	kit_report_add(run->report, "store-keys", "a list never ends");
	return count;
}

static void lists(struct run *run)
{
	char key[64];
	unsigned found;

	put(run, KEY, "in", NULL);
	put(run, BESIDE, "beside", NULL);
	check(run, "store-keys",
	      list(run, "kit/a", 0, KEY, &found) == 1 && found == 1,
	      "list of 'kit/a' is not just 'kit/a/value'");
	for (int i = 0; i < 7; i++) {
		snprintf(key, sizeof key, "kit/list/%d", i);
		put(run, key, "x", NULL);
	}
	check(run, "store-keys", list(run, "kit/list", 3, key, &found) == 7,
	      "a list in pages of 3 does not have all 7 keys");
	check(run, "store-keys", found == 1, "a list lacks the last key");
	for (int i = 0; i < 7; i++) {
		snprintf(key, sizeof key, "kit/list/%d", i);
		del(run, key, NULL);
	}
	check(run, "store-keys", list(run, "kit/list", 0, key, &found) == 0,
	      "list of nothing is not empty");
	del(run, KEY, NULL);
	check(run, "store-others", holds(run, BESIDE, "beside"),
	      "del of 'kit/a/value' took 'kit/ab' with it");
	del(run, BESIDE, NULL);
}

/* ---- locks, watches ---- */

static void locks(struct run *run)
{
	char lease[VERSION];
	const char *name = "kit/lock", *rule = "store-lock";
	kit *k = run->k;

	check(run, rule, end(run, kit_lock(k, name, 60000))->status == ACME_OK,
	      "lock: not OK");
	snprintf(lease, sizeof lease, "%s", run->version);
	check(run, rule,
	      end(run, kit_lock(k, name, 60000))->status == ACME_CONFLICT,
	      "lock of what is locked: not CONFLICT");
	check(run, rule,
	      end(run, kit_renew(k, name, lease, 60000))->status == ACME_OK,
	      "renew: not OK");
	snprintf(lease, sizeof lease, "%s", run->version);
	kit_advance(k, 120000);
	check(run, rule, end(run, kit_lock(k, name, 60000))->status == ACME_OK,
	      "lock of an expired lease: not OK");
	check(run, rule,
	      end(run, kit_renew(k, name, lease, 60000))->status ==
		  ACME_CONFLICT,
	      "renew of a lost lease: not CONFLICT");
	check(run, rule,
	      end(run, kit_unlock(k, name, lease))->status == ACME_OK,
	      "unlock of a lease that is gone: not OK");
	check(run, rule,
	      end(run, kit_lock(k, name, 60000))->status == ACME_CONFLICT,
	      "unlock with a lost lease freed the lock of somebody else");
	kit_advance(k, 120000);
	check(run, rule, end(run, kit_lock(k, name, 60000))->status == ACME_OK,
	      "lock: not OK");
	snprintf(lease, sizeof lease, "%s", run->version);
	check(run, rule,
	      end(run, kit_unlock(k, name, lease))->status == ACME_OK,
	      "unlock: not OK");
	check(run, rule, end(run, kit_lock(k, name, 60000))->status == ACME_OK,
	      "lock after unlock: not OK");
	end(run, kit_unlock(k, name, run->version));
}

/* Was the key told since `from`, or that anything may have changed? */
static bool told(kit_call *watch, size_t from, const char *key)
{
	const kit_result *res = kit_result_of(watch);

	for (size_t i = from; i < res->count; i++)
		if ((res->entries[i].flags & ACME_ENTRY_RESYNC) ||
		    (key && acme_eq(res->entries[i].key, acme_text(key))))
			return true;
	return false;
}

static void watches(struct run *run)
{
	const char *rule = "store-watch";
	kit_call *w = kit_watch(run->k, "kit");
	size_t from;

	kit_run(run->k);
	check(run, rule, told(w, 0, NULL), "a watch does not begin with RESYNC");
	check(run, rule, !kit_result_of(w)->done, "a watch completed");
	from = kit_result_of(w)->count;
	put(run, "kit/watched", "x", NULL);
	kit_run(run->k);
	check(run, rule, told(w, from, "kit/watched"), "a put was not told");
	from = kit_result_of(w)->count;
	del(run, "kit/watched", NULL);
	kit_run(run->k);
	check(run, rule, told(w, from, "kit/watched"), "a del was not told");
	kit_cancel(run->k, w);
	kit_run(run->k);
}

/* ---- with faults ---- */

static kit_call *sweep_put_first(kit *k, void *arg)
{
	(void)arg;
	return kit_put(k, KEY, acme_text("old"), NULL);
}

static kit_call *sweep_put(kit *k, void *arg)
{
	(void)arg;
	return kit_put(k, KEY, acme_text("new"), NULL);
}

static kit_call *sweep_get(kit *k, void *arg)
{
	(void)arg;
	return kit_get(k, KEY);
}

static kit_call *sweep_del(kit *k, void *arg)
{
	(void)arg;
	return kit_del(k, KEY, NULL);
}

static kit_call *sweep_list(kit *k, void *arg)
{
	acme_list l = { .size = sizeof l };

	(void)arg;
	l.prefix = acme_text("kit");
	return kit_list(k, &l);
}

static kit_call *sweep_lock(kit *k, void *arg)
{
	(void)arg;
	return kit_lock(k, "kit/lock", 1000);
}

static kit_call *sweep_watch(kit *k, void *arg)
{
	(void)arg;
	return kit_watch(k, "kit");
}

/* The old value or the new one, whole; and what was acknowledged is there. */
static void after_put(kit *k, kit_call *call, void *arg)
{
	struct run run = *(struct run *)arg;
	bool ok = kit_result_of(call)->status == ACME_OK;

	run.k = k;
	if (!holds(&run, KEY, "new") && (ok || !holds(&run, KEY, "old")))
		kit_found(k, "store-reads",
			  ok ? "a put says OK, and the value is not there"
			     : "a put that failed left neither value");
}

static void sweep(struct run *run)
{
	struct sweep s = {
		.setup = run->setup,
		.report = run->report,
		.before = sweep_put_first,
		.begin = sweep_put,
		.after = after_put,
		.arg = run,
	};

	sweep_run(&s);
	s.after = NULL;
	s.begin = sweep_get;
	sweep_run(&s);
	s.begin = sweep_del;
	sweep_run(&s);
	s.begin = sweep_list;
	sweep_run(&s);
	if (run->setup->plugin->storage->caps & ACME_STORE_LOCK) {
		s.begin = sweep_lock;
		sweep_run(&s);
	}
	if (run->setup->plugin->storage->caps & ACME_STORE_WATCH) {
		s.begin = sweep_watch;
		sweep_run(&s);
	}
}

/* ---- all of it ---- */

static void first_instance(struct run *run)
{
	uint32_t caps = run->k->storage.caps;

	del(run, KEY, NULL);
	del(run, BESIDE, NULL);
	check(run, "store-reads", put(run, OTHER, FOREIGN, NULL) == ACME_OK,
	      "put: not OK");
	compare_and_set(run);
	values(run);
	keys(run);
	lists(run);
	deleting(run);
	if (caps & ACME_STORE_LOCK)
		locks(run);
	if (caps & ACME_STORE_WATCH)
		watches(run);
	put(run, KEY, "stays", NULL);
}

static void second_instance(struct run *run)
{
	char was[VERSION];

	snprintf(was, sizeof was, "%s", run->version);
	run->k = kit_open(run->setup, run->report);
	if (!run->k)
		return;
	check(run, "store-reads", holds(run, KEY, "stays"),
	      "another instance does not see what was put");
	check(run, "store-cas", !strcmp(was, run->version),
	      "another instance has another version");
	check(run, "store-others", holds(run, OTHER, FOREIGN),
	      "the value of somebody else changed");
	kit_close(run->k);
}

static void tidy(struct run *run)
{
	run->k = kit_open(run->setup, run->report);
	if (!run->k)
		return;
	check(run, "store-others", holds(run, OTHER, FOREIGN),
	      "the value of somebody else changed");
	del(run, KEY, NULL);
	del(run, OTHER, NULL);
	kit_close(run->k);
}

size_t kit_storage_contract(const kit_setup *setup, kit_report *r)
{
	struct run run = { .setup = setup, .report = r };
	size_t before = kit_report_count(r);

	if (kit_descriptor(setup->plugin, r) == 0 &&
	    (run.k = kit_open(setup, r))) {
		first_instance(&run);
		kit_close(run.k);
		second_instance(&run);
		sweep(&run);
		tidy(&run);
	}
	return kit_report_count(r) - before;
}
