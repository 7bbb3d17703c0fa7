/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme-agent, from start to stop.
 *
 *   publish     what is stored is served, before anything can go wrong
 *   listen      the control socket
 *   READY       the service manager may start nginx
 *   configure   conf.d, plugins, storage, issuers; refused as a whole if wrong,
 *               and then we wait for a better one, serving
 *   run         orders and renewals, until SIGTERM
 *
 * What belongs to the parts is in their folders; here they are made, wired and
 * ended in the opposite order.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/notify.h"
#include "base/now.h"
#include "control/report.h"
#include "export.h"
#include "loop/after.h"
#include "saver.h"

enum {
	DRAIN_MS = 10 * 1000,
	REPAIR_MS = 10 * 1000,
	SWEEP_MS = 3600 * 1000,
	SLOW_MS = 50,
	END_S = 30, /* for all that is still going on at the end */
	EXIT_WRONG = 1,
};

/* ---------------------------------------------------------------- alarms */

void agent_alarm(struct agent *a, const char *key, const char *text)
{
	size_t at = AGENT_ALARMS;

	for (size_t i = 0; i < AGENT_ALARMS; i++)
		if (a->alarms[i].key && !strcmp(a->alarms[i].key, key))
			at = i;
		else if (!a->alarms[i].key && at == AGENT_ALARMS)
			at = i;
	if (at == AGENT_ALARMS)
		return;
	if (!text) {
		a->alarms[at].key = NULL;
		return;
	}
	if (!a->alarms[at].key || strcmp(a->alarms[at].text, text))
		log_error(&a->log, "ALARM", "what=%s text=\"%s\"", key, text);
	a->alarms[at].key = key;
	snprintf(a->alarms[at].text, AGENT_ALARM_LEN, "%s", text);
}

static void damaged(void *arg, const char *key, const struct err *e)
{
	char text[AGENT_ALARM_LEN];

	snprintf(text, sizeof text, "%s was damaged and set aside: %s", key,
	         e->text);
	agent_alarm(arg, "damaged", text);
}

/* --------------------------------------------- what renew needs from us */

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
		export_start(a->loop, &a->log, wish->export_dir, record);
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

static int publish_token(void *arg, uint32_t kind, struct str name,
                         struct str value, struct err *e)
{
	struct agent *a = arg;

	if (kind != ACME_PUBLISH_TOKEN)
		return err_set(e, ERR_INVALID, "cannot publish kind %u", kind);
	if (value.ptr)
		return publisher_token(a->publisher, name, value, e);
	return publisher_withdraw_token(a->publisher, name, e);
}

/* --------------------------------------------------------- configuration */

static void close_challenges(struct instance **list, size_t count,
                             uint32_t drain_ms)
{
	for (size_t i = 0; i < count; i++)
		if (list[i])
			instance_close(list[i], drain_ms, NULL, NULL);
	free(list);
}

