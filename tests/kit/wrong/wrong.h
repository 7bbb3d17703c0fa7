/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all wrong plugins have in common: an instance that holds the host, an
 * answer, a cleanup that is right, and a descriptor (WRONG_PLUGIN, WRONG_STORE).
 * Each file beside this one breaks one rule, and says which.
 */
#pragma once

#include <stdlib.h>

#include <acme/plugin.h>

#define UNUSED __attribute__((unused))

struct self {
	const acme_host *host;
	acme_op root, kept;
	acme_str lent;
	void *memory;
	const acme_http_response *answer;
	int count;
};

static UNUSED acme_status wrong_open(const acme_host *host, acme_op root,
				     void **self)
{
	struct self *s = calloc(1, sizeof *s);

	if (!s)
		return ACME_RETRY;
	s->host = host;
	s->root = root;
	*self = s;
	return ACME_OK;
}

static UNUSED void wrong_close(void *self)
{
	free(self);
}

static UNUSED void answer(void *self, acme_op op, acme_status status)
{
	((struct self *)self)->host->done(op, status, 0, acme_text(""));
}

static UNUSED void right(void *self, acme_op op, const acme_challenge *c)
{
	(void)c;
	answer(self, op, ACME_OK);
}

/* One request; `fn` gets the answer. */
static UNUSED void wrong_ask(void *self, acme_op op, const char *method,
			     acme_http_then *fn)
{
	acme_http_request req = { .size = sizeof req };

	req.method = acme_text(method);
	req.url = acme_text("https://provider.invalid/v1");
	((struct self *)self)->host->http(op, &req, fn, NULL);
}

#define WRONG_DESCRIPTOR(NAME, ...)                                            \
	static const acme_plugin PLUGIN = {                                    \
		.size = sizeof PLUGIN, .abi_major = ACME_ABI_MAJOR,            \
		.abi_minor = ACME_ABI_MINOR, .name = NAME, .version = "1",     \
		.about = "Wrong in one way.", __VA_ARGS__                      \
	};                                                                     \
	const acme_plugin *acme_plugin_v0(void)                                \
	{                                                                      \
		return &PLUGIN;                                                \
	}

#define WRONG_OPS(PRESENT, CLEANUP)                                            \
	static const acme_challenge_ops OPS = {                                \
		.size = sizeof OPS, .types = ACME_HTTP_01,                     \
		.present = PRESENT, .cleanup = CLEANUP                         \
	};

#define WRONG_PLUGIN(NAME, PRESENT, CLEANUP)                                   \
	WRONG_OPS(PRESENT, CLEANUP)                                            \
	WRONG_DESCRIPTOR(NAME, .open = wrong_open, .close = wrong_close,       \
			 .challenge = &OPS)
