/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/file: each value is a file, its bytes are the value.
 *
 * A call becomes a task in memory of its operation; a job on the pool does the
 * blocking part (disk.c, lease.c), and the callback on the loop emits what was
 * found and answers. Nothing blocks on the loop, and nothing is left to free
 * when an operation is cancelled: the job goes on to its end, its memory with
 * it.
 *
 *   PATH/certificates/example.org     values; names are escaped by key.c
 *   PATH/.tmp .lock .leases .damaged  ours; no key begins with a dot
 */
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"

enum {
	LIST_ENTRIES = 1000,  /* of a list call without a limit */
	LIST_BYTES = 8 << 20, /* read in one list call, with or without */
};

struct task {
	struct file *file;
	void (*run)(struct task *t, struct memory m);
	char path[KEY_PATH]; /* of the key, or the prefix */
	acme_str value, version;
	int has_version;
	uint32_t ms, flags, limit;
	int64_t now;

	struct outcome outcome;
	struct found *first, **last;
	uint32_t count;
	size_t bytes;
	char last_path[KEY_PATH];
	int more; /* the list goes on after last_path */
	struct memory mem;
};

/* ---- entries ---- */

struct found *file_found(struct file *f, const char *path, int value,
			 struct memory m, struct outcome *o)
{
	char key[KEY_PATH];
	struct outcome aside;
	struct found *it = m.host->alloc(m.op, sizeof *it);

	if (!it || key_of_path(path, key) < 0) {
		outcome_set(o, ACME_RETRY, "%s: out of memory", path);
		return NULL;
	}
	acme_status st = disk_read(&f->disk, path, m, &it->value, &aside, o);
	if (*aside.text)
		f->host->log(m.op, ACME_LOG_WARN, acme_text(aside.text));
	if (st != ACME_OK)
		return NULL;
	it->key = acme_printf(m.host, m.op, "%s", key);
	version_of(it->value.ptr, it->value.len, it->version);
	it->size = it->value.len;
	if (!value)
		it->value.len = 0;
	return it;
}

void file_emit(struct file *f, acme_op op, const struct found *list)
{
	for (; list; list = list->next) {
		acme_entry entry = { .size = sizeof entry };
		entry.flags = list->flags;
		entry.key = list->key;
		entry.value = list->value;
		entry.version = acme_text(list->version);
		f->host->emit(op, &entry);
	}
}

static void add(struct task *t, struct found *it)
{
	*t->last = it;
	t->last = &it->next;
	t->count++;
	t->bytes += it->size;
}

/* ---- from call to task to answer ---- */

static void on_job(acme_op op, void *arg)
{
	struct task *t = arg;

	t->run(t, (struct memory){ t->file->host, op });
}

static void on_done(void *self, acme_op op, void *arg)
{
	struct file *f = self;
	struct task *t = arg;

	if (t->outcome.status == ACME_OK)
		file_emit(f, op, t->first);
	if (t->more) {
		acme_entry end = { .size = sizeof end };
		end.flags = ACME_ENTRY_END;
		end.key = acme_text(t->last_path);
		f->host->emit(op, &end);
	}
	f->host->done(op, t->outcome.status, t->outcome.retry_ms,
		      acme_text(t->outcome.text));
}

static acme_str copy(const acme_host *host, acme_op op, acme_str s)
{
	char *room = s.len ? host->alloc(op, s.len) : NULL;
	acme_str out = { room, room ? s.len : 0 };

	if (room)
		memcpy(room, s.ptr, s.len);
	return out;
}

/* NULL when the operation has been answered: no memory. */
static struct task *task_new(struct file *f, acme_op op,
			     void (*run)(struct task *t, struct memory m))
{
	struct task *t = f->host->alloc(op, sizeof *t);

	if (!t) {
		acme_donef(f->host, op, ACME_RETRY, 0, "out of memory");
		return NULL;
	}
	t->file = f;
	t->run = run;
	t->last = &t->first;
	t->now = f->host->now(op);
	return t;
}

