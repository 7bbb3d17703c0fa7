/* SPDX-License-Identifier: Apache-2.0 */
/* The revocation flow: one signed request. See revocation.h. */
#include "flow/revocation.h"

#include <stdlib.h>

#include "acme/payload.h"
#include "acme/problem.h"
#include "base/mem.h"

enum revocation_state { REVOCATION_SEND, REVOCATION_DONE };

struct revocation {
	struct flow flow;
	struct buf der;
	int reason;
	const struct key *key;
	revocation_fn *fn;
	void *arg;
};

static int ask_send(struct flow *f, struct err *e)
{
	struct revocation *r = f->self;
	struct buf body = BUF_INIT(FLOW_STEP_MEM / 2);
	int rc = payload_revoke(buf_str(&r->der), r->reason, &body, e);

	f->ask.target = CA_REVOKE_CERT;
	f->ask.key = r->key;
	f->ask.with_jwk = r->key != NULL;
	return flow_payload(f, &body, rc);
}

static int hear_send(struct flow *f, const struct ca_answer *answer,
                     struct err *e)
{
	(void)f;
	(void)answer;
	(void)e;
	return REVOCATION_DONE;
}

static int fault_send(struct flow *f, const struct err *e)
{
	(void)f;
	return problem_is(e, "alreadyRevoked") ? REVOCATION_DONE : -1;
}

static void done(struct flow *f, int rc, const struct err *e)
{
	struct revocation *r = f->self;

	r->fn(r->arg, rc, e);
}

static const struct step STEPS[] = {
	[REVOCATION_SEND] = { "send", ask_send, hear_send, fault_send,
	                      FLOW_TO(REVOCATION_DONE), FLOW_SHORT },
	[REVOCATION_DONE] = { "done", NULL, NULL, NULL, 0, FLOW_SHORT },
};

const struct flow_table REVOCATION_FLOW = {
	.name = "revocation",
	.steps = STEPS,
	.count = sizeof STEPS / sizeof *STEPS,
	.done = REVOCATION_DONE,
	.done_fn = done,
};

struct revocation *revocation_start(struct loop *loop, struct ca *ca,
                                    const struct log *log, struct str der,
                                    int reason, const struct key *key,
                                    revocation_fn *fn, void *arg)
{
	struct revocation *r = mem_alloc(sizeof *r);

	r->flow.self = r;
	r->flow.ca = ca;
	r->flow.loop = loop;
	log_init(&r->flow.log, log, "revocation", NULL);
	r->der = BUF_INIT(64 << 10);
	buf_add(&r->der, der.ptr, der.len);
	r->reason = reason;
	r->key = key;
	r->fn = fn;
	r->arg = arg;
	flow_start(&r->flow, &REVOCATION_FLOW, REVOCATION_SEND);
	return r;
}

void revocation_free(struct revocation *r)
{
	if (!r)
		return;
	flow_end(&r->flow);
	buf_free(&r->der);
	free(r);
}
