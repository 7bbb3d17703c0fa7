/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a file a segment, and taking one over.
 *
 * The inode is what readers hold, so it is all that must never change: whatever
 * a file contains, it is only ever written in place and made longer. An empty
 * or zero file becomes a segment; a segment is kept with all its records; one
 * of another layout is refused; anything else is refused as well, unless the
 * caller says that this path is ours and may be repaired.
 *
 * A file becomes a segment by its magic, stored last. Until then readers say
 * "not ready" and the next writer starts from the beginning.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "segment/inside.h"
#include "segment/word.h"

static int open_file(const char *path, mode_t mode, bool *created)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd;

	for (int i = 0; i < 3; i++) {
		*created = false;
		fd = open(path, flags);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		*created = true;
		fd = open(path, flags | O_CREAT | O_EXCL, mode);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

static int lock_file(int fd, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_CONFLICT, "another writer has it");
	return err_errno(e, errno, "flock");
}

enum content { CONTENT_NEW, CONTENT_SEGMENT, CONTENT_FOREIGN, CONTENT_JUNK };

static enum content content_of(int fd)
{
	static const struct acme_segment_header zero;
	struct acme_segment_header h;
	ssize_t n = acme_segment__pread(fd, &h, sizeof h, 0);

	if (n == 0)
		return CONTENT_NEW;
	if (n != sizeof h)
		return CONTENT_JUNK;
	if (h.magic == 0 && (h.layout == ACME_SEGMENT_LAYOUT ||
			     !memcmp(&h, &zero, sizeof zero)))
		return CONTENT_NEW;
	if (h.magic != ACME_SEGMENT_MAGIC)
		return CONTENT_JUNK;
	return acme_segment__check_header(&h) == ACME_SEGMENT_OK
		   ? CONTENT_SEGMENT
		   : CONTENT_FOREIGN;
}

/* Before anything is changed: whether we may, and what we have. */
static int inspect(int fd, unsigned flags, enum content *content, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "not a regular file");
	*content = content_of(fd);
	if (*content == CONTENT_FOREIGN)
		return err_set(e, ERR_INVALID,
			       "a segment of another layout than %u",
			       ACME_SEGMENT_LAYOUT);
	if (*content == CONTENT_JUNK && !(flags & SEGMENT_REPAIR))
		return err_set(e, ERR_INVALID, "not a segment");
	return 0;
}

/* Owner, group and mode: no more than asked for, or it is refused. */
static int set_access(int fd, const struct segment_opts *o, bool created,
		      struct err *e)
{
	uid_t uid = created ? o->uid : (uid_t)-1;
	gid_t gid = o->gid;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	if (uid == st.st_uid)
		uid = (uid_t)-1;
	if (gid == st.st_gid)
		gid = (gid_t)-1;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0)
		return err_errno(e, errno, "changing its owner");
	if ((st.st_mode & 07777) != o->mode && fchmod(fd, o->mode) < 0 &&
	    (st.st_mode & 07777 & ~o->mode) != 0)
		return err_errno(e, errno, "mode %04o is too wide",
				 (unsigned)st.st_mode & 07777);
	return 0;
}

static int map_header(struct segment *s, struct err *e)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return err_errno(e, errno, "fstat");
	SEGMENT_STEP();
	/* Storage behind the page, so that no store to it can fail. */
	int rc = posix_fallocate(s->fd, 0, ACME_SEGMENT_HEADER);
	if (rc != 0)
		return err_errno(e, rc == EFBIG ? ENOSPC : rc,
				 "room for the header");
	void *page = mmap(NULL, ACME_SEGMENT_HEADER, PROT_READ | PROT_WRITE,
			  MAP_SHARED, s->fd, 0);
	if (page == MAP_FAILED)
		return err_errno(e, errno, "mapping the header");
	s->header = page;
	room_init(&s->room, s->fd, (uint64_t)st.st_size);
	return 0;
}

