/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proven certificate into the store: merged with those of the other key types
 * under the same name, which keep serving until all that are wanted are there.
 */
#include "flow/order_inside.h"

#include <string.h>

#include "base/mem.h"
#include "base/now.h"

static bool is_wanted(const struct order_spec *s, enum key_kind kind)
{
	for (size_t i = 0; i < s->wanted_count; i++)
		if (s->wanted[i] == kind)
			return true;
	return false;
}

static void drop_unwanted(const struct order_spec *s, struct cert_record *r)
{
	for (size_t i = 0; i < s->wanted_count; i++)
		if (!cert_record_find(r, s->wanted[i]))
			return; /* they still serve in its place */
	for (size_t i = r->key_count; i-- > 0;)
		if (!is_wanted(s, r->keys[i].kind))
			cert_record_drop(r, r->keys[i].kind);
}

static int merge(void *arg, struct cert_record *r, struct err *e)
{
	struct order *o = arg;
	const struct chain_facts *facts = chain_facts(o->chain);
	struct buf pem = BUF_INIT(CHAIN_PEM_MAX);
	struct cert_key k = { .kind = o->spec.kind,
		              .not_before = facts->not_before,
		              .not_after = facts->not_after,
		              .issued = now_wall() };
	int rc = secret_copy(&k.key, o->record.key.ptr, o->record.key.len, e);

	if (rc == 0)
		rc = chain_pem(o->chain, &pem, e);
	if (rc == 0) {
		k.issuer = mem_strdup(o->record.issuer);
		k.serial = mem_strdup(facts->serial);
		k.chain = mem_strndup(pem.ptr, pem.len);
		names_copy(&k.identifiers, &o->record.identifiers);
		cert_record_set(r, &k);
		drop_unwanted(&o->spec, r);
	}
	cert_key_free(&k);
	buf_free(&pem);
	return rc;
}

static void stored(void *arg, int rc, const struct err *e,
                   const struct cert_record *r)
{
	struct order *o = arg;

	o->change = NULL;
	if (rc < 0) {
		flow_fail(&o->flow, e);
		return;
	}
	const struct chain_facts *facts = chain_facts(o->chain);
	char cn[300];
	log_quote(facts->issuer_cn, strlen(facts->issuer_cn), cn, sizeof cn);
	log_notice(&o->flow.log, "issued", "serial=%s issuer_cn=%s",
	           facts->serial, cn);
	o->env->install(o->env->arg, r);
	flow_go_on(&o->flow, ORDER_CLEANUP);
}

int order_ask_store(struct flow *f, struct err *e)
{
	struct order *o = f->self;

	(void)e;
	o->change = store_change(o->env->store, o->spec.certificate, merge,
	                         stored, o);
	return FLOW_WAIT;
}
