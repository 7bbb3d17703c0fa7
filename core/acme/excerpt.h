/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/str.h"

/* How much of a stranger's bytes an error shows. */
enum { EXCERPT_BYTES = 60, EXCERPT_SIZE = EXCERPT_BYTES + 8 };

/* The first bytes in quotes, runs of white space as one blank, whatever is not
 * printable ASCII as "?", "..." where it was cut; "nothing" for none. Returns
 * `out`. */
char *excerpt(struct str bytes, char out[EXCERPT_SIZE]);
