/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nginx declares: by the control socket (commands.c), or as files in the
 * run directory, from a master that was there before us or did not get through.
 * We keep all of it in the state folder, for a start without either.
 */
#include "agent.h"

#include <stdio.h>
#include <sys/stat.h>

#include "loop/after.h"
#include "saver.h"

enum {
	LOOK_MS = 2 * 1000,
	FOLLOW_MS = 1000,
	FOLDER_LEN = sizeof((struct conf_boot *)0)->run_dir + 16,
};

void agent_load_declared(struct agent *a)
{
	char path[sizeof a->boot.state_dir + 32];
	struct err e;

	snprintf(path, sizeof path, "%s/declared.json", a->boot.state_dir);
	a->saver = saver_new(a->loop, &a->log, path);
	if (declared_load(&a->declared, path, &a->log, &e) < 0)
		agent_alarm(a, "declared", e.text);
}

void agent_save_declared(struct agent *a)
{
	struct buf text = BUF_INIT(64 << 20);
	struct err e;

	if (declared_write(&a->declared, &text, &e) == 0) {
		agent_alarm(a, "declarations", NULL);
		saver_save(a->saver, buf_str(&text));
	} else {
		err_in(&e, "declarations are not kept");
		agent_alarm(a, "declarations", e.text);
	}
	buf_free(&text);
}

/* When nginx last left something there; 0: never. */
static int64_t left_at(const struct agent *a, char folder[FOLDER_LEN])
{
	struct stat st;

	snprintf(folder, FOLDER_LEN, "%s/declared", a->boot.run_dir);
	if (stat(folder, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

void agent_heard_declared(struct agent *a)
{
	char folder[FOLDER_LEN];

	a->declared_at = left_at(a, folder);
}

static void collect(struct agent *a)
{
	char folder[FOLDER_LEN];

	a->declared_at = left_at(a, folder);
	declared_collect(&a->declared, folder, &a->conf->nginx[0], &a->log);
	agent_save_declared(a);
}

/* nginx does not wait for us, so what it left may be all that we get. */
static void look(void *arg)
{
	struct agent *a = arg;
	char folder[FOLDER_LEN];

	a->look = after_start(a->loop, LOOK_MS, look, a);
	if (left_at(a, folder) == a->declared_at)
		return;
	collect(a);
	agent_configure(a);
}

static void follow(void *arg)
{
	struct agent *a = arg;

	a->follow = NULL;
	agent_configure(a);
}

void agent_follow_declared(struct agent *a)
{
	if (!a->follow)
		a->follow = after_start(a->loop, FOLLOW_MS, follow, a);
}

void agent_collect_declared(struct agent *a)
{
	collect(a);
	if (!a->look)
		a->look = after_start(a->loop, LOOK_MS, look, a);
}