static struct task *task_for_key(struct file *f, acme_op op, acme_str key,
				 void (*run)(struct task *t, struct memory m))
{
	struct task *t = task_new(f, op, run);

	if (t && key_path(key, t->path) < 0) {
		acme_donef(f->host, op, ACME_INVALID, 0,
			   "'%.*s' does not fit into file names",
			   ACME_ARG(key));
		return NULL;
	}
	return t;
}

static void task_start(struct task *t, acme_op op)
{
	t->file->host->work(op, on_job, on_done, t);
}

/* `expect`: NULL, empty and a version are three different things. */
static void expect(struct task *t, acme_op op, acme_str version)
{
	t->has_version = version.ptr != NULL;
	t->version = copy(t->file->host, op, version);
	if (t->has_version && !t->version.ptr)
		t->version.ptr = "";
}

/* ---- get, put, del ---- */

static void run_get(struct task *t, struct memory m)
{
	struct found *it = file_found(t->file, t->path, 1, m, &t->outcome);

	if (it)
		add(t, it);
}

static void file_get(void *self, acme_op op, acme_str key)
{
	struct task *t = task_for_key(self, op, key, run_get);

	if (t)
		task_start(t, op);
}

static void run_put(struct task *t, struct memory m)
{
	char key[KEY_PATH];
	struct found *it = m.host->alloc(m.op, sizeof *it);

	if (disk_write(&t->file->disk, t->path, t->value, t->version,
		       &t->outcome) != ACME_OK ||
	    !it || key_of_path(t->path, key) < 0)
		return;
	it->key = acme_printf(m.host, m.op, "%s", key);
	version_of(t->value.ptr, t->value.len, it->version);
	add(t, it);
}

static void file_put(void *self, acme_op op, acme_str key, acme_str value,
		     acme_str version)
{
	struct file *f = self;
	struct task *t = task_for_key(f, op, key, run_put);

	if (!t)
		return;
	t->value = copy(f->host, op, value);
	expect(t, op, version);
	if (t->value.len != value.len)
		acme_donef(f->host, op, ACME_RETRY, 0, "out of memory");
	else
		task_start(t, op);
}

static void run_del(struct task *t, struct memory m)
{
	(void)m;
	disk_remove(&t->file->disk, t->path, t->version, &t->outcome);
}

static void file_del(void *self, acme_op op, acme_str key, acme_str version)
{
	struct task *t = task_for_key(self, op, key, run_del);

	if (!t)
		return;
	expect(t, op, version);
	task_start(t, op);
}

/* ---- list ---- */

static int list_one(void *arg, const char *path)
{
	struct task *t = arg;
	struct outcome o;

	if (t->count >= t->limit || t->bytes >= LIST_BYTES) {
		t->more = 1;
		return 1;
	}
	struct found *it = file_found(
	    t->file, path, (t->flags & ACME_LIST_VALUES) != 0, t->mem, &o);
	if (it) {
		add(t, it);
	} else if (o.status != ACME_ABSENT) { /* else gone meanwhile */
		t->outcome = o;
		return 1;
	}
	snprintf(t->last_path, sizeof t->last_path, "%s", path);
	return 0;
}

static void run_list(struct task *t, struct memory m)
{
	char after[KEY_PATH];
	struct outcome o;

	t->mem = m;
	snprintf(after, sizeof after, "%.*s", ACME_ARG(t->version));
	disk_walk(&t->file->disk, t->path, after, list_one, NULL, t, &o);
	if (t->outcome.status == ACME_OK)
		t->outcome = o;
}

static void file_list(void *self, acme_op op, const acme_list *l)
{
	struct file *f = self;
	struct task *t = l->prefix.len
			     ? task_for_key(f, op, l->prefix, run_list)
			     : task_new(f, op, run_list);

	if (!t)
		return;
	t->flags = l->flags;
	t->limit = l->limit ? l->limit : LIST_ENTRIES;
	t->version = copy(f->host, op, l->cursor);
	task_start(t, op);
}

/* ---- lock, renew, unlock ---- */

