/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time source and RFC 3339 text. Dates before 1970 and after 9999 are refused:
 * no certificate that we could use has them.
 */
#include "base/now.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t real_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

static int64_t real_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t (*wall_fn)(void) = real_wall;
static int64_t (*mono_fn)(void) = real_mono;

int64_t now_wall(void)
{
	return wall_fn();
}

int64_t now_mono(void)
{
	return mono_fn();
}

void now_replace(int64_t (*wall)(void), int64_t (*mono)(void))
{
	wall_fn = wall ? wall : real_wall;
	mono_fn = mono ? mono : real_mono;
}

char *now_text(int64_t wall_ms, int millis, char out[NOW_TEXT])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms < 0 || !gmtime_r(&seconds, &tm) || tm.tm_year > 8099)
		return memcpy(out, "-", 2);
	size_t len = strftime(out, NOW_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	if (millis)
		snprintf(out + len, NOW_TEXT - len, ".%03dZ",
		         (int)(wall_ms % 1000));
	else
		snprintf(out + len, NOW_TEXT - len, "Z");
	return out;
}

/* `count` digits as a number, or -1. */
static int digits(const char **p, int count)
{
	int value = 0;

	while (count--) {
		if (**p < '0' || **p > '9')
			return -1;
		value = value * 10 + (*(*p)++ - '0');
	}
	return value;
}

static bool skip(const char **p, const char *any)
{
	if (!**p || !strchr(any, **p))
		return false;
	(*p)++;
	return true;
}

/* ".123456" in milliseconds; 0 if there is none; -1 if it has no digit. */
static int fraction(const char **p)
{
	int value = 0, scale = 100;

	if (!skip(p, "."))
		return 0;
	if (**p < '0' || **p > '9')
		return -1;
	for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
		value += scale * (**p - '0');
	return value;
}

/* "Z" or "+hh:mm", in minutes; -1 for anything else is told by `ok`. */
static int offset(const char **p, bool *ok)
{
	*ok = true;
	if (skip(p, "Zz"))
		return 0;
	int sign = **p == '-' ? -1 : 1;
	*ok = skip(p, "+-");
	int h = *ok ? digits(p, 2) : -1;
	*ok = *ok && skip(p, ":");
	int m = *ok ? digits(p, 2) : -1;
	*ok = *ok && h >= 0 && h < 24 && m >= 0 && m < 60;
	return sign * (h * 60 + m);
}

int now_parse(const char *text, int64_t *wall_ms)
{
	struct tm tm = { 0 };
	const char *p = text;
	bool ok = true;

	tm.tm_year = digits(&p, 4) - 1900;
	ok = ok && skip(&p, "-");
	tm.tm_mon = (ok ? digits(&p, 2) : 0) - 1;
	ok = ok && skip(&p, "-");
	tm.tm_mday = ok ? digits(&p, 2) : 0;
	ok = ok && skip(&p, "Tt ");
	tm.tm_hour = ok ? digits(&p, 2) : -1;
	ok = ok && skip(&p, ":");
	tm.tm_min = ok ? digits(&p, 2) : -1;
	ok = ok && skip(&p, ":");
	tm.tm_sec = ok ? digits(&p, 2) : -1;
	int millis = ok ? fraction(&p) : -1;
	int minutes = ok ? offset(&p, &ok) : 0;
	if (!ok || *p || millis < 0 || tm.tm_year < 70 || tm.tm_mon < 0 ||
	    tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
	    tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -1;
	*wall_ms = ((int64_t)timegm(&tm) - (int64_t)minutes * 60) * 1000 +
	           millis;
	return 0;
}
