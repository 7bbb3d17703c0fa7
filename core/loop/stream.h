/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

/*
 * A Unix-domain socket that talks in lines, for the control socket.
 *
 * Peers are known by what the kernel says at connect time. Everything a peer
 * can make us hold is bounded: line length, unsent answers, connections (in all
 * and for each uid), new connections a second. Who passes a bound is dropped,
 * except for the rate, where the excess waits in the backlog.
 */
struct stream_listener;
struct stream; /* one connection */

enum { STREAM_GROUPS = 64 };

struct stream_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;    /* for the log only: pids are reused */
	size_t count; /* supplementary groups; a peer with more is refused */
	gid_t groups[STREAM_GROUPS];
};

/* Is `gid` the peer's group or one of its supplementary ones? */
bool stream_peer_in(const struct stream_peer *peer, gid_t gid);

/* Callbacks get the listener's `arg`; what belongs to one connection is
 * attached with stream_set. Within each of them stream_send, stream_close and
 * stream_drop are allowed. */
struct stream_ops {
	/* A new connection. False refuses it; then nothing else is called. */
	bool (*open)(void *arg, struct stream *s,
	             const struct stream_peer *peer);
	/* One line without its newline (and a CR before it); borrowed. */
	void (*line)(void *arg, struct stream *s, struct str line);
	/* The end of a connection, exactly once after an `open` that returned
	 * true: the peer went, was dropped, or we closed. `why` is a few words
	 * for the log; "closed" for the usual. The handle is gone. Comes in a
	 * later turn after stream_close and stream_drop, and within
	 * stream_listener_close for what is still open then. */
	void (*end)(void *arg, struct stream *s, const char *why);
};

struct stream_options {
	const char *path;       /* at most 107 bytes */
	mode_t mode;            /* 0: 0600 */
	uid_t uid;              /* of the file; (uid_t)-1: as is */
	gid_t gid;              /* likewise */
	size_t max_line;        /* 0: 64 KiB */
	size_t max_queue;       /* unsent bytes of a connection; 0: 1 MiB */
	int max_connections;    /* 0: 64 */
	int max_per_uid;        /* 0: half of max_connections */
	int accepts_per_second; /* 0: 200; the same number may come at once */
};

/* Binds, sets mode and owner before anybody can connect, listens. A socket file
 * that nobody answers on is replaced. ERR_CONFLICT: somebody answers, or the
 * path is something else than a socket; ERR_INVALID: the path is too long
 * (with its length). `ops` must outlive the listener. */
int stream_listen(struct loop *loop, const struct stream_options *options,
                  const struct stream_ops *ops, void *arg,
                  struct stream_listener **out, struct err *e);
/* Ends all its connections, removes the socket file if it is still ours. */
void stream_listener_close(struct stream_listener **listener);

void stream_set(struct stream *s, void *data);
void *stream_get(const struct stream *s);
/* A shorter max_line for this one; within `open`. */
void stream_limit(struct stream *s, size_t max_line);
const struct stream_peer *stream_who(const struct stream *s);

/* Sends the bytes and a newline, in the order of calls. Copies. When the unsent
 * bytes would pass max_queue the connection is dropped ("reader too slow"); on
 * one that is closing nothing happens. */
void stream_send(struct stream *s, struct str line);

/* After what was sent has gone; no more lines come. The peer has five seconds
 * to read. */
void stream_close(struct stream *s);
/* At once. */
void stream_drop(struct stream *s);
