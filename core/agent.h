/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "control/control.h"
#include "control/declared.h"
#include "loop/fdwatch.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "plugin/instance.h"
#include "publish.h"
#include "renew/renew.h"
#include "store/store.h"

/*
 * The program as a whole: which parts there are, and who talks to whom. Only
 * main.c, agent.c and their neighbours in this folder see it.
 */
struct agent_options {
	const char *conf;      /* path of acme-agent.ini */
	const char *run_dir;   /* NULL: as configured */
	const char *state_dir; /* NULL: as configured */
	bool shared;           /* launched by nginx, as the workers' user */
	int lifeline;          /* ends with its other end; -1: none */
};

enum { AGENT_ALARMS = 8, AGENT_ALARM_LEN = 600 };

struct agent {
	struct agent_options options;
	struct conf_boot boot; /* folders and user, known before all else */
	struct log log;
	int64_t started;

	struct publisher *publisher;
	struct loop *loop;
	struct http_client *http;
	struct plugins *plugins;
	struct conf *conf; /* in force; NULL: none was accepted yet */
	struct instance *storage;
	struct instance **challenges; /* as conf->challenges */
	struct store *store;
	struct renew *renew;
	struct control *control;
	struct declared declared;
	struct saver *saver; /* of the declarations */
	struct exporter *exporter;
	int64_t declared_at; /* of what was taken from nginx's folder */

	struct fdwatch *lifeline;
	struct after *watchdog, *repair, *sweep, *look, *follow;
	int lock; /* on the state folder */
	struct {
		const char *key; /* static; NULL: free */
		char text[AGENT_ALARM_LEN];
	} alarms[AGENT_ALARMS];
};

/* Publishes, then serves until it is told to stop. The exit status. */
int agent_run(const struct agent_options *options);
/* `acme-agent publish`: publishes what is stored and ends. */
int agent_publish(const struct agent_options *options);
/* `acme-agent -t`: what agent_reload would say. */
int agent_test(const struct agent_options *options);

/* ---- for the neighbours ---- */

/* Something an operator must see until it is over: shown by status, logged when
 * it begins. `text` NULL ends it. `key` is static. */
void agent_alarm(struct agent *a, const char *key, const char *text);

/* configure.c */

/* Reads the configuration and takes it over, whole or not at all. Errors go to
 * `errors`, which is the caller's to free. */
int agent_reload(struct agent *a, struct conf_errors *errors);
/* What is wished for has changed. */
void agent_configure(struct agent *a);
void agent_close_challenges(struct instance **list, size_t count,
                            uint32_t drain_ms);

/* hooks.c: what the parts call back; `arg` is the agent. */

struct renew *agent_renew(struct agent *a);
/* Has renew read the store, and publishes what is there. */
void agent_load(struct agent *a);
store_alarm_fn agent_damaged;
int agent_publish_token(void *arg, uint32_t kind, struct str name,
                        struct str value, struct err *e);

/* declarations.c: what nginx wants. */

void agent_load_declared(struct agent *a);
/* The declarations are made durable, off the loop. */
void agent_save_declared(struct agent *a);
/* Takes what nginx left in the run directory, now and whenever it changes. */
void agent_collect_declared(struct agent *a);
/* Wishes for what was declared, in a moment: nginx declares before its new
 * workers run, and it is they who will answer the CA. */
void agent_follow_declared(struct agent *a);
/* What lies there was told to us, too. */
void agent_heard_declared(struct agent *a);

/* commands.c: what the control socket may ask for. */
extern const struct control_ops AGENT_COMMANDS;
