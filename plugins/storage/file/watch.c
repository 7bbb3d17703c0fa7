/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching the store with inotify.
 *
 * The kernel watches folders, so there is one descriptor for each watch
 * operation and one watch for each folder; a file that changed is noted by its
 * path. Notes are collected for a moment (a put is several events, and many
 * puts come together), then a job reads the versions, and they are emitted.
 *
 * The loop's thread alone owns `struct watch`, except what says otherwise. A job
 * gets copies of paths. While one runs an operation may be cancelled, but the
 * watch stays: the next watch, or `close`, frees it. What cannot be followed exactly (queue overflow, a folder moved, too
 * many notes) becomes one RESYNC: the reader lists again.
 */
#include "file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	SETTLE_MS = 20,   /* notes are collected for so long */
	NOTES_MAX = 1000, /* more than that is a RESYNC */
};

#define FOLDER_EVENTS                                                          \
	(IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_CREATE |            \
	 IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct folder {
	int wd;
	char *path; /* below the store; "" is the store */
};

struct watch {
	struct watch *next;
	struct file *file;
	acme_op op;
	int fd;
	char prefix[KEY_PATH]; /* as a path; "" for all */
	struct folder *folders;
	size_t folder_count;
	char *notes[NOTES_MAX];
	size_t note_count;
	int resync, scan; /* scan: folders appeared, look for them */
	int busy;         /* a timer or a job is on its way */

	atomic_int job; /* one has been asked for and has not ended */
	int dead;       /* free it when there is no job any more */
	struct folder *found; /* the job's, while there is one */
	size_t found_count;
};

/* What goes to the pool and comes back; in memory of a child operation. */
struct look {
	struct watch *watch; /* the job: fd, found, job */
	struct file *file;
	int scan;
	const char **paths;
	size_t count;

	struct outcome outcome;
	struct found *first, **last;
};

/* ---- life ---- */

static void free_folders(struct folder *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].path);
	free(list);
}

static void watch_free(struct watch *w)
{
	struct watch **at = &w->file->watches;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
	if (w->fd >= 0)
		close(w->fd);
	for (size_t i = 0; i < w->note_count; i++)
		free(w->notes[i]);
	free_folders(w->folders, w->folder_count);
	free_folders(w->found, w->found_count);
	free(w);
}

/* Its operation has ended; a job may still be at work on it. */
static void watch_leave(struct watch *w)
{
	w->dead = 1;
	if (!atomic_load(&w->job))
		watch_free(w);
}

static void free_dead(struct file *f, int all)
{
	struct watch *next;

	for (struct watch *w = f->watches; w; w = next) {
		next = w->next;
		if (all || (w->dead && !atomic_load(&w->job)))
			watch_free(w);
	}
}

void watch_close(struct file *f)
{
	free_dead(f, 1);
}

void watch_cancel(struct file *f, acme_op op)
{
	for (struct watch *w = f->watches; w; w = w->next)
		if (w->op.id == op.id && !w->dead) {
			watch_leave(w);
			return;
		}
}

/* The host is told to list and watch again. */
static void broken(struct watch *w, const char *why)
{
	const acme_host *host = w->file->host;
	acme_op op = w->op;

	host->watch_fd(op, w->fd, 0, NULL, NULL);
	watch_leave(w);
	acme_donef(host, op, ACME_RETRY, 0, "watch: %s", why);
}

/* ---- the job: new folders, versions of what changed ---- */

static void on_folder(void *arg, const char *path)
{
	struct look *l = arg;
	char full[4096 + KEY_PATH];

	snprintf(full, sizeof full, "%s/%s", l->file->disk.path, path);
	struct watch *w = l->watch;
	int wd = inotify_add_watch(w->fd, full, FOLDER_EVENTS);
	if (wd < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			outcome_errno(&l->outcome, "%s", full);
		return;
	}
	struct folder *more =
	    realloc(w->found, (w->found_count + 1) * sizeof *more);
	char *copy = strdup(path);
	if (more)
		w->found = more;
	if (more && copy)
		more[w->found_count++] = (struct folder){ wd, copy };
	else
		free(copy);
}

static void look_at(struct look *l, const char *path, struct memory m)
{
	struct outcome o;
	char key[KEY_PATH];
	struct found *it = file_found(l->file, path, 0, m, &o);

	if (!it && o.status == ACME_ABSENT && key_of_path(path, key) == 0 &&
	    (it = m.host->alloc(m.op, sizeof *it))) {
		it->flags = ACME_ENTRY_DELETED;
		it->key = acme_printf(m.host, m.op, "%s", key);
	}
	if (!it)
		return;
	*l->last = it;
	l->last = &it->next;
}

static void look_job(acme_op op, void *arg)
{
	struct look *l = arg;
	struct memory m = { l->file->host, op };

	if (l->scan)
		disk_walk(&l->file->disk, "", "", NULL, on_folder, l,
			  &l->outcome);
	for (size_t i = 0; i < l->count; i++)
		look_at(l, l->paths[i], m);
	atomic_store(&l->watch->job, 0);
}

/* ---- and what the loop makes of it ---- */

static void settle_later(struct watch *w);

static void take_folder(struct watch *w, struct folder new)
{
	for (size_t i = 0; i < w->folder_count; i++)
		if (w->folders[i].wd == new.wd) {
			free(w->folders[i].path);
			w->folders[i] = new;
			return;
		}
	struct folder *more =
	    realloc(w->folders, (w->folder_count + 1) * sizeof *more);
	if (!more) {
		free(new.path);
		return;
	}
	w->folders = more;
	more[w->folder_count++] = new;
}

static void emit_resync(struct watch *w, acme_op op)
{
	acme_entry entry = { .size = sizeof entry };

	entry.flags = ACME_ENTRY_RESYNC;
	w->file->host->emit(op, &entry);
}

