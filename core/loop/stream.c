/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines over a Unix socket.
 *
 * The file. fchmod on the unbound socket decides the mode that bind gives the
 * file, so it is never wider than asked; and nobody can connect before listen,
 * which comes after mode and owner are right. An old file is removed only when
 * connecting to it is refused; two agents that start at once are kept apart by
 * the lock of the segment, not here. Removal at the end looks at device and
 * inode, as the path may be somebody else's by then.
 *
 * Accepting. libuv stops polling while an offered connection is not taken; the
 * rate limit uses that: out of tokens, we take it a little later.
 *
 * A connection ends by one way only: stream_end notes why and closes the
 * handle; libuv's closing callback tells the owner and frees.
 */
#include "loop/stream.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/now.h"
#include "loop/after.h"
#include "loop/turn.h"

enum {
	MAX_LINE = 64 << 10,
	MAX_QUEUE = 1 << 20,
	MAX_CONNECTIONS = 64,
	ACCEPTS_PER_SECOND = 200,
	BACKLOG = 128,
	LINGER_MS = 5000,
	READ_CHUNK = 4096,
};

struct stream_listener {
	uv_pipe_t uv;
	struct loop *loop;
	struct stream_options options; /* path is our copy */
	const struct stream_ops *ops;
	void *arg;
	struct stream *streams;
	int connections;
	dev_t dev;
	ino_t ino;

	double tokens;
	int64_t tokens_at;
	struct after *pause;
};

struct stream {
	uv_pipe_t uv;
	struct stream_listener *listener; /* NULL once that is closed */
	struct stream *next, **back;
	struct loop *loop;
	struct stream_peer peer;
	void *data;
	struct buf line;
	struct after *linger;
	size_t max_queue;
	bool opened;  /* the owner knows it */
	bool closing; /* stream_close was called */
	bool ended;
	const char *why;
	char chunk[READ_CHUNK];
};

/* --- connections -------------------------------------------------------- */

static void tell_end(struct stream *s)
{
	struct stream_listener *l = s->listener;

	if (!s->opened || !l)
		return;
	s->opened = false;
	uint64_t began = turn_begin();
	l->ops->end(l->arg, s, s->why);
	turn_end(s->loop, "stream", began);
}

static void unlink_stream(struct stream *s)
{
	if (!s->listener)
		return;
	*s->back = s->next;
	if (s->next)
		s->next->back = s->back;
	s->listener->connections--;
	s->listener = NULL;
}

static void on_stream_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	tell_end(s);
	unlink_stream(s);
	buf_free(&s->line);
	turn_release(s->loop);
	free(s);
}

static void stream_end(struct stream *s, const char *why)
{
	if (s->ended)
		return;
	s->ended = true;
	s->why = why;
	after_cancel(&s->linger);
	uv_close((uv_handle_t *)&s->uv, on_stream_closed);
}

void stream_drop(struct stream *s)
{
	stream_end(s, "closed");
}

static void on_linger(void *arg)
{
	struct stream *s = arg;

	s->linger = NULL;
	stream_end(s, "reader too slow");
}

void stream_close(struct stream *s)
{
	if (s->ended || s->closing)
		return;
	s->closing = true;
	uv_read_stop((uv_stream_t *)&s->uv);
	if (!uv_stream_get_write_queue_size((uv_stream_t *)&s->uv))
		stream_end(s, "closed");
	else
		s->linger = after_start(s->loop, LINGER_MS, on_linger, s);
}

void stream_set(struct stream *s, void *data)
{
	s->data = data;
}

void *stream_get(const struct stream *s)
{
	return s->data;
}

void stream_limit(struct stream *s, size_t max_line)
{
	if (max_line < s->line.max)
		s->line.max = max_line;
}

const struct stream_peer *stream_who(const struct stream *s)
{
	return &s->peer;
}

