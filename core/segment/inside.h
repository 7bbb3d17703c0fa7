/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/secret.h"
#include "segment/batch.h"
#include "segment/room.h"
#include "segment/segment.h"
#include "segment/space.h"

/*
 * A segment as the files of this folder see it: segment.c publishes single
 * records, open.c makes and takes over files, rebuild.c replaces spaces.
 */
struct segment {
	int fd;
	bool durable;
	enum segment_state state;
	int64_t grace_ms;
	struct acme_segment_header *header; /* the mapped page */
	struct acme_segment reader;
	struct room room;
	struct space *active; /* what root names */
	struct space *fresh; /* between begin and end of a rebuild, else NULL */
	int last_id;
	struct secret scratch; /* a whole record */
};

/* Moves the words that tell readers to look again. */
void segment_announce(struct segment *s, bool certificates);

/* A new space for what `*space` holds and `more` names beyond, in its place;
 * if it is the active one, readers follow by one store of root. */
int segment_grow(struct segment *s, struct space **space, uint64_t more,
		 struct err *e);

/* Flushes `next`, stores root, retires the space before. */
int segment_switch(struct segment *s, struct space *next, struct err *e);

/* fdatasync, if the segment is durable. */
int segment_settle(struct segment *s, struct err *e);
