/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as a certificate chain. What is read must have facts, must
 * write PEM that reads back to the same certificates, and can be checked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/chain.h"

#define NOW INT64_C(1800000000000)

static void use(const struct chain *c)
{
	const struct chain_facts *f = chain_facts(c);
	const struct str name = STR("a.test");
	struct buf id = BUF_INIT(100);
	size_t touched = strlen(f->serial) + strlen(f->subject) +
	                 strlen(f->issuer) + strlen(f->issuer_cn) +
	                 strlen(f->root_cn) + strlen(f->fingerprint);
	struct err e;

	for (size_t i = 0; i < f->san_count; i++)
		touched += strlen(f->sans[i]);
	if (touched < 64)
		abort();
	chain_check(c, NULL, &name, 1, NOW, &e);
	chain_check(c, NULL, NULL, 0, f->not_before, &e);
	chain_cert_id(c, &id, &e);
	buf_free(&id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str pem = { (const char *)data, size };
	struct buf out = BUF_INIT(2 * CHAIN_PEM_MAX);
	struct chain *c, *again;
	struct err e;

	if (chain_read(pem, &c, &e) < 0)
		return 0;
	use(c);
	/* Normal form has a newline for each 64 characters and may be longer.
	 */
	if (chain_pem(c, &out, &e) == 0 && out.len <= CHAIN_PEM_MAX) {
		if (chain_read(buf_str(&out), &again, &e) < 0)
			abort();
		for (size_t i = 0; i < chain_count(c); i++)
			if (!str_eq(chain_der(c, i), chain_der(again, i)))
				abort();
		chain_free(again);
	}
	chain_free(c);
	buf_free(&out);
	return 0;
}
