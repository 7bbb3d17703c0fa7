/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-cas of docs/plugin-abi.md: put does not look at the version that it should expect. */
#define FAULT_NO_CAS

#include "memory.h"

WRONG_STORE("store-no-cas")
