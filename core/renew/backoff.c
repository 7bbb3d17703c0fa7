/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of time: see backoff.h. One row for each class of error; a
 * certificate that lives 45 seconds has its own sense of "soon", so no wait is
 * longer than a twentieth of a life.
 */
#include "renew/backoff.h"

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
};

static const int64_t SHORT_LIFE = (int64_t)10 * DAY;

struct pace {
	int64_t first, most;
	int factor;
};

static struct pace pace_of(const struct err *e, int64_t now)
{
	switch (e->code) {
	case ERR_DENIED:
	case ERR_INVALID:
	case ERR_DECLINED:
		return (struct pace){ MINUTE, DAY, 4 };
	case ERR_LIMITED:
		if (e->retry_at > now)
			break; /* the CA says when */
		return (struct pace){ 10 * MINUTE, DAY, 2 };
	case ERR_OK:
	case ERR_RETRY:
	case ERR_ABSENT:
	case ERR_CONFLICT:
	case ERR_CANCELED:
	case ERR_BROKEN:
	case ERR_NOSPACE:
		break;
	}
	return (struct pace){ 2 * SECOND, HOUR, 2 };
}

int64_t backoff_retry_at(const struct err *e, unsigned attempts, int64_t life,
                         int64_t now, uint16_t dice)
{
	struct pace p = pace_of(e, now);
	int64_t wait = p.first;

	while (attempts-- > 1 && wait < p.most)
		wait *= p.factor;
	wait = wait < p.most ? wait : p.most;
	if (life > 0 && wait > life / 20)
		wait = life / 20 > SECOND ? life / 20 : SECOND;
	wait = wait * 3 / 4 + wait / 2 * dice / UINT16_MAX;
	if (e->retry_at <= now + wait)
		return now + wait;
	/* The CA's word, but no longer than a day: it may have been wrong. */
	return e->retry_at < now + DAY ? e->retry_at : now + DAY;
}

int64_t backoff_renew_at(const struct conf_renew *policy, int64_t not_before,
                         int64_t not_after, uint16_t dice)
{
	int64_t life = not_after - not_before, at = not_before;

	switch (policy->kind) {
	case CONF_RENEW_AUTO:
		at += life <= SHORT_LIFE ? life / 2 : life / 3 * 2;
		break;
	case CONF_RENEW_BEFORE:
		at = not_after - policy->before_ms;
		break;
	case CONF_RENEW_PERCENT:
		at += life / 100 * policy->percent;
		break;
	}
	/* Only earlier: later may be too late. */
	at -= life / 50 * dice / UINT16_MAX;
	/* A wait longer than the life would renew for ever. */
	int64_t earliest = not_before + life / 10;
	return at > earliest ? at : earliest;
}
