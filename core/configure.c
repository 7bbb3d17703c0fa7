/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From files to a running configuration: read, check, open what it names, and
 * only then let go of the one before. Whatever is wrong is told with file:line,
 * and then nothing has changed.
 */
#include "agent.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { DRAIN_MS = 10 * 1000 };

void agent_close_challenges(struct instance **list, size_t count,
                            uint32_t drain_ms)
{
	for (size_t i = 0; i < count; i++)
		if (list[i])
			instance_close(list[i], drain_ms, NULL, NULL);
	free(list);
}

static struct instance_spec challenge_spec(const struct conf_challenge *c)
{
	return (struct instance_spec){ .plugin = c->plugin,
		                       .name = c->name,
		                       .place = c->place,
		                       .options = c->options,
		                       .must_challenge = true };
}

static int open_challenge(struct agent *a, const struct conf_challenge *c,
                          struct instance **out, struct conf_errors *errors)
{
	struct instance_spec spec = challenge_spec(c);
	struct err e;

	spec.hooks = (struct instance_hooks){ a, agent_publish_token };
	int rc = instance_open(a->plugins, &spec, out, &e);

	if (rc < 0)
		conf_error(errors, (struct conf_place){ 0 }, "%s", e.text);
	return rc;
}

static int open_challenges(struct agent *a, const struct conf *conf,
                           struct instance ***out, struct conf_errors *errors)
{
	struct instance **list = mem_array(conf->challenge_count, sizeof *list);
	int rc = 0;

	for (size_t i = 0; i < conf->challenge_count; i++)
		if (open_challenge(a, &conf->challenges[i], &list[i], errors) <
		    0)
			rc = ERR_INVALID;
	if (rc < 0) {
		agent_close_challenges(list, conf->challenge_count, 0);
		list = NULL;
	}
	*out = list;
	return rc;
}

static struct instance_spec storage_spec(const struct conf *conf)
{
	return (struct instance_spec){ .plugin = conf->storage.plugin,
		                       .name = "",
		                       .place = conf->storage.place,
		                       .options = conf->storage.options,
		                       .must_storage = true };
}

/* The storage is opened once: another one is another agent. */
static int open_storage(struct agent *a, const struct conf *conf,
                        struct conf_errors *errors)
{
	struct instance_spec spec = storage_spec(conf);
	struct err e;

	if (a->storage)
		return 0;
	int rc = instance_open(a->plugins, &spec, &a->storage, &e);
	if (rc < 0) {
		conf_error(errors, (struct conf_place){ 0 }, "%s", e.text);
		return rc;
	}
	a->store = store_new(a->storage, &a->log, agent_damaged, a);
	a->renew = agent_renew(a);
	return 0;
}

static bool same_storage(const struct conf_storage *a,
                         const struct conf_storage *b)
{
	bool same = !strcmp(a->plugin, b->plugin) &&
	            a->options.count == b->options.count;

	for (size_t i = 0; same && i < a->options.count; i++)
		same = !strcmp(a->options.items[i].key,
		               b->options.items[i].key) &&
		       !strcmp(a->options.items[i].value,
		               b->options.items[i].value);
	return same;
}

/* What cannot change while we run. */
static int check_fixed(const struct agent *a, const struct conf *conf,
                       struct conf_errors *errors)
{
	if (!a->conf)
		return 0;
	if (!same_storage(&a->conf->storage, &conf->storage)) {
		conf_error(errors, conf->storage.place,
		           "[storage] takes effect at a restart only");
		return ERR_INVALID;
	}
	if (strcmp(a->conf->agent.run_dir, conf->agent.run_dir) ||
	    strcmp(a->conf->agent.state_dir, conf->agent.state_dir)) {
		conf_error(errors, conf->agent.place, "run_dir and state_dir "
		           "take effect at a restart only");
		return ERR_INVALID;
	}
	return 0;
}

/* Users and groups of [nginx]: who may ask, who may declare, and for a nginx
 * that is not started by root, who may open the segment. */
