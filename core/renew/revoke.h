/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "renew/issuer.h"
#include "store/store.h"

/*
 * Revoking what is stored under a name, or a certificate that somebody brings:
 * read, revoke each key type at the issuer that it came from, mark it in the
 * store. Threads: the loop's.
 */
struct revoke;

struct revoke_setup {
	struct loop *loop;
	struct store *store;
	const struct log *log;
	/* The issuer of this name, or NULL. */
	struct issuer *(*issuer)(void *arg, const char *name);
	/* The record as it is stored now, with its marks. */
	void (*marked)(void *arg, const struct cert_record *record);
	/* The end; frees nothing: call revoke_free. */
	void (*done)(void *arg, struct revoke *v, int rc, const struct err *e);
	void *arg;
	int reason; /* RFC 5280 section 5.3.1, -1: none */
};

struct revoke *revoke_stored(const struct revoke_setup *setup,
                             const char *name);
/* `name`: under which it is stored and to be marked, or NULL. NULL and the error
 * if the PEM is no certificate. */
struct revoke *revoke_pem(const struct revoke_setup *setup, const char *issuer,
                          const char *name, struct str pem, struct err *e);
/* The issuer is about to be freed: a revocation that speaks to it ends with
 * ERR_CANCELED, within the call. */
void revoke_lose(struct revoke *v, const struct issuer *issuer);
void revoke_free(struct revoke *v);
