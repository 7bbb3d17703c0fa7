/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/log.h"
#include "loop/loop.h"
#include "store/record.h"

/*
 * Leaves a certificate as PEM files for other programs, off the loop:
 * fullchain.pem and privkey.pem for its first key type, fullchain.TYPE.pem and
 * privkey.TYPE.pem (TYPE as rsa-2048) for each further one. Each file is
 * replaced whole, the key first. A failure is logged; the store has it all.
 */
void export_start(struct loop *loop, const struct log *log, const char *folder,
                  const struct cert_record *record);
