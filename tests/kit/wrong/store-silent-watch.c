/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-watch of docs/plugin-abi.md: a watch never says anything at all, whatever changes. */
#define FAULT_SILENT_WATCH

#include "memory.h"

WRONG_STORE("store-silent-watch")
