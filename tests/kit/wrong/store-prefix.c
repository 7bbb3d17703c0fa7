/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks store-keys of docs/plugin-abi.md: a prefix is taken for the beginning of a text and no more. */
#define FAULT_PREFIX

#include "memory.h"

WRONG_STORE("store-prefix")
