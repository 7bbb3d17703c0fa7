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
 * What belongs to the parts is in their folders; here they are made and, in the
 * opposite order, ended. configure.c takes over a configuration, hooks.c is what
 * the parts call back, commands.c what may be asked over the socket.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
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
#include "export.h"
#include "loop/after.h"
#include "saver.h"

enum {
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
	a->exporter = exporter_new(a->loop, &a->log);
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
	after_cancel(&a->follow);
	fdwatch_cancel(&a->lifeline);
	renew_free(a->renew);
	control_close(a->control);
	store_free(a->store);
	agent_close_challenges(a->challenges, challenges, 0);
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
	exporter_free(a->exporter);
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
	if (rc == 0 && !publisher_has_replica(a.publisher))
		rc = err_set(&e, ERR_RETRY, "the replica cannot be read");
	if (rc < 0)
		log_err(&a.log, LOG_LEVEL_ERROR, "cannot publish", &e);
	publisher_close(a.publisher);
	return rc < 0 ? EXIT_WRONG : 0;
}
