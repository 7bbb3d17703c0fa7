/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

/*
 * When: pure functions of facts and a dice throw, so that tests can ask for any
 * moment. Times are Unix milliseconds, durations milliseconds.
 */

/* When a certificate of this life is to be renewed: by policy, up to two
 * hundredths of its life earlier (`dice` 0 to 65535) so that what was issued
 * together is not renewed together. */
int64_t backoff_renew_at(const struct conf_renew *policy, int64_t not_before,
                         int64_t not_after, uint16_t dice);

/* When to try again after the `attempts`th failure in a row (1 is the first).
 * What may pass is tried soon and then less often, what an operator must mend
 * rarely, a rate limit when the CA said. `life` of the certificate bounds the
 * wait for short-lived ones; 0: unknown. */
int64_t backoff_retry_at(const struct err *e, unsigned attempts, int64_t life,
                         int64_t now, uint16_t dice);
