/* SPDX-License-Identifier: Apache-2.0 */
/* Key generation off the loop, for accounts and certificates: see keygen.h. */
#include "flow/keygen.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/work.h"

struct keygen {
	struct work *work;
	enum key_kind kind;
	struct key *key;
	struct secret pem;
	struct err e;
	int rc;
	keygen_fn *fn;
	void *arg;
};

static void make(void *arg)
{
	struct keygen *k = arg;

	k->rc = key_new(k->kind, &k->key, &k->e);
	if (k->rc == 0)
		k->rc = key_pem(k->key, &k->pem, &k->e);
}

static void drop(void *arg)
{
	struct keygen *k = arg;

	key_free(k->key);
	secret_free(&k->pem);
	free(k);
}

static void made(void *arg)
{
	struct keygen *k = arg;
	struct key *key = k->rc < 0 ? NULL : k->key;

	if (key)
		k->key = NULL;
	k->fn(k->arg, k->rc, k->rc < 0 ? &k->e : NULL, key, &k->pem);
	drop(k); /* wipes the PEM unless fn took it */
}

struct keygen *keygen_start(struct loop *loop, enum key_kind kind,
                            keygen_fn *fn, void *arg)
{
	struct keygen *k = mem_alloc(sizeof *k);

	k->kind = kind;
	k->fn = fn;
	k->arg = arg;
	k->work = work_start(loop, make, made, drop, k);
	return k;
}

void keygen_cancel(struct keygen **keygen)
{
	if (*keygen) {
		struct work *work = (*keygen)->work;
		work_cancel(&work);
	}
	*keygen = NULL;
}
