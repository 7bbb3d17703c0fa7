/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "base/log.h"
#include "conf/conf.h"
#include "renew/renew.h"

/*
 * What nginx masters have declared: one set for each owner ("prefix|path of the
 * configuration"), replaced whole, kept in a file so that an agent that starts
 * after nginx knows it. Every text in it is checked here.
 */
struct declared {
	struct declarations *sets;
	size_t count;
};

/* The params of `declare`, in place of what its owner declared before as the
 * same user (0: root or we ourselves; users of [nginx] are bound to their own). `nginx`
 * is the policy of whoever declares: which issuers, which names, how many. A
 * certificate that is wrong or not allowed is left out by itself: appended to
 * `refused` as {"name", "reason"}. An owner that is left without any is
 * forgotten. After an error nothing has changed. */
int declared_take(struct declared *d, const json_t *params, uid_t uid,
                  const struct conf_nginx *nginx, json_t *refused,
                  struct err *e);
void declared_free(struct declared *d);

/* As one JSON text (ERR_NOSPACE if it does not fit), and back. A damaged file is
 * set aside and reported. These block: at start and on the pool. */
int declared_write(const struct declared *d, struct buf *out, struct err *e);
int declared_load(struct declared *d, const char *path, const struct log *log,
                  struct err *e);

/* What masters have left in a folder because there was no agent: files of root
 * or our own, one declaration each. */
void declared_collect(struct declared *d, const char *folder,
                      const struct conf_nginx *nginx, const struct log *log);

/* Logs each member of `refused`. */
void declared_log(const json_t *refused, const struct log *log);