bool stream_peer_in(const struct stream_peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->count; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

/* --- writing ------------------------------------------------------------ */

struct piece {
	uv_write_t uv;
	char bytes[];
};

static void on_written(uv_write_t *uv, int status)
{
	struct stream *s = uv->handle->data;

	free(uv->data);
	if (s->ended)
		return;
	if (status < 0)
		stream_end(s, "peer is gone");
	else if (s->closing &&
	         !uv_stream_get_write_queue_size((uv_stream_t *)&s->uv))
		stream_end(s, "closed");
}

/* What does not go out at once: from `sent` on, newline included. */
static void queue(struct stream *s, struct str line, size_t sent)
{
	size_t rest = line.len - sent;
	struct piece *piece = mem_alloc(sizeof *piece + rest + 1);
	uv_buf_t buf = uv_buf_init(piece->bytes, (unsigned)rest + 1);

	memcpy(piece->bytes, line.ptr + sent, rest);
	piece->bytes[rest] = '\n';
	piece->uv.data = piece;
	if (uv_write(&piece->uv, (uv_stream_t *)&s->uv, &buf, 1, on_written)) {
		free(piece);
		stream_end(s, "peer is gone");
	}
}

void stream_send(struct stream *s, struct str line)
{
	char newline[] = "\n";

	if (s->ended || s->closing)
		return;
	size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&s->uv);
	if (line.len >= s->max_queue || queued >= s->max_queue - line.len) {
		stream_end(s, "reader too slow");
		return;
	}
	uv_buf_t bufs[] = {
		uv_buf_init((char *)(uintptr_t)line.ptr, (unsigned)line.len),
		uv_buf_init(newline, 1),
	};
	int n = uv_try_write((uv_stream_t *)&s->uv, bufs, 2);
	if (n < 0 && n != UV_EAGAIN)
		stream_end(s, "peer is gone");
	else if (n < 0)
		queue(s, line, 0);
	else if ((size_t)n <= line.len)
		queue(s, line, (size_t)n);
}

/* --- reading ------------------------------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
	struct stream *s = handle->data;
	(void)hint;

	*buf = uv_buf_init(s->chunk, sizeof s->chunk);
}

static void tell_line(struct stream *s, struct str line)
{
	struct stream_listener *l = s->listener;

	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	uint64_t began = turn_begin();
	l->ops->line(l->arg, s, line);
	turn_end(s->loop, "stream", began);
}

/* A line may be ended by one chunk and begun by another; only then it is
 * gathered in s->line. */
static void take_chunk(struct stream *s, struct str in)
{
	while (in.len && !s->ended && !s->closing) {
		const char *end = memchr(in.ptr, '\n', in.len);
		size_t n = end ? (size_t)(end - in.ptr) : in.len;
		if (buf_add(&s->line, in.ptr, n)) {
			stream_end(s, "line too long");
			return;
		}
		in.ptr += n;
		in.len -= n;
		if (!end)
			return;
		in.ptr++;
		in.len--;
		tell_line(s, buf_str(&s->line));
		buf_reset(&s->line);
	}
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
	struct stream *s = uv->data;

	if (n < 0)
		stream_end(s, n == UV_EOF ? "closed" : "peer is gone");
	else
		take_chunk(s, (struct str){ buf->base, (size_t)n });
}

/* --- accepting ---------------------------------------------------------- */

static int read_peer(int fd, struct stream_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -1;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	peer->pid = cred.pid;
	len = sizeof peer->groups;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len)) {
		if (errno != ENODATA) /* no groups */
			return -1;
		len = 0;
	}
	peer->count = len / sizeof *peer->groups;
	return 0;
}

static int count_uid(const struct stream_listener *l, uid_t uid)
{
	int n = 0;

	for (const struct stream *s = l->streams; s; s = s->next)
		n += s->peer.uid == uid;
	return n;
}

