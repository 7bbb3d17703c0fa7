/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside core/plugin only: see service.c. */
#include "plugin/op.h"

struct fdwatch;
struct http_call;
struct work;

enum service_kind { SERVICE_AFTER, SERVICE_WORK, SERVICE_FD, SERVICE_HTTP };

struct service {
	struct service *prev, *next;
	struct op *op;
	enum service_kind kind;
	int fd;
	union {
		struct after *after;
		struct work *work;
		struct fdwatch *fdwatch;
		struct http_call *http;
	} is;
	union {
		acme_then *then;
		acme_fd_then *fd_then;
		acme_http_then *http_then;
	} fn;
	acme_job *job;
	void *arg;
};

/* The op if it may use services now, else NULL, and the plugin's fault is
 * logged. */
struct op *service_op(const char *service, acme_op handle);

/* Are we on the loop's thread? Else that is logged. */
int service_on_loop(const char *service, acme_op handle);
void service_complain(const char *service, acme_op handle, const char *what);

/* The op that an answer is for: a child speaks for its parent. */
struct op *service_speaker(struct op *op);

/* The host cannot do it: that is the answer then. */
void service_refuse(struct op *op, enum err_code code, const char *text);

/* The op that a new service belongs to; NULL when there are too many. */
struct op *service_host(struct op *op);

struct service *service_new(struct op *op, enum service_kind kind, void *arg);
void service_unlink(struct service *s);

/* Its callback will not run. Frees it, a job's after the job. */
void service_drop(struct service *s);

/* The http member of the host table; in host_http.c. */
void host_http(acme_op handle, const acme_http_request *req, acme_http_then *fn,
	       void *arg);
