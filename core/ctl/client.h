/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "ctl/ctl.h"

/* A plain, blocking client of the control socket. */
struct client;

/* ERR_ABSENT: nobody listens there. */
int client_open(struct client **out, const char *socket, struct err *e);
void client_close(struct client *client);

/* Sends a request (takes `params`, NULL: none) and waits for its answer: a new
 * reference, or the error that the agent named. */
int client_call(struct client *client, const char *method, json_t *params,
		json_t **result, struct err *e);

/* The next line, whatever it is; ERR_ABSENT when the agent has gone. */
int client_next(struct client *client, json_t **message, struct err *e);

/* All of that at once: connects, asks, says what went wrong. *result is NULL
 * unless CTL_OK. */
enum ctl_exit client_ask(const struct ctl *ctl, const char *method,
			 json_t *params, json_t **result);