static void run_lock(struct task *t, struct memory m)
{
	struct found *it = m.host->alloc(m.op, sizeof *it);

	if (!it)
		outcome_set(&t->outcome, ACME_RETRY, "out of memory");
	else if (lease_take(&t->file->disk, t->path, t->now, t->ms, it->version,
			    &t->outcome) == ACME_OK)
		add(t, it);
}

static void run_renew(struct task *t, struct memory m)
{
	struct found *it = m.host->alloc(m.op, sizeof *it);

	if (!it || lease_renew(&t->file->disk, t->path, t->version, t->now,
			       t->ms, &t->outcome) != ACME_OK)
		return;
	snprintf(it->version, sizeof it->version, "%.*s", ACME_ARG(t->version));
	add(t, it);
}

static void run_unlock(struct task *t, struct memory m)
{
	(void)m;
	lease_drop(&t->file->disk, t->path, t->version, &t->outcome);
}

static void lease_task(struct file *f, acme_op op, acme_str name,
		       acme_str lease, uint32_t ms,
		       void (*run)(struct task *t, struct memory m))
{
	struct task *t = task_new(f, op, run);

	if (!t)
		return;
	if (key_name(name, t->path) < 0) {
		acme_donef(f->host, op, ACME_INVALID, 0,
			   "'%.*s' does not fit into a file name",
			   ACME_ARG(name));
		return;
	}
	t->version = copy(f->host, op, lease);
	t->ms = ms;
	task_start(t, op);
}

static void file_lock(void *self, acme_op op, acme_str name, uint32_t ms)
{
	const acme_str none = { NULL, 0 };

	lease_task(self, op, name, none, ms, run_lock);
}

static void file_renew(void *self, acme_op op, acme_str name, acme_str lease,
		       uint32_t ms)
{
	lease_task(self, op, name, lease, ms, run_renew);
}

static void file_unlock(void *self, acme_op op, acme_str name, acme_str lease)
{
	lease_task(self, op, name, lease, 0, run_unlock);
}

/* ---- the plugin ---- */

static acme_status file_open(const acme_host *host, acme_op root, void **self)
{
	struct file *f = calloc(1, sizeof *f);
	struct outcome o;

	if (!f)
		return acme_donef(host, root, ACME_RETRY, 0, "out of memory");
	f->host = host;
	f->root = root;
	if (disk_open(&f->disk, host->option_str(root, "path").ptr, &o) !=
	    ACME_OK) {
		disk_close(&f->disk);
		free(f);
		return acme_donef(host, root, o.status, 0, "%s", o.text);
	}
	*self = f;
	return ACME_OK;
}

static void file_close(void *self)
{
	struct file *f = self;

	watch_close(f);
	disk_close(&f->disk);
	free(f);
}

static void file_cancel(void *self, acme_op op)
{
	watch_cancel(self, op);
}

static const acme_option PATH = {
	.size = sizeof PATH,
	.type = ACME_PATH,
	.flags = ACME_REQUIRED,
	.name = "path",
	.help = "Folder for accounts, orders and certificates; created if "
		"missing.",
};
static const acme_option *const OPTIONS[] = { &PATH, NULL };

static const acme_storage_ops STORAGE = {
	.size = sizeof STORAGE,
	.caps = ACME_STORE_CAS | ACME_STORE_LOCK | ACME_STORE_WATCH |
		ACME_STORE_LOCAL,
	.get = file_get,
	.put = file_put,
	.del = file_del,
	.list = file_list,
	.lock = file_lock,
	.renew = file_renew,
	.unlock = file_unlock,
	.watch = watch_start,
};

static const acme_plugin PLUGIN = {
	.size = sizeof PLUGIN,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1,
	.name = "file",
	.version = "0.1.0",
	.about = "Keeps each value as a file below one folder.",
	.options = OPTIONS,
	.open = file_open,
	.close = file_close,
	.cancel = file_cancel,
	.storage = &STORAGE,
};

const acme_plugin *acme_plugin_v0(void)
{
	return &PLUGIN;
}
