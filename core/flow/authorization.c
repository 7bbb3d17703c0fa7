/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authorization flow. What was chosen is in the order's record, and the
 * record is saved before a plugin is asked to present anything: so cleanup can
 * follow every present, whatever kills us in between.
 */
#include "flow/authorization.h"

#include <stdlib.h>

#include "acme/authz_doc.h"
#include "acme/key_authorization.h"
#include "acme/payload.h"
#include "base/mem.h"

enum { PRESENT_MS = 120 * 1000, CLEANUP_MS = 60 * 1000, KEY_AUTHORIZATION_MAX = 1024 };

enum authorization_state {
	AUTHORIZATION_FETCH,
	AUTHORIZATION_SAVE,
	AUTHORIZATION_PRESENT,
	AUTHORIZATION_KEEP,
	AUTHORIZATION_TELL,
	AUTHORIZATION_DONE,
};

struct authorization {
	struct flow flow;
	struct authorization_setup set;
	size_t first; /* challenges before this one have declined */
	char *url;    /* of the chosen challenge */
	bool told;    /* the CA is looking already */
	struct err declined; /* by the last challenge that did */
	acme_op op;
};

static const struct {
	const char *name;
	uint32_t type;
} TYPES[] = {
	{ "http-01", ACME_HTTP_01 },
	{ "tls-alpn-01", ACME_TLS_ALPN_01 },
	{ "dns-01", ACME_DNS_01 },
};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

static uint32_t type_of(const char *name)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (!strcmp(TYPES[i].name, name))
			return TYPES[i].type;
	return 0;
}

bool authorization_challenge(const struct authz_record *record,
                             const struct key *account,
                             struct challenge_words *out)
{
	*out = (struct challenge_words){
		.key_authorization = BUF_INIT(KEY_AUTHORIZATION_MAX)
	};
	if (!record->type || !record->token || !record->identifier ||
	    key_authorization(record->token, key_thumbprint(account),
	                      &out->key_authorization) < 0)
		return false;
	out->challenge = (acme_challenge){
		.size = sizeof(acme_challenge),
		.type = type_of(record->type),
		.identifier = acme_text(record->identifier),
		.token = acme_text(record->token),
		.key_authorization = { out->key_authorization.ptr,
			               out->key_authorization.len },
		.cookie = { record->cookie.ptr, record->cookie.len },
	};
	return true;
}

int authorization_answer(const struct order_env *env,
                         const struct authz_record *record,
                         const struct op_result *res, struct err *e)
{
	struct instance *inst = env->instance(env->arg, record->instance);

	if (inst || res->code == ERR_OK)
		return op_err(inst, res, e);
	return err_set(e, res->code, "challenge %s: %s", record->instance,
	               *res->text ? res->text : err_code_name(res->code));
}

/* Several run side by side: their lines say whose they are. */
static void name_lines(struct authorization *a, const char *star,
                       const char *identifier)
{
	char id[300];

	log_init(&a->flow.log, a->set.log, "authorization", "id=%s%s", star,
	         log_quote(identifier, strlen(identifier), id, sizeof id));
}

/* -------------------------------------------------------------- fetch */

static int ask_fetch(struct flow *f, struct err *e)
{
	struct authorization *a = f->self;

	(void)e;
	f->ask.url = a->set.record->url;
	return FLOW_SEND;
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = mem_strdup(with);
}

/* Remembers what is to be presented, by whom. */
static void choose(struct authorization *a, const struct authz_doc *doc,
                   const struct challenge_doc *c, const char *instance)
{
	struct authz_record *r = a->set.record;

	/* The cookie of what was presented before a restart stays. */
	if (!r->token || strcmp(r->token, c->token) || !r->instance ||
	    strcmp(r->instance, instance))
		buf_reset(&r->cookie);
	replace(&r->identifier, doc->identifier.value);
	replace(&r->type, c->type);
	replace(&r->instance, instance);
	replace(&r->token, c->token);
	replace(&a->url, c->url);
	a->told = c->status != CHALLENGE_STATUS_PENDING;
}

/* The first configured challenge that the CA offers and that has not declined. */
static int find_challenge(struct authorization *a, const struct authz_doc *doc,
                          struct err *e)
{
	const struct names *names = a->set.challenges;
	const struct order_env *env = a->set.env;
	struct buf offered = BUF_INIT(200);

