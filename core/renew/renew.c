/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wishes, facts and issuers brought together: see renew.h. Each change of
 * wishes is a whole new set, computed from the configuration first and from the
 * declarations of nginx after it; what differs from the set before is booked
 * anew, what does not is not touched.
 */
#include "renew/renew_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"

/* ---------------------------------------------------------------- facts */

struct item *renew_take(struct renew *r, const struct cert_record *record)
{
	struct item *item = inventory_stored(r->inventory, record);

	item->load = r->loads;
	return item;
}

static void installed(void *arg, const struct cert_record *record)
{
	struct renew *r = arg;
	struct item *item = renew_take(r, record);

	r->set.install(r->set.arg, record, item->wanted ? &item->wish : NULL,
	               true);
}

static struct instance *find_instance(void *arg, const char *name)
{
	struct renew *r = arg;

	return r->set.instance(r->set.arg, name);
}

static struct issuer *issuer_of(const struct renew *r, const struct leg *leg)
{
	return leg->item->wanted ? renew_issuer(r, leg->item->wish.issuer)
	                         : NULL;
}

void renew_book(struct renew *r, struct item *item)
{
	for (size_t k = 0; k < KEY_KINDS; k++) {
		struct leg *leg = &item->legs[k];
		struct issuer *issuer = issuer_of(r, leg);
		if (issuer && leg->wanted)
			issuer_book(issuer, leg);
	}
}

static void book_item(void *arg, struct item *item)
{
	renew_book(arg, item);
}

static void found(void *arg, struct str key, struct str value,
                  struct str version)
{
	struct renew *r = arg;
	struct cert_record record;
	struct err e;
	char copy[STORE_KEY_MAX], own[STORE_KEY_MAX];

	snprintf(copy, sizeof copy, "%.*s", STR_ARG(key));
	if (cert_record_read(value, &record, &e) < 0) {
		err_in(&e, "%s", copy);
		store_set_aside(r->set.store, copy, value, version, &e, NULL,
		                NULL);
		return;
	}
	/* A copy that somebody made by hand says nothing about its name. */
	if (strcmp(copy, store_certificate_key(record.name, own))) {
		log_warn(&r->log, "passed over", "key=%s of=%s", copy,
		         record.name);
		cert_record_free(&record);
		return;
	}
	struct item *item = inventory_find(r->inventory, record.name);
	if (!item || item->load != r->loads) { /* else it is newer */
		item = inventory_stored(r->inventory, &record);
		r->set.install(r->set.arg, &record,
		               item->wanted ? &item->wish : NULL, false);
	}
	cert_record_free(&record);
}

/* An order that was under way when we ended goes on, even if its certificate is
 * there by now: what it had presented must be taken away. */
static void found_order(void *arg, struct str key, struct str value,
                        struct str version)
{
	struct renew *r = arg;
	struct order_record record;
	struct item *item;
	struct err e;

	(void)key;
	(void)version;
	if (order_record_read(value, &record, &e) < 0)
		return; /* set aside by the order that finds it */
	item = inventory_find(r->inventory, record.certificate);
	if (item)
		item->legs[record.kind].leftover = true;
	order_record_free(&record);
}

static void all_orders_found(void *arg, int rc, const struct err *e,
                             struct str value, struct str version)
{
	struct renew *r = arg;

	(void)value;
	(void)version;
	r->load = NULL;
	r->loaded = rc == 0;
	if (r->loaded)
		inventory_each(r->inventory, book_item, r);
	r->loaded_fn(r->loaded_arg, rc, e);
}

static void all_found(void *arg, int rc, const struct err *e, struct str value,
                      struct str version)
{
	struct renew *r = arg;

	if (rc < 0)
		all_orders_found(arg, rc, e, value, version);
	else
		r->load = store_each(r->set.store, "orders", found_order,
		                     all_orders_found, r);
}

void renew_load(struct renew *r, renew_fn *fn, void *arg)
{
	store_cancel(&r->load);
	r->loaded_fn = fn;
	r->loaded_arg = arg;
	r->loads++;
	r->load = store_each(r->set.store, "certificates", found, all_found, r);
}

/* What is swept: collected first, since the inventory must not change while it
 * is walked. */
struct sweep {
	struct item **list;
	size_t count;
	int64_t now;
};

