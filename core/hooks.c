/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts call back: renew has certificates served, plugins have tokens
 * shown, the store tells of damage. Where serving or reading fails, all of it
 * is tried once more a little later (`repair`), since what is served already
 * stays.
 */
#include "agent.h"

#include <stdio.h>
#include <string.h>

#include "control/report.h"
#include "export.h"
#include "loop/after.h"

enum {
	REPAIR_MS = 10 * 1000,
	SWEEP_MS = 3600 * 1000,
};

void agent_damaged(void *arg, const char *key, const struct err *e)
{
	char text[AGENT_ALARM_LEN];

	snprintf(text, sizeof text, "%s was damaged and set aside: %s", key,
	         e->text);
	agent_alarm(arg, "damaged", text);
}

static struct instance *find_challenge(void *arg, const char *name)
{
	struct agent *a = arg;

	for (size_t i = 0; i < a->conf->challenge_count; i++)
		if (!strcmp(a->conf->challenges[i].name, name))
			return a->challenges[i];
	return NULL;
}

static void repair(void *arg);

static void install(void *arg, const struct cert_record *record,
                    const struct wish *wish, bool fresh)
{
	struct agent *a = arg;
	struct err e;

	if (publisher_install(a->publisher, record, &e) < 0) {
		agent_alarm(a, "publish", e.text);
		if (!a->repair)
			a->repair = after_start(a->loop, REPAIR_MS, repair, a);
	}
	if (fresh && wish && *wish->export_dir)
		exporter_add(a->exporter, wish->export_dir, record,
		             wish->kinds[0]);
}

static void withdraw(void *arg, const char *name)
{
	publisher_withdraw(((struct agent *)arg)->publisher, name);
}

static void event(void *arg, const char *what, const struct leg *leg,
                  const struct err *e)
{
	struct agent *a = arg;

	if (control_watched(a->control))
		control_event(a->control, what, report_event(leg, e));
}

static void sweep(void *arg)
{
	struct agent *a = arg;

	renew_sweep(a->renew);
	a->sweep = after_start(a->loop, SWEEP_MS, sweep, a);
}

static void loaded(void *arg, int rc, const struct err *e)
{
	struct agent *a = arg;

	if (rc < 0) {
		agent_alarm(a, "storage", e->text);
		if (!a->repair)
			a->repair = after_start(a->loop, REPAIR_MS, repair, a);
		return;
	}
	agent_alarm(a, "storage", NULL);
	if (publisher_incomplete(a->publisher)) {
		if (!a->repair)
			a->repair = after_start(a->loop, REPAIR_MS, repair, a);
		return;
	}
	agent_alarm(a, "publish", NULL);
	if (!a->sweep)
		sweep(a);
	struct renew_counts counts;
	renew_count(a->renew, &counts);
	log_notice(&a->log, "loaded", "certificates=%zu wanted=%zu current=%zu",
	           inventory_count(renew_inventory(a->renew)), counts.wanted,
	           counts.current);
}

/* Something could not be read or published: all of it once more. */
static void repair(void *arg)
{
	struct agent *a = arg;

	a->repair = NULL;
	publisher_again(a->publisher);
	renew_load(a->renew, loaded, a);
}

int agent_publish_token(void *arg, uint32_t kind, struct str name,
                         struct str value, struct err *e)
{
	struct agent *a = arg;

	if (kind != ACME_PUBLISH_TOKEN)
		return err_set(e, ERR_INVALID, "cannot publish kind %u", kind);
	if (value.ptr)
		return publisher_token(a->publisher, name, value, e);
	return publisher_withdraw_token(a->publisher, name, e);
}

void agent_load(struct agent *a)
{
	renew_load(a->renew, loaded, a);
}

struct renew *agent_renew(struct agent *a)
{
	return renew_new(&(struct renew_setup){ .loop = a->loop,
	                                        .http = a->http,
	                                        .store = a->store,
	                                        .log = &a->log,
	                                        .instance = find_challenge,
	                                        .install = install,
	                                        .withdraw = withdraw,
	                                        .event = event,
	                                        .arg = a });
}