	for (size_t i = a->first; i < names->count; i++) {
		struct instance *inst = env->instance(env->arg, names->list[i]);
		if (!inst)
			continue;
		uint32_t types = instance_plugin(inst)->challenge->types;
		for (size_t t = 0; t < TYPE_COUNT; t++) {
			const struct challenge_doc *c =
				authz_doc_challenge(doc, TYPES[t].name);
			if (!(types & TYPES[t].type) || !c || !c->token)
				continue;
			a->first = i;
			choose(a, doc, c, names->list[i]);
			return AUTHORIZATION_SAVE;
		}
	}
	for (size_t i = 0; i < doc->challenge_count; i++)
		buf_addf(&offered, "%s%s", i ? ", " : "",
		         doc->challenges[i].type);
	err_set(e, ERR_INVALID, "%s%s: no configured challenge fits: the CA "
	        "offers %s%s%.150s", doc->wildcard ? "*." : "",
	        doc->identifier.value, offered.ptr ? offered.ptr : "none",
	        a->declined.code ? "; declined: " : "",
	        a->declined.code ? a->declined.text : "");
	buf_free(&offered);
	return e->code;
}

static int hear_fetch(struct flow *f, const struct ca_answer *answer,
                      struct err *e)
{
	struct authorization *a = f->self;
	struct authz_doc doc;
	int rc = authz_doc_read(answer->body, 0, &f->step_mem, &doc, e);

	if (rc < 0)
		return rc;
	name_lines(a, doc.wildcard ? "*." : "", doc.identifier.value);
	if (doc.status == AUTHZ_STATUS_VALID)
		return AUTHORIZATION_DONE;
	if (doc.status == AUTHZ_STATUS_PENDING)
		return find_challenge(a, &doc, e);
	const struct err *why = authz_doc_error(&doc);
	if (why)
		*e = *why;
	else
		err_set(e, ERR_INVALID, "the authorization is %s",
		        authz_status_name(doc.status));
	e->code = ERR_INVALID;
	return err_in(e, "%s", doc.identifier.value);
}

/* --------------------------------------------------- save and present */

static int ask_save(struct flow *f, struct err *e)
{
	struct authorization *a = f->self;

	(void)e;
	a->set.save(a->set.arg, a);
	return FLOW_WAIT;
}

void authorization_saved(struct authorization *a, int rc, const struct err *e)
{
	if (rc < 0)
		flow_fail(&a->flow, e);
	else
		flow_go_on(&a->flow, a->flow.state == AUTHORIZATION_SAVE
		                             ? AUTHORIZATION_PRESENT
		                             : AUTHORIZATION_TELL);
}

/* Cleanup follows every present. This one is forgotten with the next choice, so
 * it happens here; nobody waits for it. */
static void withdraw(struct authorization *a)
{
	const struct order_env *env = a->set.env;
	struct instance *inst =
		env->instance(env->arg, a->set.record->instance);
	struct challenge_words words;

	if (inst && authorization_challenge(a->set.record, ca_key(a->flow.ca),
	                                    &words)) {
		instance_cleanup(inst, &words.challenge, CLEANUP_MS, NULL,
		                 NULL);
		buf_free(&words.key_authorization);
	}
}

static void presented(void *arg, const struct op_result *res)
{
	struct authorization *a = arg;
	struct authz_record *r = a->set.record;
	struct err e = { 0 };

	a->op = (acme_op){ 0 };
	int rc = authorization_answer(a->set.env, r, res, &e);
	if (rc == ERR_DECLINED) {
		a->declined = e;
		withdraw(a);
		a->first++;
		flow_go_on(&a->flow, AUTHORIZATION_FETCH);
		return;
	}
	if (rc < 0) {
		err_in(&e, "%s", r->identifier);
		flow_fail(&a->flow, &e);
		return;
	}
	bool changed = res->cookie.len != r->cookie.len ||
	               (res->cookie.len && memcmp(res->cookie.ptr,
	                                          r->cookie.ptr,
	                                          res->cookie.len));
	if (changed && res->cookie.len) {
		buf_reset(&r->cookie);
		buf_add(&r->cookie, res->cookie.ptr, res->cookie.len);
	}
	flow_go_on(&a->flow, changed && res->cookie.len ? AUTHORIZATION_KEEP
	                                                : AUTHORIZATION_TELL);
}