static void look_for_leavings(void *arg, struct item *item)
{
	struct sweep *s = arg;

	if (item->wanted)
		return;
	for (size_t k = 0; k < KEY_KINDS; k++)
		if (item->legs[k].order ||
		    (item->legs[k].stored && !item->legs[k].revoked &&
		     item->legs[k].not_after > s->now))
			return;
	s->list = mem_grow(s->list, s->count + 1, sizeof *s->list);
	s->list[s->count++] = item;
}

void renew_sweep(struct renew *r)
{
	struct sweep s = { .now = now_wall() };

	if (!r->loaded)
		return;
	inventory_each(r->inventory, look_for_leavings, &s);
	for (size_t i = 0; i < s.count; i++) {
		log_notice(&r->log, "retired", "cert=%s", s.list[i]->name);
		r->set.withdraw(r->set.arg, s.list[i]->name);
		store_retire(r->set.store, s.list[i]->name);
		inventory_forget(r->inventory, s.list[i]);
	}
	free(s.list);
}

/* --------------------------------------------------------------- wishes */

static void copy_list(struct names *to, const struct conf_list *list)
{
	*to = (struct names){ 0 };
	for (size_t i = 0; i < list->count; i++)
		names_add(to, list->items[i]);
}

static void kinds_of(struct wish *w, const struct conf_list *list)
{
	struct err e;

	w->kind_count = 0;
	for (size_t i = 0; i < list->count && w->kind_count < KEY_KINDS; i++)
		if (key_kind_parse(str_of(list->items[i]),
		                   &w->kinds[w->kind_count], &e) == 0)
			w->kind_count++;
}

static bool has_name(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (!strcmp(names->list[i], name))
			return true;
	return false;
}

/* Does the certificate that is wanted already serve all these names, exactly
 * or by a wildcard? */
static bool covers(const struct renew *r, const struct wish *w)
{
	const struct names *have =
		&inventory_find(r->inventory, w->name)->wish.identifiers;
	char wildcard[512];

	for (size_t i = 0; i < w->identifiers.count; i++) {
		const char *name = w->identifiers.list[i];
		const char *dot = strchr(name, '.');
		snprintf(wildcard, sizeof wildcard, "*%s", dot ? dot : "");
		if (!has_name(have, name) && !has_name(have, wildcard))
			return false;
	}
	return true;
}

static void want(struct renew *r, struct wish *w)
{
	if (!inventory_want(r->inventory, w) && !covers(r, w))
		log_warn(&r->log, "already wanted with other names",
		         "cert=%s origin=\"%s\" other=\"%s\"", w->name,
		         w->origin,
		         inventory_find(r->inventory, w->name)->wish.origin);
	names_free(&w->identifiers);
	names_free(&w->challenges);
}

static void want_configured(struct renew *r, const struct conf_certificate *c)
{
	char origin[512];
	struct wish w = { .name = c->name,
		          .issuer = c->issuer->name,
		          .origin = origin,
		          .export_dir = c->export_dir,
		          .renew = c->renew };

	snprintf(origin, sizeof origin, "%s:%u", c->place.file, c->place.line);
	copy_list(&w.identifiers, &c->names);
	copy_list(&w.challenges, &c->challenge);
	kinds_of(&w, &c->key);
	want(r, &w);
}

static void want_declared(struct renew *r, const struct declarations *by,
                          const struct declaration *d)
{
	char origin[512];
	const struct conf_issuer *c = conf_issuer(r->conf, d->issuer);
	struct wish w = { .name = d->name,
		          .issuer = d->issuer,
		          .origin = origin,
		          .kind_count = d->kind_count };

	if (!c) {
		log_warn(&r->log, "declared issuer unknown",
		         "cert=%s issuer=%s", d->name, d->issuer);
		return;
	}
	const char *bar = strchr(by->owner, '|');
	snprintf(origin, sizeof origin, "nginx %s", bar ? bar + 1 : by->owner);
	memcpy(w.kinds, d->kinds, sizeof w.kinds);
	if (!w.kind_count)
		kinds_of(&w, &c->key);
	w.renew = c->renew;
	names_copy(&w.identifiers, &d->identifiers);
	copy_list(&w.challenges, &c->challenge);
	want(r, &w);
}

/* Appointments and orders of what is not wished for any more end; all else is
 * booked by its new wish. Issuers may have changed: every leg is in the agenda
 * of the issuer that it has now. */
