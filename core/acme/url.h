/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum { URL_MAX = 2048 };

enum url_flag {
	URL_HTTP = 1, /* plain http to any host, not only to loopback */
};

/* An absolute URL that we are willing to use: https (http to localhost,
 * 127.0.0.0/8 and [::1]), a host, no user or password, no fragment, printable
 * ASCII without quotes, blanks, "<", ">", backslash; at most URL_MAX bytes.
 * ERR_INVALID says what is wrong. */
int url_check(struct str url, unsigned flags, struct err *e);

/* Same scheme, host (any case) and port (defaults known)? Both were checked. */
bool url_same_origin(struct str a, struct str b);

/* "host" or "host:port", borrowed; for log lines. Empty if it has none. */
struct str url_authority(struct str url);