static void set_boot_id(struct acme_segment_header *h)
{
	char text[64] = "";
	unsigned value;
	size_t n = 0;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file)
		return;
	if (!fgets(text, sizeof text, file))
		text[0] = '\0';
	fclose(file);
	for (const char *p = text; n < sizeof h->boot_id && *p; p++) {
		if (*p == '-')
			continue;
		if (sscanf(p, "%2x", &value) != 1 || !*++p)
			break;
		h->boot_id[n++] = (uint8_t)value;
	}
}

/* The constant fields, for a file that has no magic. */
static void make_header(struct acme_segment_header *h)
{
	SEGMENT_STEP();
	h->layout = ACME_SEGMENT_LAYOUT;
	h->header_size = ACME_SEGMENT_HEADER;
	h->unit = ACME_SEGMENT_UNIT;
	h->heartbeat = 0;
	memset(h->constant, 0, sizeof h->constant);
	memset(h->words, 0, sizeof h->words);
}

/* An empty space becomes the active one; then the file is a segment. */
static int make_segment(struct segment *s, struct err *e)
{
	struct space *first;
	int rc;

	word_store(&s->header->magic, 0);
	make_header(s->header);
	s->last_id++;
	rc = space_create(&s->room, s->last_id, 0, 0, 1, &first, e);
	if (rc < 0)
		return rc;
	rc = segment_switch(s, first, e);
	if (s->active == NULL)
		space_retire(first);
	if (rc < 0)
		return rc;
	word_store(&s->header->magic, ACME_SEGMENT_MAGIC);
	return segment_settle(s, e);
}

/* Whatever the writer before us had published when it ended, and did not
 * announce any more, is announced now. */
static int keep_segment(struct segment *s, struct err *e)
{
	int rc =
	    space_load(&s->room, ++s->last_id, s->header->root, &s->active, e);

	if (rc == ERR_BROKEN) {
		s->state = SEGMENT_REPAIRED;
		return make_segment(s, e);
	}
	if (rc < 0)
		return rc;
	s->state = SEGMENT_KEPT;
	word_move(&s->header->switches);
	segment_announce(s, true);
	return 0;
}

static int take_over(struct segment *s, enum content content, struct err *e)
{
	int rc = map_header(s, e);

	if (rc == 0 && content == CONTENT_SEGMENT)
		rc = keep_segment(s, e);
	else if (rc == 0)
		rc = make_segment(s, e);
	if (rc < 0)
		return rc;
	if (content == CONTENT_JUNK)
		s->state = SEGMENT_REPAIRED;
	set_boot_id(s->header);
	if (acme_segment_attach(&s->reader, s->fd) != ACME_SEGMENT_OK)
		return err_errno(e, errno, "mapping the header");
	return 0;
}

int segment_open(const char *path, const struct segment_opts *opts,
		 struct segment **out, struct err *e)
{
	struct segment *s = mem_alloc(sizeof *s);
	enum content content = CONTENT_JUNK;
	bool created;
	int rc;

	*out = NULL;
	s->grace_ms = opts->grace_ms;
	s->durable = opts->flags & SEGMENT_DURABLE;
	s->fd = -1;
	rc = secret_alloc(&s->scratch, ACME_SEGMENT_RECORD_MAX, e);
	if (rc == 0)
		s->fd = open_file(path, opts->mode, &created);
	if (rc == 0 && s->fd < 0)
		rc = err_errno(e, errno, "opening it");
	if (rc == 0)
		rc = lock_file(s->fd, e);
	if (rc == 0)
		rc = inspect(s->fd, opts->flags, &content, e);
	if (rc == 0)
		rc = set_access(s->fd, opts, created, e);
	if (rc == 0)
		rc = take_over(s, content, e);
	if (rc < 0) {
		segment_close(s);
		return err_in(e, "%s", path);
	}
	*out = s;
	return 0;
}

void segment_close(struct segment *s)
{
	if (!s)
		return;
	space_free(s->active);
	space_free(s->fresh);
	acme_segment_detach(&s->reader);
	if (s->header)
		munmap(s->header, ACME_SEGMENT_HEADER);
	room_deinit(&s->room);
	if (s->fd >= 0)
		close(s->fd);
	secret_free(&s->scratch);
	free(s);
}
