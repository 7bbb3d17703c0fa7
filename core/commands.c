/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be asked over the control socket (docs/control.md). Each handler
 * checks its params, calls the part that can do it, and answers when that is
 * done; who may call it was checked by control.
 */
#include "agent.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/report.h"
#include "json/json.h"

enum { NAME_LEN = 512, PEM_LEN = 256 << 10 };

static int not_configured(struct err *e)
{
	return err_set(e, ERR_RETRY, "no configuration is in force");
}

/* --------------------------------------------------------------- status */

static json_t *alarms_json(const struct agent *a)
{
	json_t *array = json_array();

	for (size_t i = 0; i < AGENT_ALARMS; i++)
		if (a->alarms[i].key)
			json_array_append_new(array,
			                      json_lossy(a->alarms[i].text));
	return array;
}

static int status_of(const struct agent *a, const char *name, json_t **result,
                     struct err *e)
{
	struct item *item =
		a->renew ? inventory_find(renew_inventory(a->renew), name)
		         : NULL;

	if (!item)
		return err_set(e, ERR_ABSENT, "no certificate \"%s\"", name);
	*result = json_pack("{s:[o]}", "certificates",
	                    report_item(a->renew, item));
	return 0;
}

static int status(void *arg, struct control_call *call, json_t **result,
                  struct err *e)
{
	struct agent *a = arg;
	const char *name;
	int rc = json_opt_str(call->params, "name", NAME_LEN, &name, e);

	if (rc < 0)
		return rc;
	if (name)
		return status_of(a, name, result, e);
	*result = json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:o}", "version", ACME_VERSION,
		"mode", a->options.shared ? "shared" : "separated", "started",
		report_time(a->started), "issuers",
		a->renew ? report_issuers(a->renew) : json_array(),
		"certificates",
		a->renew ? report_certificates(a->renew) : json_array(),
		"alarms", alarms_json(a));
	return 0;
}

/* -------------------------------------------------------- issue and renew */

/* One request for one or all certificates, until all have ended. */
struct ordering {
	struct agent *agent;
	struct control_call *call; /* NULL: answered already */
	json_t *certificates;
	size_t pending;
};

struct one {
	struct ordering *ordering;
	char *name;
};

/* One less to wait for; after the last one, the answer. */
static void ordering_end(struct ordering *o)
{
	if (--o->pending)
		return;
	if (o->call)
		control_done(o->call, json_pack("{s:o}", "certificates",
		                                o->certificates));
	else
		json_decref(o->certificates);
	free(o);
}

static void one_ended(void *arg, int rc, const struct err *e)
{
	struct one *one = arg;
	struct ordering *o = one->ordering;
	struct item *item = inventory_find(renew_inventory(o->agent->renew),
	                                   one->name);
	json_t *entry = item ? report_item(o->agent->renew, item)
	                     : json_pack("{s:s}", "name", one->name);

	if (rc < 0)
		json_object_set_new(entry, "error", report_error(e, 0));
	json_array_append_new(o->certificates, entry);
	free(one->name);
	free(one);
	ordering_end(o);
}

static int begin_one(struct ordering *o, const char *name, bool force,
                     struct err *e)
{
	struct one *one = mem_alloc(sizeof *one);

	one->ordering = o;
	one->name = mem_strdup(name);
	o->pending++;
	int rc = renew_now(o->agent->renew, name, force, one_ended, one, e);
	if (rc < 0) {
		o->pending--;
		free(one->name);
		free(one);
	}
	return rc;
}

static void collect_name(void *arg, struct item *item)
{
	struct names *names = arg;

	if (item->wanted)
		names_add(names, item->name);
}

static int names_of(struct agent *a, const struct control_call *call,
                    struct names *names, struct err *e)
{
	const char *name;
	bool all;
	int rc = json_opt_str(call->params, "name", NAME_LEN, &name, e);

	rc = rc < 0 ? rc : json_opt_bool(call->params, "all", false, &all, e);
	if (rc == 0 && !name == !all)
		rc = err_set(e, ERR_INVALID, "either \"name\" or \"all\"");
	if (rc == 0 && all)
		inventory_each(renew_inventory(a->renew), collect_name, names);
	else if (rc == 0)
		names_add(names, name);
	return rc;
}