static void settle_item(void *arg, struct item *item)
{
	struct renew *r = arg;

	for (size_t k = 0; k < KEY_KINDS; k++) {
		struct leg *leg = &item->legs[k];
		for (size_t n = 0; n < r->issuer_count; n++) {
			struct issuer *issuer = r->issuers[n];
			bool mine = leg->wanted && !item->changed &&
			            issuer == issuer_of(r, leg);
			if (!mine && leg->order)
				issuer_stop(issuer, leg);
		}
		leg->forced = leg->forced && leg->wanted;
		if (item->changed) { /* what failed was another wish */
			leg->attempts = 0;
			leg_error(leg, NULL, 0);
		}
	}
	if (r->loaded)
		book_item(r, item);
}

/* Before agendas change hands, everything leaves them. */
static void unbook_item(void *arg, struct item *item)
{
	struct renew *r = arg;

	for (size_t k = 0; k < KEY_KINDS; k++) {
		struct issuer *issuer = issuer_of(r, &item->legs[k]);
		if (issuer)
			issuer_unbook(issuer, &item->legs[k]);
	}
}

/* Ends may begin new ones: each time from the start. */
static void end_revocations(struct renew *r, const struct issuer *issuer)
{
	struct revoking *v = r->revoking;

	while (v) {
		bool *gone = &r->revoke_ended;
		*gone = false;
		revoke_lose(v->revoke, issuer);
		v = *gone ? r->revoking : v->next;
	}
}

static void replace_issuers(struct renew *r, const struct conf *conf)
{
	struct issuer **old = r->issuers;
	size_t old_count = r->issuer_count;

	r->issuers = mem_array(conf->issuer_count, sizeof *r->issuers);
	r->issuer_count = conf->issuer_count;
	for (size_t n = 0; n < conf->issuer_count; n++) {
		for (size_t m = 0; m < old_count && !r->issuers[n]; m++) {
			if (!old[m] || !issuer_same(old[m], &conf->issuers[n]))
				continue;
			r->issuers[n] = old[m];
			old[m] = NULL;
		}
		if (!r->issuers[n])
			r->issuers[n] = issuer_new(&r->env, &conf->issuers[n]);
	}
	for (size_t m = 0; m < old_count; m++) {
		if (old[m])
			end_revocations(r, old[m]);
		issuer_free(old[m]);
	}
	free(old);
}

static void waiter_end(struct waiter **at)
{
	struct waiter *w = *at;
	int rc = w->first_error.code;

	*at = w->next;
	w->fn(w->arg, rc, rc < 0 ? &w->first_error : NULL);
	free(w);
}

/* Nobody waits for what is not wished for any more. */
static void end_waiters(struct renew *r)
{
	for (struct waiter **at = &r->waiters; *at;) {
		struct waiter *w = *at;
		for (size_t k = 0; k < KEY_KINDS; k++)
			if (!w->item->legs[k].wanted)
				w->pending &= ~((size_t)1 << k);
		if (w->pending) {
			at = &w->next;
			continue;
		}
		if (!w->first_error.code)
			err_set(&w->first_error, ERR_CANCELED,
			        "%s is not configured any more",
			        w->item->name);
		waiter_end(at);
	}
}

void renew_configure(struct renew *r, struct conf *conf,
                     const struct declarations *declared, size_t count)
{
	struct conf *before = r->conf;

	inventory_each(r->inventory, unbook_item, r);
	r->conf = conf_ref(conf);
	r->env.max_orders = conf->agent.max_orders;
	replace_issuers(r, conf);
	inventory_begin(r->inventory);
	for (size_t n = 0; n < conf->certificate_count; n++)
		want_configured(r, &conf->certificates[n]);
	for (size_t n = 0; n < count; n++)
		for (size_t m = 0; m < declared[n].count; m++)
			want_declared(r, &declared[n], &declared[n].list[m]);
	inventory_end(r->inventory);
	inventory_each(r->inventory, settle_item, r);
	end_waiters(r);
	conf_unref(before);
}

/* ------------------------------------------------------------- commands */

static void ended(void *arg, struct leg *leg, int rc, const struct err *e)
{
	struct renew *r = arg;

	r->set.event(r->set.arg, rc < 0 ? "failed" : "issued", leg, e);
	for (struct waiter **at = &r->waiters; *at;) {
		struct waiter *w = *at;
		if (w->item == leg->item) {
			w->pending &= ~((size_t)1 << leg->kind);
			if (rc < 0 && !w->first_error.code)
				w->first_error = *e;
		}
		if (w->pending)
			at = &w->next;
		else
			waiter_end(at);
	}
}

