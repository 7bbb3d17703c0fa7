/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks process-threads of docs/plugin-abi.md: a thread is left running. */
#include <pthread.h>
#include <unistd.h>

#include "wrong.h"

static void *thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void present(void *self, acme_op op, const acme_challenge *c)
{
	struct self *s = self;
	pthread_t t;

	(void)c;
	if (!s->count++ && pthread_create(&t, NULL, thread, NULL) == 0)
		pthread_detach(t);
	answer(self, op, ACME_OK);
}

WRONG_PLUGIN("leaves-thread", present, right)
