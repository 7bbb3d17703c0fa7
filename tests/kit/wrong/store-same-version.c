/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-cas of docs/plugin-abi.md: the version stays when the value changes, always. */
#define FAULT_SAME_VERSION

#include "memory.h"

WRONG_STORE("store-same-version")
