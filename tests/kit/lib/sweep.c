/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps: what is right once must be right when anything fails. The n-th
 * allocation, the n-th service, the n-th answer of the provider, and the host
 * that ends the operation before its n-th turn: for n = 1, 2, ... until there
 * is no n-th any more.
 */
#include "inside.h"

enum { PLACES_MAX = 64 };

static const uint32_t FAULTS[] = {
	KIT_FAIL_CANCEL,   KIT_FAIL_ALLOC,    KIT_FAIL_SERVICE,
	KIT_FAIL_HTTP,	   KIT_FAIL_HTTP_500, KIT_FAIL_HTTP_429,
	KIT_FAIL_HTTP_403, KIT_FAIL_HTTP_404,
};

/* False: there was no n-th. */
static bool once(const struct sweep *s, uint32_t fault, uint32_t n)
{
	kit *k = kit_open(s->setup, s->report);
	bool reached;

	if (!k)
		return false;
	if (s->before) {
		s->before(k, s->arg);
		kit_run(k);
	}
	kit_fail(k, fault, n);
	kit_call *call = s->begin(k, s->arg);
	kit_run(k);
	reached = kit_failed(k);
	k->fail_at = 0; /* and it stays known that it failed */
	if (reached && s->after)
		s->after(k, call, s->arg);
	kit_close(k);
	return reached;
}

void sweep_run(const struct sweep *s)
{
	for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
		for (uint32_t n = 1; n < PLACES_MAX; n++)
			if (!once(s, FAULTS[i], n))
				break;
}
