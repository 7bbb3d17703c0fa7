/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "crypto/key.h"
#include "plugin/instance.h"
#include "store/record.h"

/*
 * The agent's memory over a storage plugin: keys, versions, and what to do with
 * a damaged value. Records (record.h) are its values.
 *
 *   accounts/ISSUER@HASH         the account at one directory URL
 *   orders/NAME@TYPE             the order under way for one key type
 *   certificates/NAME            what is served
 *   archive/NAME                 what was served before it
 *   damaged/TIME/...             what could not be read, as it was found
 *
 * Each call is answered exactly once on a later turn of the loop, unless it was
 * canceled. Values and versions in answers are borrowed until the callback
 * returns. Threads: the loop's.
 */
struct store;
struct store_op;

enum { STORE_KEY_MAX = 512 };

/* A value was set aside: an operator should look. */
typedef void store_alarm_fn(void *arg, const char *key, const struct err *e);

/* The instance outlives the store. */
struct store *store_new(struct instance *instance, const struct log *log,
                        store_alarm_fn *alarm, void *arg);
/* Pending calls are canceled. */
void store_free(struct store *store);

char *store_account_key(const char *issuer, const char *directory,
                        char out[STORE_KEY_MAX]);
char *store_order_key(const char *certificate, enum key_kind kind,
                      char out[STORE_KEY_MAX]);
char *store_certificate_key(const char *name, char out[STORE_KEY_MAX]);

/* `rc` 0, or negative with `e`; value is empty but for get, version is that of
 * what is there now. */
typedef void store_fn(void *arg, int rc, const struct err *e, struct str value,
                      struct str version);

struct store_op *store_get(struct store *s, const char *key, store_fn *fn,
                           void *arg);
/* `expect`: EXPECT_ANY, EXPECT_NONE or a version. */
struct store_op *store_put(struct store *s, const char *key, struct str value,
                           struct str expect, store_fn *fn, void *arg);
struct store_op *store_del(struct store *s, const char *key, store_fn *fn,
                           void *arg);
/* Safe with NULL; sets it NULL. What was begun may still happen. */
void store_cancel(struct store_op **op);

/* Every value below a prefix, some at a time, then `fn` once. */
typedef void store_each_fn(void *arg, struct str key, struct str value,
                           struct str version);
struct store_op *store_each(struct store *s, const char *prefix,
                            store_each_fn *each, store_fn *fn, void *arg);

/* Moves a damaged value out of the way: copied below damaged/, then deleted if
 * it is still this version, with an alarm. Then `fn` (may be NULL): 0 when
 * nothing damaged is left there, so who wants to write the key waits for it.
 * Canceled, it goes on by itself. */
struct store_op *store_set_aside(struct store *s, const char *key,
                                 struct str value, struct str version,
                                 const struct err *why, store_fn *fn,
                                 void *arg);

/* Moves a certificate that nobody needs any more into archive/. Goes on by
 * itself. */
void store_retire(struct store *s, const char *name);

/*
 * Reads a certificate, lets `change` edit it, keeps the old value in archive/
 * and writes the new one if nobody else wrote meanwhile (else again from the
 * start, a few times). A missing value is an empty record of that name; a
 * damaged one is set aside first, and does not go to archive/. `change` returns 0, or a negative code to write nothing; it may be
 * called several times. `done` gets the record as it is stored now, or NULL.
 */
struct change;
typedef int change_fn(void *arg, struct cert_record *r, struct err *e);
typedef void changed_fn(void *arg, int rc, const struct err *e,
                        const struct cert_record *r);

struct change *store_change(struct store *s, const char *name,
                            change_fn *change, changed_fn *done, void *arg);
void change_cancel(struct change **change);
