/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/plugin.h: the descriptor of a plugin and its one exported function.
 *
 * A plugin is NAME.so in the agent's plugin folder. It exports acme_plugin_v0
 * and nothing else, imports nothing from the agent, and is never unloaded. The
 * file and every folder above it belong to root or the agent's user and are
 * writable by nobody else.
 *
 * plugins/challenge/hello is the example to start from; docs/plugin-guide.md
 * walks through it.
 */
#ifndef ACME_PLUGIN_H
#define ACME_PLUGIN_H

#include <acme/abi.h>
#include <acme/challenge.h>
#include <acme/host.h>
#include <acme/storage.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of options, with what the operator writes and where to read it. */
#define ACME_STR    1u /* any text; option_str */
#define ACME_INT    2u /* -9223372036854775808 ...; option_int */
#define ACME_BOOL   3u /* yes/no, on/off, true/false; option_bool */
#define ACME_TIME   4u /* 250ms, 30s, 5m, 12h, 90d, 2w; option_int, ms */
#define ACME_SIZE   5u /* 512, 64k, 16m, 1g; option_int, bytes */
#define ACME_URL    6u /* http:// or https://; option_str */
#define ACME_LIST   7u /* a, b, c; option_list */
#define ACME_PATH   8u /* absolute path; option_str, NUL-terminated */
#define ACME_SECRET 9u /* file:PATH, env:NAME, credential:NAME; secret */

#define ACME_REQUIRED 1u

/* One option of the plugin's section in the INI file. */
typedef struct acme_option {
	uint32_t size;
	uint32_t type;
	uint32_t flags;
	uint32_t reserved;
	const char *name;     /* [a-z][a-z0-9_]*, at most 63 */
	const char *fallback; /* as an operator would write it, or NULL */
	const char *help;     /* one sentence; it becomes the manual */
} acme_option;

typedef struct acme_plugin {
	uint32_t size;
	uint16_t abi_major; /* ACME_ABI_MAJOR */
	uint16_t abi_minor; /* the oldest host that it can live with */
	const char *name;    /* as the file: [a-z0-9-], at most 63 */
	const char *version; /* its own */
	const char *about;   /* one sentence */
	const acme_option *const *options; /* ends with NULL; NULL: none */
	/* Makes an instance; does not wait for anything. On failure it frees
	 * what it made, says why with done(root, ...) and returns the status;
	 * `close` is not called then. */
	acme_status (*open)(const acme_host *host, acme_op root, void **self);
	/* The last call of an instance: no operation is left, no job runs. */
	void (*close)(void *self);
	/* The host ends the operation (deadline, shutdown, a service that it
	 * refused): forget what you keep for it. NULL if there is nothing: host
	 * services and memory are dropped by the host. Not called after a
	 * `done` that counted. */
	void (*cancel)(void *self, acme_op op);
	const acme_challenge_ops *challenge; /* either may be NULL */
	const acme_storage_ops *storage;
} acme_plugin;

/* The entry. Returns a descriptor that stays valid for ever. */
ACME_EXPORT const acme_plugin *acme_plugin_v0(void);

#ifdef __cplusplus
}
#endif

#endif
