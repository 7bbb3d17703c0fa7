/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the plugin. Arguments are put into bytes that end when it returns,
 * texts without a NUL behind them, one beside the other.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

static const char *const VERBS[] = {
	"present", "cleanup", "get",	"put",	  "del",
	"list",	   "lock",    "renew",	"unlock", "watch",
};

static const char TOKEN[] = "kit-token-DGyRejmCefe7v4NfDGDKfA";
static const char KEY_AUTHORIZATION[] =
	"kit-token-DGyRejmCefe7v4NfDGDKfA."
	"9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
static const char VALUE[] = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";

acme_challenge kit_example(uint32_t type)
{
	static const acme_str values[] = { { VALUE, sizeof VALUE - 1 } };
	acme_challenge c;

	memset(&c, 0, sizeof c);
	c.size = sizeof c;
	c.type = type;
	c.identifier = acme_text("example.org");
	c.token = acme_text(TOKEN);
	c.key_authorization = acme_text(KEY_AUTHORIZATION);
	if (type == ACME_DNS_01) {
		c.record_name = acme_text("_acme-challenge.example.org");
		c.record_value = acme_text(VALUE);
		c.record_values = values;
		c.record_value_count = 1;
	}
	return c;
}

static struct kit_call *begin(kit *k, enum call_kind kind, const char *verb)
{
	struct kit_call *c = call_new(k, kind, NULL, verb);

	for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
		if (!strcmp(VERBS[i], verb))
			c->again = k->begun[i]++ > 0;
	k->newest = c;
	tape_seek(k->tape, verb, c->again);
	kit_enter(k, c, verb);
	return c;
}

/* `ptr` NULL stays NULL: it has a meaning of its own. */
static acme_str lend(kit *k, acme_str s, const char *what)
{
	if (!s.ptr)
		return s;
	char *p = lents_add(&k->borrowed, s.len, "own-arguments", what);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	return (acme_str){ p, s.len };
}

static acme_str lend_text(kit *k, const char *s, const char *what)
{
	return s ? lend(k, acme_text(s), what) : (acme_str){ NULL, 0 };
}

/* ---- challenges ---- */

static const acme_challenge *lend_challenge(kit *k, const acme_challenge *c)
{
	static const char what[] = "the challenge";
	acme_challenge *out =
	    lents_add(&k->borrowed, sizeof *out, "own-arguments", what);
	acme_str *values = lents_add(
	    &k->borrowed, (c->record_value_count + 1) * sizeof *values,
	    "own-arguments", what);

	*out = *c;
	out->identifier = lend(k, c->identifier, what);
	out->token = lend(k, c->token, what);
	out->key_authorization = lend(k, c->key_authorization, what);
	out->record_name = lend(k, c->record_name, what);
	out->record_value = lend(k, c->record_value, what);
	out->cookie = lend(k, c->cookie, what);
	for (size_t i = 0; i < c->record_value_count; i++)
		values[i] = lend(k, c->record_values[i], what);
	out->record_values = values;
	return out;
}

static kit_call *challenge(kit *k, const acme_challenge *ch, const char *verb,
			   void (*fn)(void *, acme_op, const acme_challenge *))
{
	struct kit_call *c = begin(k, CALL_ONE, verb);

	snprintf(c->token, sizeof c->token, "%.*s", ACME_ARG(ch->token));
	snprintf(c->key_authorization, sizeof c->key_authorization, "%.*s",
		 ACME_ARG(ch->key_authorization));
	fn(k->self, c->op, lend_challenge(k, ch));
	kit_leave(k);
	return c;
}

kit_call *kit_present(kit *k, const acme_challenge *c)
{
	return challenge(k, c, "present", k->challenge.present);
}

kit_call *kit_cleanup(kit *k, const acme_challenge *c)
{
	return challenge(k, c, "cleanup", k->challenge.cleanup);
}

/* ---- storage ---- */

kit_call *kit_get(kit *k, const char *key)
{
	struct kit_call *c = begin(k, CALL_ONE, "get");

	k->storage.get(k->self, c->op, lend_text(k, key, "the key of get"));
	kit_leave(k);
	return c;
}

kit_call *kit_put(kit *k, const char *key, acme_str value, const char *expect)
{
	struct kit_call *c = begin(k, CALL_ONE, "put");

	k->storage.put(k->self, c->op, lend_text(k, key, "the key of put"),
		       lend(k, value, "the value of put"),
		       lend_text(k, expect, "the version of put"));
	kit_leave(k);
	return c;
}

kit_call *kit_del(kit *k, const char *key, const char *expect)
{
	struct kit_call *c = begin(k, CALL_ONE, "del");

	k->storage.del(k->self, c->op, lend_text(k, key, "the key of del"),
		       lend_text(k, expect, "the version of del"));
	kit_leave(k);
	return c;
}

kit_call *kit_list(kit *k, const acme_list *l)
{
	struct kit_call *c = begin(k, CALL_ONE, "list");
	acme_list *out = lents_add(&k->borrowed, sizeof *out, "own-arguments",
				   "the question of list");

	*out = *l;
	out->prefix = lend(k, l->prefix, "the prefix of list");
	out->cursor = lend(k, l->cursor, "the cursor of list");
	k->storage.list(k->self, c->op, out);
	kit_leave(k);
	return c;
}

kit_call *kit_lock(kit *k, const char *name, uint32_t lease_ms)
{
	struct kit_call *c = begin(k, CALL_ONE, "lock");

	k->storage.lock(k->self, c->op, lend_text(k, name, "the name of lock"),
			lease_ms);
	kit_leave(k);
	return c;
}

kit_call *kit_renew(kit *k, const char *name, const char *lease,
		    uint32_t lease_ms)
{
	struct kit_call *c = begin(k, CALL_ONE, "renew");

	k->storage.renew(k->self, c->op,
			 lend_text(k, name, "the name of renew"),
			 lend_text(k, lease, "the lease of renew"), lease_ms);
	kit_leave(k);
	return c;
}

kit_call *kit_unlock(kit *k, const char *name, const char *lease)
{
	struct kit_call *c = begin(k, CALL_ONE, "unlock");

	k->storage.unlock(k->self, c->op,
			  lend_text(k, name, "the name of unlock"),
			  lend_text(k, lease, "the lease of unlock"));
	kit_leave(k);
	return c;
}

kit_call *kit_watch(kit *k, const char *prefix)
{
	struct kit_call *c = begin(k, CALL_WATCH, "watch");

	k->storage.watch(k->self, c->op,
			 lend_text(k, prefix, "the prefix of watch"),
			 (acme_str){ NULL, 0 });
	kit_leave(k);
	return c;
}
