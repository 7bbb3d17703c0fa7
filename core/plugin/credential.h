/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

/*
 * A secret by reference, as an INI file names it:
 *
 *   file:/etc/acme-agent/hetzner.token    the file, without its last newline
 *   env:HETZNER_TOKEN                     a variable of our environment
 *   credential:hetzner                    $CREDENTIALS_DIRECTORY/hetzner
 *   anything else                         is the secret itself
 *
 * ERR_INVALID for an empty secret, one with a NUL, over 64 KiB, or a reference
 * that is none; ERR_ABSENT, ERR_DENIED from the file. Errors name the
 * reference, never the content. May block: for start, reload and jobs.
 */
int credential_read(const char *reference, struct secret *out, struct err *e);

/* Is it the secret itself, as opposed to a reference? */
bool credential_is_literal(const char *reference);
