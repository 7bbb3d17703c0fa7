/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator revokes, by name or by file: finds the issuer, runs the
 * revocation (revoke.c), and books what is wanted for a new order.
 */
#include "renew/renew_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/chain.h"

void revoking_free(struct revoking *v)
{
	*v->prev = v->next;
	if (v->next)
		v->next->prev = v->prev;
	if (v->revoke)
		revoke_free(v->revoke);
	free(v);
}

static void revoke_ended(void *arg, struct revoke *revoke, int rc,
                         const struct err *e)
{
	struct revoking *v = arg;
	struct err copy = { 0 };
	renew_fn *fn = v->fn;
	void *fn_arg = v->arg;

	if (rc < 0)
		copy = *e;
	v->revoke = revoke;
	v->renew->revoke_ended = true;
	revoking_free(v);
	fn(fn_arg, rc, rc < 0 ? &copy : NULL);
}

static void revoke_marked(void *arg, const struct cert_record *record)
{
	struct revoking *v = arg;
	struct item *item = renew_take(v->renew, record);

	for (size_t k = 0; k < KEY_KINDS; k++)
		if (item->legs[k].stored && item->legs[k].revoked)
			v->renew->set.event(v->renew->set.arg, "revoked",
			                    &item->legs[k], NULL);
	renew_book(v->renew, item);
}

static struct issuer *revoke_issuer(void *arg, const char *name)
{
	return renew_issuer(((struct revoking *)arg)->renew, name);
}

static struct revoking *revoking_new(struct renew *r, int reason, renew_fn *fn,
                                     void *arg, struct revoke_setup *setup)
{
	struct revoking *v = mem_alloc(sizeof *v);

	*v = (struct revoking){ r->revoking, &r->revoking, r, NULL, fn, arg };
	if (r->revoking)
		r->revoking->prev = &v->next;
	r->revoking = v;
	*setup = (struct revoke_setup){ .loop = r->set.loop,
		                        .store = r->set.store,
		                        .log = &r->log,
		                        .issuer = revoke_issuer,
		                        .marked = revoke_marked,
		                        .done = revoke_ended,
		                        .arg = v,
		                        .reason = reason };
	return v;
}

int renew_revoke(struct renew *r, const char *name, int reason, renew_fn *fn,
                 void *arg, struct err *e)
{
	struct item *item = inventory_find(r->inventory, name);
	struct revoke_setup setup;

	if (!item || !item_not_after(item))
		return err_set(e, ERR_ABSENT,
		               "no certificate \"%s\" is stored", name);
	struct revoking *v = revoking_new(r, reason, fn, arg, &setup);
	v->revoke = revoke_stored(&setup, name);
	return 0;
}

struct by_serial {
	const char *serial;
	const struct leg *found;
};

static void match_serial(void *arg, struct item *item)
{
	struct by_serial *by = arg;

	for (size_t k = 0; k < KEY_KINDS; k++)
		if (item->legs[k].stored &&
		    !strcmp(item->legs[k].serial, by->serial))
			by->found = &item->legs[k];
}

static int serial_of(struct str pem, char serial[RENEW_SERIAL], struct err *e)
{
	struct chain *chain;
	int rc = chain_read(pem, &chain, e);

	if (rc == 0)
		snprintf(serial, RENEW_SERIAL, "%s", chain_facts(chain)->serial);
	chain_free(chain);
	return rc;
}

int renew_revoke_pem(struct renew *r, const char *issuer, struct str pem,
                     int reason, char serial[RENEW_SERIAL], renew_fn *fn,
                     void *arg, struct err *e)
{
	struct by_serial by = { serial, NULL };
	struct revoke_setup setup;

	if (serial_of(pem, serial, e) < 0)
		return e->code;
	inventory_each(r->inventory, match_serial, &by);
	if (!issuer && by.found)
		issuer = by.found->issuer;
	if (!issuer && r->issuer_count == 1)
		issuer = issuer_name(r->issuers[0]);
	if (!issuer)
		return err_set(e, ERR_INVALID, "which issuer? %zu are "
		               "configured", r->issuer_count);
	if (!renew_issuer(r, issuer))
		return err_set(e, ERR_ABSENT,
		               "issuer \"%s\" is not configured", issuer);
	struct revoking *v = revoking_new(r, reason, fn, arg, &setup);
	v->revoke = revoke_pem(&setup, issuer,
	                       by.found ? by.found->item->name : NULL, pem, e);
	if (v->revoke)
		return 0;
	revoking_free(v);
	return e->code;
}
