/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, for thumbprints, names of things and fingerprints. */
#include "crypto/sha.h"

#include <stdlib.h>

#include <openssl/sha.h>

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_LEN])
{
	if (!SHA256(len ? bytes : "", len, out))
		abort(); /* without its default provider nothing works */
}

char *sha256_hex(const void *bytes, size_t len, char out[SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t sum[SHA256_LEN];

	sha256(bytes, len, sum);
	for (int i = 0; i < SHA256_LEN; i++) {
		out[2 * i] = digits[sum[i] >> 4];
		out[2 * i + 1] = digits[sum[i] & 15];
	}
	out[2 * SHA256_LEN] = '\0';
	return out;
}
