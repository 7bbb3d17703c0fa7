/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells the service manager, in the words of sd_notify(3): "READY=1",
 * "STATUS=...", "WATCHDOG=1". Does nothing when NOTIFY_SOCKET is not set.
 * Returns 0, or -1 with errno when the manager could not be told.
 */
int notify_send(const char *state);

/* The interval of WATCHDOG_USEC for this process in milliseconds, 0 if none. */
long notify_watchdog_ms(void);
