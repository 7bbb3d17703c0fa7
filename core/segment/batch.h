/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "segment/segment.h"

/*
 * What one call publishes: records, ready to be written in one piece, and the
 * slots that are to be stored afterwards, in this order.
 */
struct change {
	uint32_t kind;
	uint32_t size; /* of the record; 0: the name is dropped */
	size_t record; /* offset in `records` */
	size_t name;   /* offset in `names` */
	size_t name_len;
};

struct batch {
	struct buf records; /* holds keys; wiped when freed */
	struct buf names;
	struct change *changes;
	size_t count;
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);

/* One record of a name and a body. ERR_INVALID if it passes the bounds. */
int batch_add(struct batch *b, uint32_t kind, struct str name, struct str body,
	      struct err *e);
int batch_add_alpn(struct batch *b, struct str name, struct str cert,
		   struct str key, struct err *e);
/* `chains` holds the name of a CHAIN, or 0, for each entry. */
int batch_add_cert(struct batch *b, const struct segment_cert *cert,
		   const uint64_t *chains, struct err *e);
/* The body of a CHAIN, and the name that it should have. */
int batch_chain_body(struct buf *out, const struct segment_entry *entry,
		     uint64_t *name, struct err *e);

void batch_drop(struct batch *b, uint32_t kind, struct str name);
