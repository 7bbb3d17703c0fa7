/* SPDX-License-Identifier: Apache-2.0 */
/* Death at a chosen moment, for tests of what survives it: see fault.h. */
#include "flow/fault.h"

#ifdef ACME_FAULTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fault_point(const char *flow, const char *state, const char *moment)
{
	const char *wanted = getenv("ACME_FAULT");
	char here[96];

	if (!wanted)
		return;
	snprintf(here, sizeof here, "%s:%s:%s", flow, state, moment);
	if (!strcmp(here, wanted))
		raise(SIGKILL);
}

#else
typedef int fault_is_off; /* a file must not be empty */
#endif
