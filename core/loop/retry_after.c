/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry-After and the dates in it. Parsed by hand: strptime depends on the
 * locale, and curl's date parser takes nearly anything for a date, while here a
 * value that we do not understand must count as none.
 *
 *   Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate, what everybody sends
 *   Sunday, 06-Nov-94 08:49:37 GMT    RFC 850, obsolete
 *   Sun Nov  6 08:49:37 1994          asctime(), obsolete
 */
#include "loop/retry_after.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (!strncmp(name, months + 3 * i, 3))
			return i;
	return -1;
}

/* Two digits stand for a year at most 50 years ahead (RFC 9110). */
static int full_year(int year)
{
	if (year >= 100)
		return year;
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	int guess = (tm.tm_year + 1900) / 100 * 100 + year;
	return guess > tm.tm_year + 1900 + 50 ? guess - 100 : guess;
}

struct date {
	char month[4];
	int day, year, hour, minute, second;
};

static bool ended(const char *text, int used)
{
	return used > 0 && !text[used];
}

static bool scan(const char *text, struct date *d)
{
	int used = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
	           &d->day, d->month, &d->year, &d->hour, &d->minute,
	           &d->second, &used) == 6 &&
	    ended(text, used))
		return true;
	used = 0;
	if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n",
	           &d->day, d->month, &d->year, &d->hour, &d->minute,
	           &d->second, &used) == 6 &&
	    ended(text, used))
		return true;
	used = 0;
	return sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n",
	              d->month, &d->day, &d->hour, &d->minute, &d->second,
	              &d->year, &used) == 6 &&
	       ended(text, used);
}

static bool is_sane(const struct date *d)
{
	return d->day >= 1 && d->day <= 31 && d->hour >= 0 && d->hour <= 23 &&
	       d->minute >= 0 && d->minute <= 59 && d->second >= 0 &&
	       d->second <= 60 && d->year >= 0;
}

int64_t retry_after_date(struct str value)
{
	char text[48];
	struct date d = { .day = 0 };

	value = str_trim(value);
	if (!value.len || value.len >= sizeof text)
		return -1;
	memcpy(text, value.ptr, value.len);
	text[value.len] = '\0';
	if (!scan(text, &d) || !is_sane(&d) || month_of(d.month) < 0)
		return -1;
	struct tm tm = {
		.tm_mday = d.day,
		.tm_mon = month_of(d.month),
		.tm_year = full_year(d.year) - 1900,
		.tm_hour = d.hour,
		.tm_min = d.minute,
		.tm_sec = d.second,
	};
	time_t seconds = timegm(&tm);
	return seconds < 0 ? -1 : (int64_t)seconds * 1000;
}

static int64_t capped(int64_t ms)
{
	return ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : ms;
}

int64_t retry_after_parse(struct str value, int64_t now_ms)
{
	int64_t seconds = 0;
	size_t i = 0;

	value = str_trim(value);
	for (; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			break;
		if (seconds <= RETRY_AFTER_MAX_MS) /* enough: no overflow */
			seconds = seconds * 10 + (value.ptr[i] - '0');
	}
	if (value.len && i == value.len)
		return capped(seconds > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS :
		                                             seconds * 1000);
	int64_t date = retry_after_date(value);
	if (date < 0)
		return -1;
	return date <= now_ms ? 0 : capped(date - now_ms);
}