static void allow(struct agent *a)
{
	uid_t *users = mem_array(a->conf->nginx_count, sizeof *users);
	gid_t *groups = mem_array(a->conf->nginx_count, sizeof *groups);
	size_t user_count = 0, group_count = 0;
	gid_t reader = (gid_t)-1;
	struct err e;

	for (size_t i = 0; i < a->conf->nginx_count; i++) {
		const struct conf_nginx *n = &a->conf->nginx[i];
		struct passwd *pw = *n->user ? getpwnam(n->user) : NULL;
		struct group *gr = *n->group ? getgrnam(n->group) : NULL;
		if (pw)
			users[user_count++] = pw->pw_uid;
		if (gr)
			groups[group_count++] = gr->gr_gid;
		if ((*n->user && !pw) || (*n->group && !gr))
			log_warn(&a->log, "unknown", "%s=%s",
			         *n->user && !pw ? "user" : "group",
			         *n->user && !pw ? n->user : n->group);
		if (*n->user && gr)
			reader = gr->gr_gid;
	}
	if (publisher_set_group(a->publisher, reader, &e) < 0)
		agent_alarm(a, "nginx group", e.text);
	else
		agent_alarm(a, "nginx group", NULL);
	control_allow(a->control, users, user_count, groups, group_count);
	free(users);
	free(groups);
}

void agent_configure(struct agent *a)
{
	if (a->conf)
		renew_configure(a->renew, a->conf, a->declared.sets,
		                a->conf->agent.declare ? a->declared.count : 0);
}

/* Takes over what was opened and checked. */
static void adopt(struct agent *a, struct conf *conf,
                  struct instance **challenges)
{
	struct conf *old = a->conf;
	struct instance **old_challenges = a->challenges;

	a->conf = conf;
	a->challenges = challenges;
	log_set_level(conf->agent.log_level);
	allow(a);
	agent_collect_declared(a); /* what is allowed may have changed */
	agent_configure(a);
	if (!old)
		agent_load(a);
	else
		agent_close_challenges(old_challenges, old->challenge_count,
		                 DRAIN_MS);
	conf_unref(old);
	agent_alarm(a, "configuration", NULL);
	if (old) { /* whoever reloads has seen what was told once */
		agent_alarm(a, "declared", NULL);
		agent_alarm(a, "damaged", NULL);
	}
	log_notice(&a->log, "configured", "issuers=%zu certificates=%zu",
	           conf->issuer_count, conf->certificate_count);
}

int agent_reload(struct agent *a, struct conf_errors *errors)
{
	struct instance **challenges = NULL;
	struct conf *conf = NULL;
	int rc = conf_load(a->options.conf, &conf, errors);

	if (rc == 0)
		rc = check_fixed(a, conf, errors);
	if (rc == 0) {
		plugins_set_dir(a->plugins, conf->agent.plugin_dir);
		rc = open_challenges(a, conf, &challenges, errors);
	}
	if (rc == 0 && open_storage(a, conf, errors) < 0) {
		agent_close_challenges(challenges, conf->challenge_count, 0);
		rc = ERR_INVALID;
	}
	if (rc < 0) {
		if (conf && a->conf)
			plugins_set_dir(a->plugins, a->conf->agent.plugin_dir);
		conf_unref(conf);
		return rc;
	}
	adopt(a, conf, challenges);
	return 0;
}

/* ------------------------------------------------------ acme-agent -t */

static int check_instances(struct plugins *plugins, const struct conf *conf,
                           struct conf_errors *errors)
{
	struct instance_spec storage = storage_spec(conf);
	int rc = instance_check(plugins, &storage, errors);

	for (size_t i = 0; i < conf->challenge_count; i++) {
		struct instance_spec spec =
			challenge_spec(&conf->challenges[i]);
		if (instance_check(plugins, &spec, errors) < 0)
			rc = ERR_INVALID;
	}
	return rc;
}

static void print_errors(const struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		fprintf(stderr, "%s%s\n",
		        errors->items[i].warning ? "warning: " : "",
		        errors->items[i].text);
	if (errors->more)
		fprintf(stderr, "and %zu more\n", errors->more);
}

int agent_test(const struct agent_options *options)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct conf *conf = NULL;
	struct log log;
	int rc = conf_load(options->conf, &conf, &errors);

	log_init(&log, NULL, "agent", NULL);
	if (conf) {
		struct loop *loop = loop_new();
		struct plugins *plugins = plugins_new(&(struct plugins_setup){
			.loop = loop,
			.log = &log,
			.dir = conf->agent.plugin_dir,
			.owner = geteuid() });
		if (check_instances(plugins, conf, &errors) < 0)
			rc = ERR_INVALID;
		plugins_free(plugins);
		loop_free(loop);
	}
	print_errors(&errors);
	fprintf(stderr, "%s: configuration is %s\n", options->conf,
	        rc < 0 ? "wrong" : "good");
	conf_errors_free(&errors);
	conf_unref(conf);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