static int open_challenge(struct agent *a, const struct conf_challenge *c,
                          struct instance **out, struct conf_errors *errors)
{
	struct instance_spec spec = { .plugin = c->plugin,
		                      .name = c->name,
		                      .place = c->place,
		                      .options = c->options,
		                      .hooks = { a, publish_token },
		                      .must_challenge = true };
	struct err e;
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
		close_challenges(list, conf->challenge_count, 0);
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
	a->store = store_new(a->storage, &a->log, damaged, a);
	a->renew = renew_new(&(struct renew_setup){ .loop = a->loop,
	                                            .http = a->http,
	                                            .store = a->store,
	                                            .log = &a->log,
	                                            .instance = find_challenge,
	                                            .install = install,
	                                            .withdraw = withdraw,
	                                            .event = event,
	                                            .arg = a });
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
		if (*n->user && gr &&
		    publisher_set_group(a->publisher, gr->gr_gid, &e) < 0)
			agent_alarm(a, "nginx group", e.text);
	}
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
		renew_load(a->renew, loaded, a);
	else
		close_challenges(old_challenges, old->challenge_count,
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
		close_challenges(challenges, conf->challenge_count, 0);
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

static void log_errors(struct agent *a, const struct conf_errors *errors)
{
	char text[2 * CONF_ERROR_TEXT];

	for (size_t i = 0; i < errors->count; i++)
		log_write(&a->log,
		          errors->items[i].warning ? LOG_LEVEL_WARN
		                                   : LOG_LEVEL_ERROR,
		          "configuration", "text=%s",
		          log_quote(errors->items[i].text,
		                    strlen(errors->items[i].text), text,
		                    sizeof text));
}

static void reload(void *arg)
{
	struct agent *a = arg;
	struct conf_errors errors = CONF_ERRORS_INIT;
	char text[AGENT_ALARM_LEN];
	int rc = agent_reload(a, &errors);

	log_errors(a, &errors);
	if (rc == 0) {
		notify_send("STATUS=running");
	} else {
		snprintf(text, sizeof text, "configuration refused, %s: %.500s",
		         a->conf ? "the one before stays" : "nothing is renewed",
		         errors.count ? errors.items[0].text : "unknown");
		agent_alarm(a, "configuration", text);
		notify_send("STATUS=configuration refused");
	}
	conf_errors_free(&errors);
}

/* --------------------------------------------------------------- start */

/* What both agent_run and agent_publish begin with. */
static int begin(struct agent *a, const struct agent_options *options,
                 struct err *e)
{
	a->options = *options;
	a->lock = -1;
	a->started = now_wall();
	log_init(&a->log, NULL, "agent", NULL);
	conf_boot(options->conf, &a->boot);
	if (options->run_dir)
		snprintf(a->boot.run_dir, sizeof a->boot.run_dir, "%s",
		         options->run_dir);
	if (options->state_dir)
		snprintf(a->boot.state_dir, sizeof a->boot.state_dir, "%s",
		         options->state_dir);
	int rc = file_mkdirs(a->boot.run_dir, 0755, e);
	if (rc == 0)
		rc = file_mkdirs(a->boot.state_dir, 0700, e);
	return rc;
}

/* One agent for each state folder. */
static int take_lock(struct agent *a, struct err *e)
{
	char path[sizeof a->boot.state_dir + 8];

	snprintf(path, sizeof path, "%s/lock", a->boot.state_dir);
	a->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (a->lock < 0)
		return err_errno(e, errno, "%s", path);
	if (flock(a->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_CONFLICT,
		               "another agent works on %s", a->boot.state_dir);
	return 0;
}

static void stop(void *arg)
{
	struct agent *a = arg;

	log_notice(&a->log, "stopping", NULL);
	loop_stop(a->loop);
}

static void lifeline_ended(void *arg, int fd, unsigned events)
{
	struct agent *a = arg;
	char byte;

	(void)events;
	if (read(fd, &byte, 1) != 0)
		return; /* nobody writes to it; the end is what counts */
	fdwatch_cancel(&a->lifeline);
	log_notice(&a->log, "nginx has gone", NULL);
	loop_stop(a->loop);
}

static void watchdog(void *arg)
{
	struct agent *a = arg;

	notify_send("WATCHDOG=1");
	a->watchdog = after_start(a->loop, notify_watchdog_ms() / 2, watchdog,
	                          a);
}

static void slow(void *arg, const char *what, int64_t took)
{
	struct agent *a = arg;

	log_warn(&a->log, "loop held", "by=%s took=%lldms", what,
	         (long long)took);
}

/* The first process of a container inherits what others left running. */
static void reap(void *arg)
{
	(void)arg;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static int listen_control(struct agent *a, struct err *e)
{
	char path[sizeof a->boot.run_dir + 16];

	snprintf(path, sizeof path, "%s/control.sock", a->boot.run_dir);
	return control_open(&a->control,
	                    &(struct control_options){ .loop = a->loop,
	                                               .log = &a->log,
	                                               .path = path,
	                                               .ops = &AGENT_COMMANDS,
	                                               .arg = a },
	                    e);
}

static int start(struct agent *a, struct err *e)
{
	int rc = take_lock(a, e);

	if (rc == 0)
		rc = publisher_open(a->boot.run_dir, a->boot.state_dir,
		                    &a->log, &a->publisher, e);
	if (rc < 0)
		return rc;
	a->loop = loop_new();
	loop_on_slow(a->loop, SLOW_MS, slow, a);
	loop_signal(a->loop, SIGTERM, stop, a);
	loop_signal(a->loop, SIGINT, stop, a);
	loop_signal(a->loop, SIGHUP, reload, a);
	if (getpid() == 1)
		loop_signal(a->loop, SIGCHLD, reap, a);
	publisher_start(a->publisher, a->loop);
	a->http = http_client_new(a->loop, NULL);
	a->plugins = plugins_new(&(struct plugins_setup){
		.loop = a->loop,
		.log = &a->log,
		.dir = "/nonexistent", /* until there is a configuration */
		.http = a->http,
		.owner = a->options.shared ? 0 : geteuid() });
	agent_load_declared(a);
	if (a->options.lifeline >= 0)
		rc = fdwatch_start(a->loop, a->options.lifeline, FDWATCH_READ,
		                   lifeline_ended, a, &a->lifeline, e);
	return rc < 0 ? rc : listen_control(a, e);
}

/* ----------------------------------------------------------------- end */

/* Process 1 does not die of a signal that it does not handle. */
static void gave_up(int signum)
{
	_exit(128 + signum);
}

static void end(struct agent *a)
{
	size_t challenges = a->conf ? a->conf->challenge_count : 0;

	after_cancel(&a->repair);
	after_cancel(&a->look);
	after_cancel(&a->sweep);
	after_cancel(&a->watchdog);
	fdwatch_cancel(&a->lifeline);
	renew_free(a->renew);
	control_close(a->control);
	store_free(a->store);
	close_challenges(a->challenges, challenges, 0);
	if (a->storage)
		instance_close(a->storage, 0, NULL, NULL);
	saver_free(a->saver);
	publisher_close(a->publisher);
	http_client_free(&a->http);
	signal(SIGALRM, gave_up);
	alarm(END_S); /* a plugin's job that hangs must not keep us */
	if (a->loop) { /* what is closing comes to its end */
		loop_signal(a->loop, SIGTERM, NULL, NULL);
		loop_signal(a->loop, SIGINT, NULL, NULL);
		loop_signal(a->loop, SIGHUP, NULL, NULL);
		loop_signal(a->loop, SIGCHLD, NULL, NULL);
		loop_run(a->loop);
	}
	plugins_free(a->plugins);
	if (loop_free(a->loop) > 0)
		log_warn(&a->log, "something was still running", NULL);
	loop_pool_end();
	declared_free(&a->declared);
	conf_unref(a->conf);
	if (a->lock >= 0)
		close(a->lock);
}

int agent_run(const struct agent_options *options)
{
	struct agent a = { 0 };
	struct err e;
	int rc = begin(&a, options, &e);

	log_notice(&a.log, "starting", "version=%s mode=%s uid=%u conf=%s",
	           ACME_VERSION, options->shared ? "shared" : "separated",
	           (unsigned)geteuid(), options->conf);
	if (rc == 0)
		rc = start(&a, &e);
	if (rc == 0) {
		notify_send("READY=1"); /* what was stored is served */
		reload(&a);
		if (notify_watchdog_ms() > 0)
			watchdog(&a);
		loop_run(a.loop);
		notify_send("STOPPING=1");
	} else {
		log_err(&a.log, LOG_LEVEL_ERROR, "cannot start", &e);
	}
	end(&a);
	return rc < 0 ? EXIT_WRONG : 0;
}

int agent_publish(const struct agent_options *options)
{
	struct agent a = { 0 };
	struct err e;
	int rc = begin(&a, options, &e);

	if (rc == 0)
		rc = publisher_open(a.boot.run_dir, a.boot.state_dir, &a.log,
		                    &a.publisher, &e);
	if (rc < 0)
		log_err(&a.log, LOG_LEVEL_ERROR, "cannot publish", &e);
	publisher_close(a.publisher);
	return rc < 0 ? EXIT_WRONG : 0;
}

int agent_test(const struct agent_options *options)
{
	struct conf_errors errors = CONF_ERRORS_INIT;
	struct agent a = { 0 };
	struct conf *conf = NULL;
	int rc = conf_load(options->conf, &conf, &errors);

	log_init(&a.log, NULL, "agent", NULL);
	if (conf) {
		a.loop = loop_new();
		a.plugins = plugins_new(&(struct plugins_setup){
			.loop = a.loop,
			.log = &a.log,
			.dir = conf->agent.plugin_dir,
			.owner = geteuid() });
		for (size_t i = 0; i < conf->challenge_count; i++) {
			const struct conf_challenge *c = &conf->challenges[i];
			struct instance_spec spec = { .plugin = c->plugin,
				                      .name = c->name,
				                      .place = c->place,
				                      .options = c->options,
				                      .must_challenge = true };
			if (instance_check(a.plugins, &spec, &errors) < 0)
				rc = ERR_INVALID;
		}
		struct instance_spec spec = storage_spec(conf);
		if (instance_check(a.plugins, &spec, &errors) < 0)
			rc = ERR_INVALID;
		plugins_free(a.plugins);
		loop_free(a.loop);
	}
	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s%s\n",
		        errors.items[i].warning ? "warning: " : "",
		        errors.items[i].text);
	if (errors.more)
		fprintf(stderr, "and %zu more\n", errors.more);
	fprintf(stderr, "%s: configuration is %s\n", options->conf,
	        rc < 0 ? "wrong" : "good");
	conf_errors_free(&errors);
	conf_unref(conf);
	return rc < 0 ? EXIT_WRONG : 0;
}
