/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A moment as a person says it: "in 61 days", "3 hours ago", "now". */
enum { WHEN_TEXT = 40 };
char *when_text(int64_t wall_ms, char out[WHEN_TEXT]);

/* The same for an RFC 3339 text of the agent; "-" for NULL. */
char *when_of(const char *rfc3339, char out[WHEN_TEXT]);
