/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <acme/kit.h>

enum { KIT_WORDS = 400, KIT_NAME = 64, KIT_PUBLISHED = 64 };

/* ---- report.c ---- */

/* Findings also go to this descriptor, one line each; -1: nowhere. */
void report_stream(kit_report *r, int fd);
/* A call has returned. One that held the loop for long is a finding at once,
 * one that was slow if it mostly is. */
void report_time(kit_report *r, const char *doing, bool slow, bool very);
/* What the plugin is asked now: into the stream, for the case of a crash. */
void report_doing(kit_report *r, const char *doing);
/* Takes a line of the stream. */
void report_line(kit_report *r, char *line);
/* A growing text; aborts when there is no memory. */
void *kit_mem(size_t size);
char *kit_strdup(acme_str s);
struct text {
	char *ptr;
	size_t len;
};
void text_add(struct text *t, const char *fmt, ...) ACME_PRINTF(2, 3);

/* ---- lent.c: bytes that are taken back ---- */

struct lent;

/* Zeroed memory in pages of its own, ending at one that cannot be read. `what`
 * is what a finding says of it. */
struct lent *lent_new(size_t size, const char *rule, const char *what);
void *lent_ptr(struct lent *l);
/* Overwritten; from now on nobody may touch it. */
void lent_end(struct lent *l);
/* Reports touches of all that were lent, and forgets that there were any. */
void lent_look(kit_report *r, const char *where);
void lent_free(struct lent *l);
/* Watches for accesses from now on. */
void lent_arm(void);
/* Where the handler writes what it finds, should the process end of it. */
void lent_stream(int fd);

/* A heap of lent things that end together. */
struct lents {
	struct lent **items;
	size_t count;
};
void *lents_add(struct lents *s, size_t size, const char *rule,
		const char *what);
void lents_end(struct lents *s, struct lents *ended);
void lents_free(struct lents *s);

/* ---- process.c: what is left behind ---- */

struct process;

struct process *process_look(const acme_plugin *plugin);
/* The plugin's variables are what they are from now on. */
void process_opened(struct process *p);
/* Compares, and frees. */
void process_compare(struct process *p, const acme_plugin *plugin,
		     kit_report *r);

/* ---- tape.c ---- */

struct tape;

struct answer {
	uint32_t code; /* 0: none, `words` say why */
	char *words;
	char **headers;
	size_t header_count;
	char *body;
};

/* NULL and a finding "kit-setup" if it cannot be read. */
struct tape *tape_open(const char *path, kit_report *r);
void tape_free(struct tape *t);
/* To the beginning of a section. */
void tape_seek(struct tape *t, const char *verb, bool again);
/* What the tape says to this request; false: it differs, `why` says how. */
bool tape_ask(kit *k, const acme_http_request *req, struct answer *out,
	      char *why, size_t size);
/* How many requests of the section were not made. */
size_t tape_left(const struct tape *t);
void answer_free(struct answer *a);

/* ---- the host ---- */

struct option {
	const acme_option *is;
	char *text; /* NULL: not given */
	int64_t number;
	acme_str *list;
	size_t list_count;
};

enum call_kind { CALL_ROOT, CALL_ONE, CALL_WATCH, CALL_CHILD };

struct kit_call {
	struct kit_call *next;
	kit *k;
	acme_op op;
	enum call_kind kind;
	struct kit_call *parent; /* of a child */
	char verb[24];
	bool live, answered, canceled, tell_cancel, again;
	bool over; /* its memory has been taken back */
	unsigned jobs, services;
	int64_t deadline;
	struct lents mem;
	size_t mem_size;
	struct lent *given; /* the arguments */

	struct kit_result result;
	char *text;
	acme_entry *entries;
	char *cursor;
	char token[KIT_NAME]; /* what it may publish */
	char key_authorization[160];
};

enum service_kind {
	SERVICE_POST,
	SERVICE_HTTP,
	SERVICE_AFTER,
	SERVICE_WORK,
	SERVICE_FD,
};

