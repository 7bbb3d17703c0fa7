/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-reads of docs/plugin-abi.md: what was put is gone with the instance that was asked to keep it. */
#define FAULT_NONE

#include "memory.h"

WRONG_STORE("store-forgets")
