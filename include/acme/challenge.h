/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acme/challenge.h: proving control of a name (RFC 8555 section 8).
 *
 * A challenge plugin does one thing: it makes the place that the CA looks at
 * (an HTTP answer, a DNS record) say what it should, and takes that away again.
 * What it may rely on:
 *
 *  - The host computes token, record name and values, follows CNAMEs, waits for
 *    propagation, serialises by `lock_scope`, retries ACME_RETRY with backoff.
 *  - `cleanup` follows every `present`, whatever that answered, also after a
 *    crash of the agent. So it is idempotent, and "was not there" is success.
 *  - What `present` emits as value (at most 4 KiB) is kept with the order and
 *    comes back as `cookie`: record ids survive a restart.
 *
 * Everything in acme_challenge was bounded and checked by the host: names are
 * lower-case LDH with dots, token and key authorization base64url and ".", so
 * they may stand in URLs and JSON as they are.
 */
#ifndef ACME_CHALLENGE_H
#define ACME_CHALLENGE_H

#include <acme/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types: `type` is one of them, `types` a set. */
#define ACME_HTTP_01     1u /* RFC 8555 section 8.3 */
#define ACME_DNS_01      2u /* RFC 8555 section 8.4 */
#define ACME_TLS_ALPN_01 4u /* RFC 8737 */

/* Which operations of one instance must not run side by side. */
#define ACME_SCOPE_NONE    0u /* all may */
#define ACME_SCOPE_NAME    1u /* one at a time for each record name */
#define ACME_SCOPE_ZONE    2u /* one at a time for each zone */
#define ACME_SCOPE_ACCOUNT 3u /* one at a time */

typedef struct acme_challenge {
	uint32_t size;
	uint32_t type;
	acme_str identifier; /* "example.org" without "*.", or an IP address */
	/* Empty when a record is wanted for its own sake: a DNS plugin looks at
	 * the record only. */
	acme_str token;
	acme_str key_authorization;
	/* dns-01: the name to write, absolute without the final dot; the value
	 * of this challenge; and all values that the name must hold now (apex
	 * and wildcard share a name), this one among them on `present`, not
	 * among them on `cleanup`. */
	acme_str record_name;
	acme_str record_value;
	const acme_str *record_values;
	size_t record_value_count;
	acme_str cookie; /* cleanup: what present emitted, or empty */
} acme_challenge;

typedef struct acme_challenge_ops {
	uint32_t size;
	uint32_t types;
	uint32_t lock_scope;
	uint32_t propagation_ms; /* dns-01: how long changes may take; 0: 60 s */
	/* ACME_OK: in place. ACME_DECLINED: not mine, try the next challenge.
	 * Called again for the same challenge it must not fail. */
	void (*present)(void *self, acme_op op, const acme_challenge *c);
	/* Removes exactly this challenge's value and nothing else. */
	void (*cleanup)(void *self, acme_op op, const acme_challenge *c);
} acme_challenge_ops;

#ifdef __cplusplus
}
#endif

#endif