struct service {
	struct service *next;
	enum service_kind kind;
	struct kit_call *call;
	acme_then *then;
	acme_http_then *http_then;
	acme_fd_then *fd_then;
	acme_job *job;
	void *arg;
	int64_t due;
	int fd;
	uint32_t events;
	struct answer answer;
	pthread_t thread;
	bool dropped, finished;
};

struct kit {
	acme_host host;
	acme_plugin plugin; /* copies of ours, with what is missing as NULL */
	acme_challenge_ops challenge;
	acme_storage_ops storage;
	const acme_plugin *theirs;
	kit_report *report;
	void *self;

	struct option *options;
	size_t option_count;
	struct lents option_text; /* until close */
	struct lents secrets;     /* until they return */
	struct lents borrowed;    /* for this call */
	struct lents ended;
	struct tape *tape;
	struct process *process;

	int64_t now, mono, horizon; /* timers fall due until there */
	uint64_t next_id;
	struct kit_call *calls, *root;
	pthread_t loop;
	pthread_mutex_t lock; /* posts, jobs' ends, findings of threads */
	struct service *services, *posts;
	int wake[2];
	unsigned depth;
	char doing[KIT_WORDS];
	int64_t entered, entered_cpu;
	long entered_switches;
	bool opening, open_said, closing;
	char open_text[KIT_WORDS];

	char *published[KIT_PUBLISHED][2];
	struct text log;
	uint32_t fail, fail_at, fail_count;
	bool failed, failed_delete;
	struct kit_call *newest;
	unsigned begun[12]; /* how often each verb */
};

/* host.c */
void host_fill(kit *k);
/* Handles of this kit's are known between these. */
void host_enlist(kit *k);
void host_strike(kit *k);
/* This thread runs a job of that operation. */
void host_job(acme_op op);

/* call.c */
struct kit_call *call_new(kit *k, enum call_kind kind,
			  struct kit_call *parent, const char *verb);
struct kit_call *call_find(kit *k, acme_op op);
/* Calls of the plugin are between these. */
void kit_enter(kit *k, struct kit_call *c, const char *what);
void kit_leave(kit *k);
void call_drop(struct kit_call *c);
void call_answer(struct kit_call *c, uint32_t status, uint32_t retry_ms,
		 acme_str text);
void call_emit(struct kit_call *c, const acme_entry *entry);
void call_end(struct kit_call *c);
void call_refuse(struct kit_call *c, const char *why);
void call_free(struct kit_call *c);
void kit_found(kit *k, const char *rule, const char *fmt, ...)
	ACME_PRINTF(3, 4);
/* Does the text hold one of the secrets? Its option's name, or NULL. */
const char *kit_secret_in(kit *k, acme_str text);
/* Is it time for this fault? */
bool kit_fails(kit *k, uint32_t what);

/* turn.c */
struct service *service_new(struct kit_call *c, enum service_kind kind,
			    void *arg);
void service_job(struct service *s);
void service_drop(struct service *s);
void kit_wake(kit *k);
/* Waits for jobs of calls that are gone. */
void kit_join(kit *k);

/* options.c */
int options_read(kit *k, const kit_setup *setup);
struct option *option_find(kit *k, const char *name);
void options_free(kit *k);
/* As an operator would write it; made up if it was not given. */
const char *option_text(kit *k, const char *name);

/* sweep.c: one operation with each fault at each place, each time in a host
 * of its own. */
typedef kit_call *sweep_fn(kit *k, void *arg);
struct sweep {
	const kit_setup *setup;
	kit_report *report;
	sweep_fn *before; /* may be NULL; the fault comes after it */
	sweep_fn *begin;  /* here */
	/* What must hold then; `call` is the answer of begin. May be NULL. */
	void (*after)(kit *k, kit_call *call, void *arg);
	void *arg;
};
void sweep_run(const struct sweep *s);

/* elf.c: does the file export its entry and nothing else? */
void elf_exports(const char *path, kit_report *r);