/* Bounds and the owner's opinion; a word against it, or NULL. */
static const char *refusal(struct stream_listener *l, struct stream *s)
{
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&s->uv, &fd) || read_peer(fd, &s->peer))
		return "peer unknown";
	if (l->connections > l->options.max_connections)
		return "too many connections";
	if (count_uid(l, s->peer.uid) > l->options.max_per_uid)
		return "too many connections of this user";
	uint64_t began = turn_begin();
	s->opened = l->ops->open(l->arg, s, &s->peer);
	turn_end(l->loop, "stream", began);
	return s->opened ? NULL : "refused";
}

static void accept_one(struct stream_listener *l)
{
	struct stream *s = mem_alloc(sizeof *s);

	s->loop = l->loop;
	s->listener = l;
	s->max_queue = l->options.max_queue;
	s->line.max = l->options.max_line;
	turn_must(uv_pipe_init(turn_uv(l->loop), &s->uv, 0), "pipe");
	s->uv.data = s;
	s->next = l->streams;
	s->back = &l->streams;
	if (s->next)
		s->next->back = &s->next;
	l->streams = s;
	l->connections++;
	turn_hold(l->loop);
	if (uv_accept((uv_stream_t *)&l->uv, (uv_stream_t *)&s->uv)) {
		stream_end(s, "gone before it began");
		return;
	}
	const char *why = refusal(l, s);
	if (why)
		stream_end(s, why);
	if (!s->ended && !s->closing)
		uv_read_start((uv_stream_t *)&s->uv, on_alloc, on_read);
}

static void refill(struct stream_listener *l)
{
	double rate = l->options.accepts_per_second;
	int64_t now = now_mono();

	l->tokens += (double)(now - l->tokens_at) * rate / 1000;
	if (l->tokens > rate)
		l->tokens = rate;
	l->tokens_at = now;
}

static void on_pause(void *arg);

static void accept_in_time(struct stream_listener *l)
{
	refill(l);
	if (l->tokens < 1) {
		int64_t ms = 1000 / l->options.accepts_per_second + 1;
		if (!l->pause)
			l->pause = after_start(l->loop, ms, on_pause, l);
		return;
	}
	l->tokens -= 1;
	accept_one(l);
}

static void on_pause(void *arg)
{
	struct stream_listener *l = arg;

	l->pause = NULL;
	accept_in_time(l);
}

static void on_connection(uv_stream_t *uv, int status)
{
	if (status == 0)
		accept_in_time(uv->data);
}

/* --- the socket file ---------------------------------------------------- */

static int make_address(const char *path, struct sockaddr_un *a, struct err *e)
{
	size_t len = strlen(path);

	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	if (!len || len >= sizeof a->sun_path)
		return err_set(e, ERR_INVALID,
		               "socket path has %zu bytes, at most %zu fit: %s",
		               len, sizeof a->sun_path - 1, path);
	memcpy(a->sun_path, path, len);
	return 0;
}

static int new_socket(int flags, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	return fd >= 0 ? fd : err_errno(e, errno, "socket");
}

/* Removes a socket file that nobody answers on. */
static int clear_path(const struct sockaddr_un *a, struct err *e)
{
	struct stat st;

	if (lstat(a->sun_path, &st))
		return errno == ENOENT ? 0 : err_errno(e, errno, "lstat");
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_CONFLICT, "exists and is not a socket");
	int fd = new_socket(SOCK_NONBLOCK, e);
	if (fd < 0)
		return fd;
	int failed = connect(fd, (const struct sockaddr *)a, sizeof *a);
	int why = errno;
	close(fd);
	if (!failed || why == EAGAIN) /* EAGAIN: its backlog is full */
		return err_set(e, ERR_CONFLICT, "another process answers");
	if (why != ECONNREFUSED && why != ENOENT)
		return err_errno(e, why, "connect");
	if (unlink(a->sun_path) && errno != ENOENT)
		return err_errno(e, errno, "unlink");
	return 0;
}