static json_t *started(const struct names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++)
		json_array_append_new(array, json_string(names->list[i]));
	return json_pack("{s:o}", "started", array);
}

static int begin_all(struct agent *a, struct control_call *call,
                     const struct names *names, bool force, bool wait,
                     struct err *e)
{
	struct ordering *o = mem_alloc(sizeof *o);
	int rc = 0;

	*o = (struct ordering){ a, wait ? call : NULL, json_array(), 1 };
	for (size_t i = 0; rc == 0 && i < names->count; i++)
		rc = begin_one(o, names->list[i], force, e);
	if (rc < 0)
		o->call = NULL; /* the error is the answer */
	ordering_end(o);
	return rc < 0 ? rc : wait ? CONTROL_LATER : 0;
}

static int order(struct agent *a, struct control_call *call, bool force,
                 json_t **result, struct err *e)
{
	struct names names = { 0 };
	bool wait = true;
	int rc = a->renew && a->conf ? 0 : not_configured(e);

	rc = rc < 0 ? rc : json_opt_bool(call->params, "wait", true, &wait, e);
	rc = rc < 0 ? rc : names_of(a, call, &names, e);
	rc = rc < 0 ? rc : begin_all(a, call, &names, force, wait, e);
	if (rc == 0)
		*result = started(&names);
	names_free(&names);
	return rc;
}

static int issue(void *arg, struct control_call *call, json_t **result,
                 struct err *e)
{
	return order(arg, call, false, result, e);
}

static int renew(void *arg, struct control_call *call, json_t **result,
                 struct err *e)
{
	return order(arg, call, true, result, e);
}

/* --------------------------------------------------------------- revoke */

struct revoking {
	struct control_call *call;
	json_t *serials;
};

static void revoke_ended(void *arg, int rc, const struct err *e)
{
	struct revoking *v = arg;

	if (rc < 0)
		control_fail(v->call, e);
	else
		control_done(v->call, json_pack("{s:O}", "revoked",
		                                v->serials));
	json_decref(v->serials);
	free(v);
}

static void add_serials(const struct agent *a, const char *name,
                        json_t *serials)
{
	struct item *item = inventory_find(renew_inventory(a->renew), name);

	for (size_t k = 0; item && k < KEY_KINDS; k++)
		if (item->legs[k].stored && !item->legs[k].revoked)
			json_array_append_new(
				serials, json_string(item->legs[k].serial));
}

static int revoke(void *arg, struct control_call *call, json_t **result,
                  struct err *e)
{
	struct agent *a = arg;
	const char *name = NULL, *pem = NULL, *issuer = NULL;
	char serial[RENEW_SERIAL];
	int64_t reason = -1;
	int rc = a->renew && a->conf ? 0 : not_configured(e);
	json_t *p = call->params;

	(void)result;
	rc = rc < 0 ? rc : json_opt_str(p, "name", NAME_LEN, &name, e);
	rc = rc < 0 ? rc : json_opt_str(p, "certificate", PEM_LEN, &pem, e);
	rc = rc < 0 ? rc : json_opt_str(p, "issuer", NAME_LEN, &issuer, e);
	rc = rc < 0 ? rc : json_opt_int(p, "reason", -1, 0, 10, &reason, e);
	if (rc == 0 && !name == !pem)
		rc = err_set(e, ERR_INVALID,
		             "either \"name\" or \"certificate\"");
	if (rc < 0)
		return rc;
	struct revoking *v = mem_alloc(sizeof *v);
	*v = (struct revoking){ call, json_array() };
	if (name) {
		add_serials(a, name, v->serials);
		rc = renew_revoke(a->renew, name, (int)reason, revoke_ended, v,
		                  e);
	} else {
		rc = renew_revoke_pem(a->renew, issuer, str_of(pem),
		                      (int)reason, serial, revoke_ended, v, e);
		if (rc == 0)
			json_array_append_new(v->serials, json_string(serial));
	}
	if (rc == 0)
		return CONTROL_LATER;
	json_decref(v->serials);
	free(v);
	return rc;
}

