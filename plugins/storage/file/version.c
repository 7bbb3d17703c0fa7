/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value's version is a hash of the value: it needs no file beside the value,
 * survives restarts, backups and copies, and is the same for every process. The
 * hash is SipHash-2-4 with two fixed keys, 128 bits in all; nobody gains by
 * finding two values of the same version, so it need not resist that.
 */
#include "version.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4], int rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t word_at(const unsigned char *p, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

static uint64_t siphash(const unsigned char *p, size_t len, uint64_t k0,
			uint64_t k1)
{
	uint64_t v[4] = { k0 ^ UINT64_C(0x736f6d6570736575),
			  k1 ^ UINT64_C(0x646f72616e646f6d),
			  k0 ^ UINT64_C(0x6c7967656e657261),
			  k1 ^ UINT64_C(0x7465646279746573) };
	uint64_t last = (uint64_t)len << 56;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word = word_at(p, 8);
		v[3] ^= word;
		mix(v, 2);
		v[0] ^= word;
	}
	last |= word_at(p, len);
	v[3] ^= last;
	mix(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void version_of(const void *bytes, size_t len, char out[VERSION_TEXT])
{
	uint64_t high = siphash(bytes, len, 1, 2);
	uint64_t low = siphash(bytes, len, 3, 4);

	snprintf(out, VERSION_TEXT, "%016" PRIx64 "%016" PRIx64, high, low);
}
