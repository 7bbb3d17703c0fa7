/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "store/record.h"

/*
 * What nginx serves: the segment in the run directory, and its replica on the
 * disk, from which the segment is filled after a boot before anything else is
 * asked. Threads: the loop's; the replica is written on the pool.
 */
struct publisher;

/* Opens both files and fills the segment from the replica if it has just been
 * made. Blocks on the disk: before the loop runs. A damaged replica is set
 * aside; only a segment that cannot be opened is an error. */
int publisher_open(const char *run_dir, const char *state_dir,
                   const struct log *log, struct publisher **out,
                   struct err *e);

/* Begins what goes on in the background: the replica, the wiping of superseded
 * keys, signs of life. */
void publisher_start(struct publisher *p, struct loop *loop);

/* Waits for the replica to be written. */
void publisher_close(struct publisher *p);

/* Publishes the record unless this version already is; then the replica
 * follows. A failure leaves what was published, and `incomplete` until a later
 * install has succeeded. */
int publisher_install(struct publisher *p, const struct cert_record *record,
                      struct err *e);
/* No longer served, nor after the next boot. */
void publisher_withdraw(struct publisher *p, const char *name);
bool publisher_incomplete(const struct publisher *p);
/* Somebody begins to install everything anew. */
void publisher_again(struct publisher *p);

int publisher_token(struct publisher *p, struct str token, struct str value,
                    struct err *e);
int publisher_withdraw_token(struct publisher *p, struct str token,
                             struct err *e);

/* Who may open the segment beside us: a group, for a rootless nginx, or with
 * (gid_t)-1 nobody. */
int publisher_set_group(struct publisher *p, gid_t gid, struct err *e);

/* Could the replica be opened? Without one, the segment has what it had. */
bool publisher_has_replica(const struct publisher *p);

/* How many certificates are published. Counts: not for every request. */
size_t publisher_count(const struct publisher *p);
