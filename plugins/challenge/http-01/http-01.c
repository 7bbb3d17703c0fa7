/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-01 (RFC 8555 section 8.3) through the nginx module: the agent publishes
 * token and key authorization where every worker of nginx sees them, and they
 * answer /.well-known/acme-challenge/TOKEN on any plain listener. So there is
 * nothing left to do here than to say when. If publishing fails the host answers
 * for us.
 */
#include <acme/plugin.h>

static acme_status http_open(const acme_host *host, acme_op root, void **self)
{
	(void)root;
	*self = (void *)(uintptr_t)host;
	return ACME_OK;
}

static void http_close(void *self)
{
	(void)self;
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	const acme_host *host = self;

	host->publish(op, ACME_PUBLISH_TOKEN, c->token, c->key_authorization);
	host->done(op, ACME_OK, 0, acme_text(""));
}

static void cleanup(void *self, acme_op op, const acme_challenge *c)
{
	const acme_host *host = self;
	const acme_str nothing = { NULL, 0 };

	host->publish(op, ACME_PUBLISH_TOKEN, c->token, nothing);
	host->done(op, ACME_OK, 0, acme_text(""));
}

static const acme_challenge_ops CHALLENGE = {
	.size = sizeof CHALLENGE,
	.types = ACME_HTTP_01,
	.lock_scope = ACME_SCOPE_NONE,
	.present = present,
	.cleanup = cleanup,
};

static const acme_plugin PLUGIN = {
	.size = sizeof PLUGIN,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1,
	.name = "http-01",
	.version = "0.1.0",
	.about = "Answers http-01 challenges through the nginx module.",
	.open = http_open,
	.close = http_close,
	.challenge = &CHALLENGE,
};

const acme_plugin *acme_plugin_v0(void)
{
	return &PLUGIN;
}