static int bind_file(int fd, const struct sockaddr_un *a,
                     const struct stream_options *o, struct err *e)
{
	const char *path = a->sun_path;

	if (fchmod(fd, o->mode)) /* the widest that bind may give */
		return err_errno(e, errno, "fchmod");
	if (bind(fd, (const struct sockaddr *)a, sizeof *a))
		return errno == EADDRINUSE ?
		               err_set(e, ERR_CONFLICT, "taken meanwhile") :
		               err_errno(e, errno, "bind");
	if ((o->uid != (uid_t)-1 || o->gid != (gid_t)-1) &&
	    lchown(path, o->uid, o->gid))
		return err_errno(e, errno, "chown");
	if (chmod(path, o->mode)) /* what the umask took away */
		return err_errno(e, errno, "chmod");
	return 0;
}

/* Returns a bound descriptor that does not listen yet. */
static int bind_path(const struct stream_options *o, struct err *e)
{
	struct sockaddr_un a;

	if (make_address(o->path, &a, e))
		return e->code;
	if (clear_path(&a, e))
		return err_in(e, "%s", o->path);
	int fd = new_socket(0, e);
	if (fd < 0)
		return fd;
	if (!bind_file(fd, &a, o, e))
		return fd;
	close(fd);
	return err_in(e, "%s", o->path);
}

/* --- the listener ------------------------------------------------------- */

static void fill_defaults(struct stream_options *o)
{
	if (!o->mode)
		o->mode = 0600;
	if (!o->max_line)
		o->max_line = MAX_LINE;
	if (!o->max_queue)
		o->max_queue = MAX_QUEUE;
	if (o->max_connections <= 0)
		o->max_connections = MAX_CONNECTIONS;
	if (o->max_per_uid <= 0)
		o->max_per_uid = (o->max_connections + 1) / 2;
	if (o->accepts_per_second <= 0)
		o->accepts_per_second = ACCEPTS_PER_SECOND;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct stream_listener *l = handle->data;

	free((char *)(uintptr_t)l->options.path);
	free(l);
}

/* Owns `fd` from here on; l->uv closes it. */
static int start_listening(struct stream_listener *l, int fd, struct err *e)
{
	struct stat st;
	int rc = uv_pipe_open(&l->uv, fd);

	if (rc) {
		close(fd);
		return err_set(e, ERR_RETRY, "open: %s", uv_strerror(rc));
	}
	if (!lstat(l->options.path, &st)) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	rc = uv_listen((uv_stream_t *)&l->uv, BACKLOG, on_connection);
	if (rc)
		return err_set(e, ERR_RETRY, "listen: %s", uv_strerror(rc));
	return 0;
}

int stream_listen(struct loop *loop, const struct stream_options *options,
                  const struct stream_ops *ops, void *arg,
                  struct stream_listener **out, struct err *e)
{
	struct stream_options o = *options;

	fill_defaults(&o);
	int fd = bind_path(&o, e);
	if (fd < 0)
		return fd;
	struct stream_listener *l = mem_alloc(sizeof *l);
	l->loop = loop;
	l->options = o;
	l->options.path = mem_strdup(o.path);
	l->ops = ops;
	l->arg = arg;
	l->tokens = o.accepts_per_second;
	l->tokens_at = now_mono();
	turn_must(uv_pipe_init(turn_uv(loop), &l->uv, 0), "pipe");
	l->uv.data = l;
	turn_hold(loop);
	if (start_listening(l, fd, e)) {
		stream_listener_close(&l);
		return err_in(e, "%s", o.path);
	}
	*out = l;
	return 0;
}

static void remove_file(const struct stream_listener *l)
{
	struct stat st;

	if (!lstat(l->options.path, &st) && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->options.path);
}

void stream_listener_close(struct stream_listener **slot)
{
	struct stream_listener *l = *slot;

	if (!l)
		return;
	*slot = NULL;
	while (l->streams) {
		struct stream *s = l->streams;
		stream_end(s, "closed");
		tell_end(s);
		unlink_stream(s);
	}
	after_cancel(&l->pause);
	remove_file(l);
	uv_close((uv_handle_t *)&l->uv, on_listener_closed);
	turn_release(l->loop);
}
