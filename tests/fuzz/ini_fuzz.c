/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a configuration file. It must be read without a fault, and a
 * snapshot without errors must have what conf.h promises.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "conf/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promised(const struct conf *c)
{
	for (size_t i = 0; i < c->certificate_count; i++) {
		const struct conf_certificate *cert = &c->certificates[i];
		if (!cert->issuer || !cert->names.count || !cert->key.count ||
		    !cert->challenge.count || !cert->export_dir || !*cert->name)
			abort();
		for (size_t j = 0; j < cert->challenge.count; j++)
			if (!conf_challenge(c, cert->challenge.items[j]))
				abort();
	}
	for (size_t i = 0; i < c->issuer_count; i++)
		if (!*c->issuers[i].directory || !c->issuers[i].max_orders ||
		    !c->issuers[i].challenge.count ||
		    c->issuers[i].timeout_ms < 1000)
			abort();
	if (!c->nginx_count || *c->nginx[0].name || !*c->agent.run_dir)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_INIT(16 << 20);
	struct ini ini = INI_INIT(&mem);
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct conf conf = { 0 };

	ini_parse_text(&ini, (struct str){ (const char *)data, size },
		       "fuzz.ini", &errors);
	build_conf(&conf, &ini, &mem, &errors);
	if (!errors.errors)
		promised(&conf);
	conf_errors_free(&errors);
	arena_reset(&mem);
	return 0;
}
