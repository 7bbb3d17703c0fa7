/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Two challenge plugins within the test: "web" for http-01 and "zone" for
 * dns-01. They remember what stands presented and answer as they are told.
 */
#include "../store/desk.h"

enum { SCRIPTED_STANDING = 64 };

struct scripted {
	const acme_host *host;
	char standing[SCRIPTED_STANDING][64]; /* tokens; "" is free */
	unsigned presents, cleanups;
	char last_cookie[64]; /* that a cleanup was given */
	char last_value[256]; /* key authorization of the last present */

	/* knobs */
	acme_status present, cleanup; /* what to answer */
	int times;                    /* so often; 0: always */
	uint32_t retry_ms;
	const char *cookie; /* that present emits */
	bool hold;          /* never answer */
	bool hold_cleanup;  /* nor after this */
	acme_op held;
};

static struct scripted *scripted_web, *scripted_zone;

static inline int scripted_find(const struct scripted *s, const char *token)
{
	for (int i = 0; i < SCRIPTED_STANDING; i++)
		if (!strcmp(s->standing[i], token))
			return i;
	return -1;
}

static inline size_t scripted_count(const struct scripted *s)
{
	size_t count = 0;

	for (int i = 0; i < SCRIPTED_STANDING; i++)
		count += s->standing[i][0] != '\0';
	return count;
}

static inline acme_status scripted_turn(struct scripted *s, acme_status st)
{
	if (s->times && st != ACME_OK && --s->times == 0)
		s->present = s->cleanup = ACME_OK;
	return st;
}

static inline void scripted_present(void *self, acme_op op,
                                    const acme_challenge *c)
{
	struct scripted *s = self;
	acme_entry entry = { .size = sizeof entry };
	char token[64];

	s->presents++;
	snprintf(token, sizeof token, "%.*s", ACME_ARG(c->token));
	snprintf(s->last_value, sizeof s->last_value, "%.*s",
	         ACME_ARG(c->key_authorization));
	int at = scripted_find(s, token);
	if (at < 0)
		at = scripted_find(s, "");
	assert_true(at >= 0);
	snprintf(s->standing[at], sizeof token, "%s", token);
	if (s->hold) {
		s->held = op;
		return;
	}
	if (s->cookie) {
		entry.value = acme_text(s->cookie);
		s->host->emit(op, &entry);
	}
	acme_status st = scripted_turn(s, s->present);
	s->host->done(op, st, st == ACME_OK ? 0 : s->retry_ms,
	              acme_text(st == ACME_OK ? "" : "the test says so"));
}

static inline void scripted_cleanup(void *self, acme_op op,
                                    const acme_challenge *c)
{
	struct scripted *s = self;
	char token[64];

	s->cleanups++;
	snprintf(token, sizeof token, "%.*s", ACME_ARG(c->token));
	snprintf(s->last_cookie, sizeof s->last_cookie, "%.*s",
	         ACME_ARG(c->cookie));
	int at = scripted_find(s, token);
	if (at >= 0)
		s->standing[at][0] = '\0';
	if (s->hold || s->hold_cleanup) {
		s->held = op;
		return;
	}
	acme_status st = scripted_turn(s, s->cleanup);
	s->host->done(op, st, 0,
	              acme_text(st == ACME_OK ? "" : "the test says so"));
}

static inline acme_status scripted_open_web(const acme_host *host,
                                            acme_op root, void **self)
{
	(void)root;
	scripted_web->host = host;
	*self = scripted_web;
	return ACME_OK;
}

static inline acme_status scripted_open_zone(const acme_host *host,
                                             acme_op root, void **self)
{
	(void)root;
	scripted_zone->host = host;
	*self = scripted_zone;
	return ACME_OK;
}

static const acme_challenge_ops SCRIPTED_WEB_OPS = {
	.size = sizeof SCRIPTED_WEB_OPS,
	.types = ACME_HTTP_01,
	.present = scripted_present,
	.cleanup = scripted_cleanup,
};

static const acme_challenge_ops SCRIPTED_ZONE_OPS = {
	.size = sizeof SCRIPTED_ZONE_OPS,
	.types = ACME_DNS_01,
	.present = scripted_present,
	.cleanup = scripted_cleanup,
};

static const acme_plugin SCRIPTED_WEB = {
	.size = sizeof SCRIPTED_WEB,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1,
	.name = "web",
	.version = "1",
	.about = "Answers http-01 as a test says.",
	.open = scripted_open_web,
	.close = memory_close,
	.challenge = &SCRIPTED_WEB_OPS,
};

static const acme_plugin SCRIPTED_ZONE = {
	.size = sizeof SCRIPTED_ZONE,
	.abi_major = ACME_ABI_MAJOR,
	.abi_minor = 1,
	.name = "zone",
	.version = "1",
	.about = "Answers dns-01 as a test says.",
	.open = scripted_open_zone,
	.close = memory_close,
	.challenge = &SCRIPTED_ZONE_OPS,
};