static void on_looked(void *self, acme_op op, void *arg)
{
	struct look *l = arg;
	struct watch *w = l->watch;

	for (size_t i = 0; i < w->found_count; i++)
		take_folder(w, w->found[i]);
	free(w->found);
	w->found = NULL;
	w->found_count = 0;
	w->busy = 0;
	if (l->outcome.status != ACME_OK) {
		broken(w, l->outcome.text);
		return;
	}
	if (l->scan) /* something may have come before its folder was watched */
		emit_resync(w, op);
	file_emit(self, op, l->first);
	settle_later(w);
}

/* Hands all notes to a job. */
static void look(struct watch *w, acme_op op)
{
	const acme_host *host = w->file->host;
	struct look *l = host->alloc(op, sizeof *l);
	const char **paths =
	    host->alloc(op, (w->note_count + 1) * sizeof *paths);

	if (!l || !paths) {
		broken(w, "out of memory");
		return;
	}
	l->watch = w;
	l->file = w->file;
	l->scan = w->scan;
	l->last = &l->first;
	l->paths = paths;
	for (size_t i = 0; i < w->note_count; i++) {
		paths[i] = acme_printf(host, op, "%s", w->notes[i]).ptr;
		free(w->notes[i]);
		if (paths[i])
			paths[l->count++] = paths[i];
	}
	w->note_count = 0;
	w->scan = 0;
	w->busy = 1;
	atomic_store(&w->job, 1);
	host->work(op, look_job, on_looked, l);
}

static void on_settled(void *self, acme_op op, void *arg)
{
	struct watch *w = arg;

	(void)self;
	w->busy = 0;
	if (w->resync) {
		w->resync = 0;
		emit_resync(w, op);
	}
	look(w, op);
}

static void settle_later(struct watch *w)
{
	if (w->busy || !(w->note_count || w->resync || w->scan))
		return;
	w->busy = 1;
	w->file->host->after(w->op, SETTLE_MS, on_settled, w);
}

/* ---- events ---- */

static const char *folder_of(const struct watch *w, int wd)
{
	for (size_t i = 0; i < w->folder_count; i++)
		if (w->folders[i].wd == wd)
			return w->folders[i].path;
	return NULL;
}

static void forget_folder(struct watch *w, int wd)
{
	for (size_t i = 0; i < w->folder_count; i++)
		if (w->folders[i].wd == wd) {
			free(w->folders[i].path);
			w->folders[i] = w->folders[--w->folder_count];
			return;
		}
}

/* Is the path below the prefix? */
static int wanted(const struct watch *w, const char *path)
{
	size_t len = strlen(w->prefix);

	return len == 0 || (!strncmp(path, w->prefix, len) && path[len] == '/');
}

static void note(struct watch *w, const char *folder, const char *name)
{
	char path[KEY_PATH];

	int n = snprintf(path, sizeof path, "%s%s%s", folder,
			 *folder ? "/" : "", name);
	if (n < 0 || n >= KEY_PATH || !wanted(w, path))
		return;
	for (size_t i = 0; i < w->note_count; i++)
		if (!strcmp(w->notes[i], path))
			return;
	char *copy = w->note_count < NOTES_MAX ? strdup(path) : NULL;
	if (copy)
		w->notes[w->note_count++] = copy;
	else
		w->resync = 1;
}

static void on_event(struct watch *w, const struct inotify_event *ev)
{
	const char *folder;

	if (ev->mask & IN_Q_OVERFLOW) {
		w->resync = w->scan = 1;
		return;
	}
	if (ev->mask & IN_IGNORED) {
		forget_folder(w, ev->wd);
		return;
	}
	if (ev->len == 0 || !key_is_name(ev->name) ||
	    !(folder = folder_of(w, ev->wd)))
		return;
	if (!(ev->mask & IN_ISDIR)) {
		if (ev->mask & ~(uint32_t)IN_CREATE)
			note(w, folder, ev->name);
	} else if (ev->mask & (IN_CREATE | IN_MOVED_TO)) {
		w->scan = 1;
	} else if (ev->mask & IN_MOVED_FROM) {
		w->resync = 1;
	}
}

static void on_readable(void *self, acme_op op, void *arg, int fd,
			uint32_t events)
{
	_Alignas(struct inotify_event) char bytes[16384];
	struct watch *w = arg;
	ssize_t n, at;

	(void)self;
	(void)op;
	(void)events;
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		for (at = 0; at < n;) {
			const struct inotify_event *ev =
			    (const void *)(bytes + at);
			on_event(w, ev);
			at += (ssize_t)(sizeof *ev + ev->len);
		}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		broken(w, "cannot read events");
	else
		settle_later(w);
}

/* ---- starting ---- */

void watch_start(void *self, acme_op op, acme_str prefix, acme_str point)
{
	struct file *f = self;
	struct watch *w = calloc(1, sizeof *w);

	free_dead(f, 0);
	(void)point; /* we know none: a scan says RESYNC */
	if (!w) {
		acme_donef(f->host, op, ACME_RETRY, 0, "out of memory");
		return;
	}
	w->file = f;
	w->op = op;
	w->next = f->watches;
	f->watches = w;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		acme_donef(f->host, op, ACME_RETRY, 0, "inotify: %s",
			   strerror(errno));
		watch_free(w);
		return;
	}
	if (prefix.len && key_path(prefix, w->prefix) < 0) {
		watch_free(w);
		acme_donef(f->host, op, ACME_INVALID, 0, "not a prefix");
		return;
	}
	w->scan = 1;
	f->host->watch_fd(op, w->fd, ACME_FD_READ, on_readable, w);
	f->host->after(op, 0, on_settled, w);
	w->busy = 1;
}
