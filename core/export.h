/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/log.h"
#include "loop/loop.h"
#include "store/record.h"

/*
 * Leaves a certificate as PEM files for other programs, off the loop:
 * fullchain.pem and privkey.pem for key type `first`, fullchain.TYPE.pem and
 * privkey.TYPE.pem (TYPE as rsa-2048) for each other one. Each file is
 * replaced whole, the key first. A failure is logged; the store has it all.
 *
 * One after the other, in the order in which they came: two orders of the same
 * certificate may end at once, and the files must be of the last one.
 */
struct exporter;

struct exporter *exporter_new(struct loop *loop, const struct log *log);
void exporter_add(struct exporter *x, const char *folder,
                  const struct cert_record *record, enum key_kind first);
/* When the loop has come to its end. */
void exporter_free(struct exporter *x);
