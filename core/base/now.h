/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The time, in milliseconds. Wall time says when something is due (it may
 * jump); monotonic time measures how long something took. Tests may replace
 * both. Threads: any.
 */
int64_t now_wall(void); /* since the Unix epoch, UTC */
int64_t now_mono(void);

/* NULL gives the real clocks back. Not while other threads run. */
void now_replace(int64_t (*wall)(void), int64_t (*mono)(void));

/* "2026-11-21T19:36:09Z"; with `millis` "...:09.123Z". Returns `out`. */
enum { NOW_TEXT = 32 };
char *now_text(int64_t wall_ms, int millis, char out[NOW_TEXT]);

/* RFC 3339 date-time as the CA writes it, with any fraction and offset.
 * Returns 0, or -1 if the text is not one. */
int now_parse(const char *text, int64_t *wall_ms);