static void room(void *arg)
{
	struct renew *r = arg;

	for (size_t n = 0; n < r->issuer_count; n++)
		issuer_poke(r->issuers[n]);
}

static struct item *find_wanted(struct renew *r, const char *name,
                                struct err *e)
{
	struct item *item = inventory_find(r->inventory, name);

	if (!item || !item->wanted) {
		err_set(e, ERR_ABSENT, "no certificate \"%s\" is configured",
		        name);
		return NULL;
	}
	return item;
}

int renew_now(struct renew *r, const char *name, bool force, renew_fn *fn,
              void *arg, struct err *e)
{
	struct item *item = find_wanted(r, name, e);
	struct waiter *w;

	if (!item)
		return e->code;
	struct issuer *issuer = renew_issuer(r, item->wish.issuer);
	if (!r->loaded || !issuer)
		return err_set(e, ERR_RETRY, "the agent is still starting");
	w = mem_alloc(sizeof *w);
	*w = (struct waiter){ .item = item, .fn = fn, .arg = arg };
	for (size_t k = 0; k < KEY_KINDS; k++) {
		struct leg *leg = &item->legs[k];
		if (!leg->wanted)
			continue;
		if (!force && leg_is_current(leg) && !leg->last_error &&
		    leg_renew_at(leg) > now_wall())
			continue;
		leg->forced = true;
		leg->again = leg->order && order_is_lost(leg->order);
		w->pending |= (size_t)1 << k;
		issuer_book(issuer, leg);
	}
	issuer_kick(issuer);
	w->next = r->waiters;
	r->waiters = w;
	if (!w->pending)
		waiter_end(&r->waiters);
	return 0;
}

/* ---------------------------------------------------------------- state */

struct renew *renew_new(const struct renew_setup *setup)
{
	struct renew *r = mem_alloc(sizeof *r);

	r->set = *setup;
	r->orders = (struct order_env){ .loop = setup->loop,
		                        .store = setup->store,
		                        .instance = find_instance,
		                        .install = installed,
		                        .arg = r };
	r->env = (struct issuer_env){ .loop = setup->loop,
		                      .http = setup->http,
		                      .store = setup->store,
		                      .log = setup->log,
		                      .orders = &r->orders,
		                      .ended = ended,
		                      .room = room,
		                      .arg = r };
	log_init(&r->log, setup->log, "renew", NULL);
	r->inventory = inventory_new();
	return r;
}

void renew_free(struct renew *r)
{
	if (!r)
		return;
	store_cancel(&r->load);
	while (r->waiters) {
		err_set(&r->waiters->first_error, ERR_CANCELED,
		        "the agent stops");
		waiter_end(&r->waiters);
	}
	while (r->revoking) {
		struct revoking *v = r->revoking;
		struct err e;
		err_set(&e, ERR_CANCELED, "the agent stops");
		v->fn(v->arg, e.code, &e);
		revoking_free(v);
	}
	while (r->issuer_count)
		issuer_free(r->issuers[--r->issuer_count]);
	free(r->issuers);
	inventory_free(r->inventory);
	conf_unref(r->conf);
	free(r);
}

const struct inventory *renew_inventory(const struct renew *r)
{
	return r->inventory;
}

struct issuer *renew_issuer(const struct renew *r, const char *name)
{
	for (size_t n = 0; n < r->issuer_count; n++)
		if (!strcmp(issuer_name(r->issuers[n]), name))
			return r->issuers[n];
	return NULL;
}

struct issuer *renew_issuer_at(const struct renew *r, size_t n)
{
	return n < r->issuer_count ? r->issuers[n] : NULL;
}

static void count_item(void *arg, struct item *item)
{
	struct renew_counts *out = arg;
	bool current = true, failing = false;

	if (!item->wanted)
		return;
	for (size_t k = 0; k < KEY_KINDS; k++) {
		const struct leg *leg = &item->legs[k];
		if (!leg->wanted)
			continue;
		current = current && leg_is_current(leg);
		failing = failing || leg->last_error;
	}
	out->wanted++;
	out->current += current;
	out->failing += failing;
}

void renew_count(const struct renew *r, struct renew_counts *out)
{
	*out = (struct renew_counts){ 0 };
	inventory_each(r->inventory, count_item, out);
}
