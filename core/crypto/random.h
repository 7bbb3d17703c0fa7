/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Fills `out` with unpredictable bytes. Never returns without: a machine that
 * has no randomness ends the process. Threads: any. */
void crypto_random(void *out, size_t len);
