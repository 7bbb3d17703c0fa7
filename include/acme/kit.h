/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/kit.h: a host without an agent, to test plugins with.
 *
 * The host table is all that a plugin knows, so a fake one is complete: link
 * libacme-kit.a (CMake: acme-agent::kit; pkg-config: acme-agent-kit) into a test
 * program, hand it your descriptor, and run the contract:
 *
 *     kit_report *r = kit_report_new();
 *     kit_setup s = { sizeof s };
 *     s.plugin = acme_plugin_v0();
 *     s.options = "token=abc\nurl=https://api.example.net/v1";
 *     s.tape = "fixtures/mydns.tape";
 *     kit_challenge_contract(&s, r);
 *     return kit_report_print(r, stdout) ? 1 : 0;
 *
 * What it is: a clock that does not pass by itself, a provider that answers from
 * a text file (a tape), options and secrets set by call, jobs that really run on
 * another thread, a log that is kept. What it watches all the time, each finding
 * under its name of docs/plugin-abi.md: one `done` for each operation, borrowed
 * bytes (they stand in pages of their own, which nobody may touch once they were
 * given back), wrong threads, calls that block, unknown options, secrets in logs,
 * children, descriptors and process state left behind, statics that change.
 *
 * Tapes. Lines of a request begin with '>', of its answer with '<'; a blank
 * line of either kind begins the body. Requests must come in the order of the
 * tape. '*' stands for anything; of headers only those named are compared. A
 * section "== VERB" holds what is asked during one call of that operation, "==
 * VERB again" what is asked when it is repeated; without it the same again.
 * @record_name@ @record_value@ @identifier@ @token@ @key_authorization@ and
 * @option.NAME@ are replaced.
 *
 *     == present
 *     > POST https://api.example.net/v1/records
 *     > Authorization: Bearer @option.token@
 *     >
 *     > {"name":"@record_name@","value":"@record_value@"}
 *     < 201
 *     <
 *     < rec-1
 *
 * "< error WORDS" instead of a code: no answer came.
 *
 * One thread uses a kit. Strings given are copied. C99 and C++11, POSIX.
 */
#ifndef ACME_KIT_H
#define ACME_KIT_H

#include <stdio.h>

#include <acme/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what was found ---- */

typedef struct kit_report kit_report;

kit_report *kit_report_new(void);
void kit_report_free(kit_report *r);
size_t kit_report_count(const kit_report *r);
/* The name of the rule, "own-arguments"; NULL beyond the count. */
const char *kit_report_rule(const kit_report *r, size_t at);
/* What happened, in which operation. */
const char *kit_report_text(const kit_report *r, size_t at);
/* Has this rule been broken? */
int kit_report_has(const kit_report *r, const char *rule);
/* "rule: text" lines; returns how many. */
size_t kit_report_print(const kit_report *r, FILE *to);
/* A finding of your own. The same one twice counts once. */
void kit_report_add(kit_report *r, const char *rule, const char *fmt, ...)
	ACME_PRINTF(3, 4);

/* ---- an instance in a host ---- */

typedef struct kit_setup {
	uint32_t size;
	uint32_t flags;            /* none defined: 0 */
	const acme_plugin *plugin;
	const char *options;       /* "name=value" lines; NULL: none. What is
	                            * required and not given is made up. */
	const char *tape;          /* path, or NULL: no provider is there */
	const char *scratch;       /* a folder for made-up PATHs; NULL: /tmp */
} kit_setup;

typedef struct kit kit;
typedef struct kit_call kit_call;

/* Checks the descriptor against the rules of loading. Returns 0, or -1 if it
 * cannot be used at all. */
int kit_descriptor(const acme_plugin *plugin, kit_report *r);
/* A host with one instance in it; findings go to `r`, which must outlive it.
 * NULL if `open` failed or the setup is wrong: the report says so, under the
 * rule "kit-setup" if it is not the plugin's fault. */
kit *kit_open(const kit_setup *setup, kit_report *r);
/* Ends what is pending, calls `close`, looks at what is left behind. */
void kit_close(kit *k);

/* ---- operations ---- */

/* The example that contracts and tapes speak of: example.org. */
acme_challenge kit_example(uint32_t type);

