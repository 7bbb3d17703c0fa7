/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/secret.h"
#include "crypto/key.h"
#include "loop/loop.h"

/* Makes a key and its PEM on a pool thread: RSA may take seconds. On success
 * `key` and `pem` become the callee's. */
struct keygen;

typedef void keygen_fn(void *arg, int rc, const struct err *e, struct key *key,
                       struct secret *pem);

struct keygen *keygen_start(struct loop *loop, enum key_kind kind,
                            keygen_fn *fn, void *arg);
/* Safe with NULL; sets it NULL; then fn does not run. */
void keygen_cancel(struct keygen **keygen);
