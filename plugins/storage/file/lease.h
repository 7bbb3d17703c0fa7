/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "disk.h"

enum { LEASE_TEXT = 33 };

/* Leases of the store; `name` is one file name (key_name). Blocking. Times are
 * Unix milliseconds. */
acme_status lease_take(struct disk *d, const char *name, int64_t now,
		       uint32_t ms, char lease[LEASE_TEXT], struct outcome *o);
acme_status lease_renew(struct disk *d, const char *name, acme_str lease,
			int64_t now, uint32_t ms, struct outcome *o);
acme_status lease_drop(struct disk *d, const char *name, acme_str lease,
		       struct outcome *o);
