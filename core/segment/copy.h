/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "segment/segment.h"

/* Puts one certificate of another segment into this one, chains and server
 * names included. ERR_ABSENT if the other has none of that name. */
int segment_copy_cert(struct segment *to, const struct acme_segment *from,
		      struct str name, struct err *e);