static int ask_present(struct flow *f, struct err *e)
{
	struct authorization *a = f->self;
	const struct order_env *env = a->set.env;
	struct instance *inst =
		env->instance(env->arg, a->set.record->instance);
	struct challenge_words words;

	if (!inst || !authorization_challenge(a->set.record, ca_key(f->ca),
	                                      &words))
		return err_set(e, ERR_INVALID, "challenge %s is gone",
		               a->set.record->instance);
	a->op = instance_present(inst, &words.challenge, PRESENT_MS, presented,
	                         a);
	buf_free(&words.key_authorization);
	return FLOW_WAIT;
}

/* --------------------------------------------------------------- tell */

static int ask_tell(struct flow *f, struct err *e)
{
	struct authorization *a = f->self;

	(void)e;
	if (a->told) {
		f->next = AUTHORIZATION_DONE;
		return FLOW_SKIP;
	}
	f->ask.url = a->url;
	f->ask.payload = STR("{}");
	return FLOW_SEND;
}

static int hear_tell(struct flow *f, const struct ca_answer *answer,
                     struct err *e)
{
	struct challenge_doc doc;
	int rc = challenge_doc_read(answer->body, 0, &f->step_mem, &doc, e);

	return rc < 0 ? rc : AUTHORIZATION_DONE;
}

/* -------------------------------------------------------------- table */

static void done(struct flow *f, int rc, const struct err *e)
{
	struct authorization *a = f->self;

	a->set.fn(a->set.arg, rc, e);
}

/* clang-format off */
static const struct step STEPS[] = {
	/* state                    name       ask          hear        fault may go to                                                             limit */
	[AUTHORIZATION_FETCH]   = { "fetch",   ask_fetch,   hear_fetch, NULL, FLOW_TO(AUTHORIZATION_SAVE) | FLOW_TO(AUTHORIZATION_DONE),            FLOW_SHORT },
	[AUTHORIZATION_SAVE]    = { "save",    ask_save,    NULL,       NULL, FLOW_TO(AUTHORIZATION_PRESENT),                                       FLOW_SHORT },
	[AUTHORIZATION_PRESENT] = { "present", ask_present, NULL,       NULL, FLOW_TO(AUTHORIZATION_KEEP) | FLOW_TO(AUTHORIZATION_TELL) | FLOW_TO(AUTHORIZATION_FETCH), FLOW_LONG },
	[AUTHORIZATION_KEEP]    = { "keep",    ask_save,    NULL,       NULL, FLOW_TO(AUTHORIZATION_TELL),                                          FLOW_SHORT },
	[AUTHORIZATION_TELL]    = { "tell",    ask_tell,    hear_tell,  NULL, FLOW_TO(AUTHORIZATION_DONE),                                          FLOW_SHORT },
	[AUTHORIZATION_DONE]    = { "done",    NULL,        NULL,       NULL, 0,                                                                    FLOW_SHORT },
};
/* clang-format on */

const struct flow_table AUTHORIZATION_FLOW = {
	.name = "authorization",
	.steps = STEPS,
	.count = sizeof STEPS / sizeof *STEPS,
	.done = AUTHORIZATION_DONE,
	.done_fn = done,
};

/* ----------------------------------------------------------- lifetime */

struct authorization *authorization_start(const struct authorization_setup *s)
{
	struct authorization *a = mem_alloc(sizeof *a);

	a->set = *s;
	a->flow.self = a;
	a->flow.ca = s->ca;
	a->flow.loop = s->env->loop;
	log_init(&a->flow.log, s->log, "authorization", NULL);
	flow_start(&a->flow, &AUTHORIZATION_FLOW, AUTHORIZATION_FETCH);
	return a;
}

void authorization_free(struct authorization *a)
{
	if (!a)
		return;
	flow_end(&a->flow);
	if (a->op.id)
		op_cancel(a->op);
	free(a->url);
	free(a);
}

const struct err *authorization_trouble(const struct authorization *a)
{
	return a->flow.running && a->flow.trouble.code ? &a->flow.trouble
	                                               : NULL;
}
