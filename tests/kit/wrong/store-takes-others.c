/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-others of docs/plugin-abi.md: del takes what stands beside the key with it. */
#define FAULT_TAKES_OTHERS

#include "memory.h"

WRONG_STORE("store-takes-others")
