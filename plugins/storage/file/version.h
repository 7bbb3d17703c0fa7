/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

enum { VERSION_TEXT = 33 };

/* The version of a value: 32 hexadecimal digits of a hash of it. */
void version_of(const void *bytes, size_t len, char out[VERSION_TEXT]);
