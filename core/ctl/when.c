/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distances in time, rounded down to one unit: an operator wants to know
 * whether it is soon, and the exact moment is in the JSON.
 */
#include "ctl/when.h"

#include <stdio.h>

#include "base/now.h"

char *when_text(int64_t wall_ms, char out[WHEN_TEXT])
{
	static const struct {
		const char *name;
		int64_t seconds;
	} UNITS[] = {
		{ "day", 86400 },
		{ "hour", 3600 },
		{ "minute", 60 },
		{ "second", 1 },
	};
	int64_t distance = (wall_ms - now_wall()) / 1000;
	int64_t span = distance < 0 ? -distance : distance;
	size_t i = 0;

	/* "47 hours" says more than "1 day". */
	while (i < 3 && span < 2 * UNITS[i].seconds)
		i++;
	long long n = (long long)(span / UNITS[i].seconds);
	if (n == 0)
		snprintf(out, WHEN_TEXT, "now");
	else if (distance > 0)
		snprintf(out, WHEN_TEXT, "in %lld %s%s", n, UNITS[i].name,
			 n == 1 ? "" : "s");
	else
		snprintf(out, WHEN_TEXT, "%lld %s%s ago", n, UNITS[i].name,
			 n == 1 ? "" : "s");
	return out;
}

char *when_of(const char *rfc3339, char out[WHEN_TEXT])
{
	int64_t ms;

	if (rfc3339 && !now_parse(rfc3339, &ms))
		return when_text(ms, out);
	snprintf(out, WHEN_TEXT, "-");
	return out;
}
