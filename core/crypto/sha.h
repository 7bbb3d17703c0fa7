/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_HEX = 65 };

/* SHA-256 of the bytes. Never fails. */
void sha256(const void *bytes, size_t len, uint8_t out[SHA256_LEN]);

/* The same as 64 lower-case hex digits and a NUL; returns `out`. */
char *sha256_hex(const void *bytes, size_t len, char out[SHA256_HEX]);
