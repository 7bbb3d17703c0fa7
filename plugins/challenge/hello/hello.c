/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello: dns-01 through an imaginary provider, written to be copied.
 *
 *   POST   URL       {"name":"_acme-challenge.example.org","value":"..."}
 *                    -> 201, the record's id as the body
 *   DELETE URL/ID    -> 204, or 404 when it is gone
 *
 * Four things to see: options are declared, not parsed (OPTIONS); one instance
 * is one `self`; each operation ends with exactly one done; what cleanup needs
 * to know is emitted by present and comes back as the cookie.
 */
#include <stdlib.h>

#include <acme/plugin.h>

struct hello {
	const acme_host *host;
	acme_str url; /* options live until close: no copy */
};

static acme_status hello_open(const acme_host *host, acme_op root, void **self)
{
	struct hello *h = calloc(1, sizeof *h);

	if (!h)
		return acme_donef(host, root, ACME_RETRY, 0, "out of memory");
	h->host = host;
	h->url = host->option_str(root, "url");
	*self = h;
	return ACME_OK;
}

static void hello_close(void *self)
{
	free(self);
}

/* One request with our token; `fn` gets the answer. Deadline, cancellation and
 * connection are the host's business. The secret is lent until we return, but
 * memory of an operation is wiped at its end, so it may stand there. */
static void ask(struct hello *h, acme_op op, const char *method, acme_str url,
                acme_str body, acme_http_then *fn)
{
	acme_str token = h->host->secret(op, "token");
	acme_str headers[2];
	acme_http_request req = { .size = sizeof req };

	headers[0] = acme_printf(h->host, op, "Authorization: Bearer %.*s",
	                         ACME_ARG(token));
	headers[1] = acme_text("Content-Type: application/json");
	req.method = acme_text(method);
	req.url = url;
	req.headers = headers;
	req.header_count = 2;
	req.body = body;
	h->host->http(op, &req, fn, NULL);
}

static void on_created(void *self, acme_op op, void *arg,
                       const acme_http_response *res)
{
	struct hello *h = self;
	acme_entry cookie = { .size = sizeof cookie };

	(void)arg;
	if (res->status == ACME_OK) {
		cookie.value = res->body; /* the record's id */
		h->host->emit(op, &cookie);
	}
	h->host->done(op, (acme_status)res->status, res->retry_ms, res->error);
}

/* Names and values need no escaping: the host checked what they are made of. */
static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct hello *h = self;

	ask(h, op, "POST", h->url,
	    acme_printf(h->host, op, "{\"name\":\"%.*s\",\"value\":\"%.*s\"}",
	                ACME_ARG(c->record_name), ACME_ARG(c->record_value)),
	    on_created);
}

static void on_deleted(void *self, acme_op op, void *arg,
                       const acme_http_response *res)
{
	struct hello *h = self;
	acme_status status = (acme_status)res->status;

	(void)arg;
	if (status == ACME_ABSENT) /* somebody was first: just as well */
		status = ACME_OK;
	h->host->done(op, status, res->retry_ms, res->error);
}

static void cleanup(void *self, acme_op op, const acme_challenge *c)
{
	struct hello *h = self;
	const acme_str none = { NULL, 0 };

	if (c->cookie.len == 0) { /* present never got as far as a record */
		h->host->done(op, ACME_OK, 0, none);
		return;
	}
	ask(h, op, "DELETE",
	    acme_printf(h->host, op, "%.*s/%.*s", ACME_ARG(h->url),
	                ACME_ARG(c->cookie)),
	    none, on_deleted);
}

static const acme_option URL = {
	.size = sizeof URL, .type = ACME_URL, .flags = ACME_REQUIRED,
	.name = "url", .help = "Where the provider's API keeps records.",
};
static const acme_option TOKEN = {
	.size = sizeof TOKEN, .type = ACME_SECRET, .flags = ACME_REQUIRED,
	.name = "token", .help = "The API token, best as file:PATH.",
};
static const acme_option *const OPTIONS[] = { &URL, &TOKEN, NULL };

static const acme_challenge_ops CHALLENGE = {
	.size = sizeof CHALLENGE,
	.types = ACME_DNS_01,
	.lock_scope = ACME_SCOPE_NONE, /* each value is a record of its own */
	.present = present,
	.cleanup = cleanup,
};

static const acme_plugin PLUGIN = {
	.size = sizeof PLUGIN,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1, /* the oldest agent that will do */
	.name = "hello", /* and the file is hello.so */
	.version = "0.1.0",
	.about = "Example: dns-01 through an imaginary provider.",
	.options = OPTIONS,
	.open = hello_open,
	.close = hello_close,
	.challenge = &CHALLENGE,
};

const acme_plugin *acme_plugin_v0(void)
{
	return &PLUGIN;
}