/* -------------------------------------------------------------- reload */

static int reload(void *arg, struct control_call *call, json_t **result,
                  struct err *e)
{
	struct agent *a = arg;
	struct conf_errors errors = CONF_ERRORS_INIT;
	json_t *warnings = json_array();
	int rc = agent_reload(a, &errors);

	(void)call;
	for (size_t i = 0; i < errors.count; i++) {
		if (errors.items[i].warning)
			json_array_append_new(
				warnings, json_lossy(errors.items[i].text));
		else if (rc < 0) {
			err_set(e, ERR_INVALID, "%s", errors.items[i].text);
			break;
		}
	}
	if (rc == 0) {
		*result = json_pack("{s:O}", "warnings", warnings);
	}
	json_decref(warnings);
	conf_errors_free(&errors);
	return rc < 0 ? ERR_INVALID : 0;
}

/* ------------------------------------------------------------- plugins */

static void add_plugin(void *arg, const char *name, const struct plugin *p,
                       const struct err *why)
{
	char words[128];
	json_t *o = json_pack("{s:s}", "name", name);

	if (p) {
		json_object_set_new(o, "version", json_string(p->version));
		json_object_set_new(o, "kind",
		                    json_string(p->challenge ? "challenge"
		                                             : "storage"));
		json_object_set_new(o, "file", json_lossy(p->file));
		json_object_set_new(
			o, "offers",
			json_string(p->challenge
		                            ? plugin_challenge_types(
						      p, words, sizeof words)
		                            : plugin_storage_caps(
						      p, words, sizeof words)));
	} else {
		json_object_set_new(o, "error", json_lossy(why->text));
	}
	json_array_append_new(arg, o);
}

static int plugins(void *arg, struct control_call *call, json_t **result,
                   struct err *e)
{
	struct agent *a = arg;
	json_t *array = json_array();
	int rc = plugins_list(a->plugins, add_plugin, array, e);

	(void)call;
	if (rc == 0)
		*result = json_pack("{s:O}", "plugins", array);
	json_decref(array);
	return rc;
}

/* ------------------------------------------------------------- declare */

/* The [nginx] section of whoever asks: the one that names its user, else the
 * first. */
static const struct conf_nginx *policy_of(const struct agent *a,
                                          const struct control_peer *peer)
{
	for (size_t i = 0; i < a->conf->nginx_count; i++) {
		const struct conf_nginx *n = &a->conf->nginx[i];
		struct passwd *pw = *n->user ? getpwnam(n->user) : NULL;
		if (pw && pw->pw_uid == peer->uid)
			return n;
	}
	return &a->conf->nginx[0];
}

static int declare(void *arg, struct control_call *call, json_t **result,
                   struct err *e)
{
	struct agent *a = arg;

	if (!a->conf)
		return not_configured(e);
	if (!a->conf->agent.declare)
		return err_set(e, ERR_DENIED, "[agent] declare = no");
	json_t *refused = json_array();
	agent_heard_declared(a);
	/* Nobody replaces what root's nginx has declared but root's nginx. */
	uid_t uid = call->peer.who == CONTROL_OWNER ? 0 : call->peer.uid;
	int rc = declared_take(&a->declared, call->params, uid,
	                       policy_of(a, &call->peer), refused, e);
	if (rc == 0) {
		size_t all = json_array_size(
			json_object_get(call->params, "certificates"));
		declared_log(refused, &a->log);
		agent_save_declared(a);
		agent_follow_declared(a);
		*result = json_pack("{s:i, s:O}", "accepted",
		                    (int)(all - json_array_size(refused)),
		                    "refused", refused);
	}
	json_decref(refused);
	return rc;
}

const struct control_ops AGENT_COMMANDS = {
	.status = status,
	.plugins = plugins,
	.issue = issue,
	.renew = renew,
	.revoke = revoke,
	.reload = reload,
	.declare = declare,
};
