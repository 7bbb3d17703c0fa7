/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where tests kill us. In a debug build ACME_FAULT="order:finalize:before" makes
 * the process die by SIGKILL when that flow is about to save that state,
 * "...:after" once it is saved. Release builds have no trace of it.
 */
#ifdef ACME_FAULTS
void fault_point(const char *flow, const char *state, const char *moment);
#else
static inline void fault_point(const char *flow, const char *state,
                               const char *moment)
{
	(void)flow;
	(void)state;
	(void)moment;
}
#endif