/* Each begins an operation; it runs in kit_run. The call lives until close. */
kit_call *kit_present(kit *k, const acme_challenge *c);
kit_call *kit_cleanup(kit *k, const acme_challenge *c);
kit_call *kit_get(kit *k, const char *key);
/* `expect`: NULL whatever is there, "" only if nothing is, else a version. */
kit_call *kit_put(kit *k, const char *key, acme_str value, const char *expect);
kit_call *kit_del(kit *k, const char *key, const char *expect);
kit_call *kit_list(kit *k, const acme_list *list);
kit_call *kit_lock(kit *k, const char *name, uint32_t lease_ms);
kit_call *kit_renew(kit *k, const char *name, const char *lease,
                    uint32_t lease_ms);
kit_call *kit_unlock(kit *k, const char *name, const char *lease);
kit_call *kit_watch(kit *k, const char *prefix);

/* One turn: delivers one callback, or lets the clock go on to the next. 0:
 * there is nothing left to do. */
int kit_step(kit *k);
/* Turns until nothing is left to do. An operation (but a watch) that has no
 * answer then is a finding, and is ended. */
void kit_run(kit *k);
/* As the agent does on a deadline and on shutdown. */
void kit_cancel(kit *k, kit_call *call);
/* Lets the clock go on, with all that falls due; returns Unix milliseconds. */
int64_t kit_advance(kit *k, uint32_t ms);

typedef struct kit_result {
	uint32_t size;
	uint32_t done;      /* 1 when answered, or ended by the host */
	uint32_t status;    /* an acme_status */
	uint32_t retry_ms;
	const char *text;
	const acme_entry *entries; /* NUL-terminated texts; of our size */
	size_t count;
	const char *cookie; /* the last value that was emitted, or "" */
	const char *cursor; /* of a list: where it goes on, or "" */
} kit_result;

/* Valid until the next turn of the kit. */
const kit_result *kit_result_of(kit_call *call);
/* The key authorization published for a token; NULL: none. */
const char *kit_published(const kit *k, const char *token);
/* All lines of the log, each with a newline. */
const char *kit_log(const kit *k);

/* ---- faults ---- */

#define KIT_FAIL_ALLOC   1u /* the n-th alloc returns NULL */
#define KIT_FAIL_SERVICE 2u /* the n-th service is refused by the host */
#define KIT_FAIL_HTTP    3u /* the n-th request gets no answer */
#define KIT_FAIL_HTTP_500 4u /* ... is answered with this code and "{}" */
#define KIT_FAIL_HTTP_429 5u
#define KIT_FAIL_HTTP_403 6u
#define KIT_FAIL_HTTP_404 7u
#define KIT_FAIL_CANCEL  8u /* the host ends the operation before turn n */

/* From now on, counting from 1; 0: none. */
void kit_fail(kit *k, uint32_t what, uint32_t n);
/* Was the n-th reached? */
int kit_failed(const kit *k);

/* ---- contracts: each returns how many findings it added ---- */

/* present, again, cleanup, again, cleanup of nothing; then each of them with
 * every fault at every place. */
size_t kit_challenge_contract(const kit_setup *setup, kit_report *r);
/* Reading, writing, compare-and-set, lists, locks, watches, another instance,
 * the largest value; then faults as above. Needs a storage where it may write
 * below "kit/" and "kit-other/"; leaves nothing there. */
size_t kit_storage_contract(const kit_setup *setup, kit_report *r);
/* Those of both that the descriptor asks for. */
size_t kit_contract(const kit_setup *setup, kit_report *r);

/* ---- plugins as files ---- */

typedef struct kit_check {
	uint32_t size;
	uint32_t limit_s;    /* for all of it; 0: 60 */
	const char *path;    /* NAME.so */
	const char *options; /* as in kit_setup */
	const char *tape;
	FILE *out;           /* descriptor and options; NULL: not printed */
} kit_check;

/* Loads the file in a child process with a time limit, looks at what it
 * exports, runs the contracts: a crash or a hang is a finding. Returns how many
 * there are, or -1 with errno when it could not be tried. */
int kit_check_file(const kit_check *check, kit_report *r);

#ifdef __cplusplus
}
#endif

#endif
