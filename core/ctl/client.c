/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's other end, without a loop: a tool that asks one question may
 * wait for the answer. Lines are bounded as the agent bounds them.
 */
#include "ctl/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/now.h"

enum { LINE_BYTES_MAX = 64 << 20 };

struct client {
	const char *path;
	int fd;
	struct buf in;
	size_t used; /* of `in`, by lines already taken */
	int64_t last_id;
};

static int not_reached(const char *path, int errnum, struct err *e)
{
	if (errnum == ENOENT || errnum == ECONNREFUSED)
		return err_set(e, ERR_ABSENT,
			       "no agent answers at %s (%s); is acme-agent "
			       "running?",
			       path, strerror(errnum));
	return err_set(e, ERR_ABSENT, "cannot connect to %s: %s", path,
		       strerror(errnum));
}

int client_open(struct client **out, const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	*out = NULL;
	if (len >= sizeof(address.sun_path))
		return err_set(e, ERR_INVALID,
			       "socket path of %zu bytes; at most %zu", len,
			       sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, errno, "socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int errnum = errno;
		close(fd);
		return not_reached(path, errnum, e);
	}
	*out = mem_alloc(sizeof(**out));
	(*out)->path = path;
	(*out)->fd = fd;
	(*out)->in = BUF_INIT(LINE_BYTES_MAX);
	return 0;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	close(client->fd);
	buf_free(&client->in);
	free(client);
}

static int write_line(struct client *client, char *line, struct err *e)
{
	size_t len = strlen(line), done = 0;

	line[len] = '\n'; /* in place of the NUL */
	while (done <= len) {
		ssize_t n =
		    send(client->fd, line + done, len + 1 - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return not_reached(client->path, errno, e);
		done += (size_t)n;
	}
	return 0;
}

/* More bytes; ERR_ABSENT at the end. */
static int fill(struct client *client, struct err *e)
{
	char chunk[16384];
	ssize_t n;

	do
		n = recv(client->fd, chunk, sizeof(chunk), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return err_errno(e, errno, "reading from the agent");
	if (n <= 0)
		return err_set(e, ERR_ABSENT,
			       "the agent at %s closed the connection; it "
			       "talks to root, its user, and [nginx] users",
			       client->path);
	if (buf_add(&client->in, chunk, (size_t)n))
		return err_set(e, ERR_BROKEN, "the answer is too long");
	return 0;
}

static int parse(struct str line, json_t **out, struct err *e)
{
	json_error_t error;

	*out = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);
	if (*out && json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, ERR_BROKEN, "the answer is no JSON object");
}

int client_next(struct client *client, json_t **message, struct err *e)
{
	struct buf *in = &client->in;
	size_t searched = 0;

	*message = NULL;
	if (client->used && client->used == in->len) {
		buf_reset(in);
		client->used = 0;
	}
	for (;;) {
		struct str rest = { in->ptr + client->used,
				    in->len - client->used };
		const char *end =
		    rest.len > searched
			? memchr(rest.ptr + searched, '\n', rest.len - searched)
			: NULL;
		if (end) {
			rest.len = (size_t)(end - rest.ptr);
			client->used += rest.len + 1;
			return parse(rest, message, e);
		}
		searched = rest.len;
		if (fill(client, e))
			return e->code;
	}
}

/* The error of the agent as one of ours. */
static int agents_error(const json_t *error, struct err *e)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *at = json_string_value(json_object_get(error, "retry_at"));
	const char *text, *problem;
	enum err_code which = ERR_INVALID;

	for (int i = ERR_RETRY; i >= ERR_DECLINED; i--)
		if (code && !strcmp(code, err_code_name(i)))
			which = (enum err_code)i;
	text = json_string_value(json_object_get(error, "message"));
	problem = json_string_value(json_object_get(error, "problem"));
	err_set(e, which, "%s", text ? text : "no reason given");
	if (problem && strlen(problem) < sizeof(e->problem))
		memcpy(e->problem, problem, strlen(problem) + 1);
	if (at)
		now_parse(at, &e->retry_at);
	return which;
}

int client_call(struct client *client, const char *method, json_t *params,
		json_t **result, struct err *e)
{
	int64_t id = ++client->last_id;
	json_t *request = json_pack("{s:I,s:s,s:o*}", "id", (json_int_t)id,
				    "method", method, "params", params);
	char *line = json_dumps(request, JSON_COMPACT);
	json_t *message = NULL;
	int rc = line ? write_line(client, line, e)
		      : err_set(e, ERR_INVALID, "not UTF-8");

	*result = NULL;
	free(line);
	json_decref(request);
	while (!rc) {
		rc = client_next(client, &message, e);
		if (rc)
			break;
		json_t *of = json_object_get(message, "id");
		if (json_is_null(of) || json_integer_value(of) == id)
			break;
		json_decref(message); /* an event, or an older answer */
		message = NULL;
	}
	if (rc)
		return rc;
	json_t *error = json_object_get(message, "error");
	if (error)
		rc = agents_error(error, e);
	else
		*result = json_incref(json_object_get(message, "result"));
	if (!error && !json_is_object(*result)) {
		json_decref(*result);
		*result = NULL;
		rc = err_set(e, ERR_BROKEN, "answer without a result");
	}
	json_decref(message);
	return rc;
}

enum ctl_exit client_ask(const struct ctl *ctl, const char *method,
			 json_t *params, json_t **result)
{
	struct client *client;
	struct err e = { 0 };
	enum ctl_exit exit_code = CTL_OK;

	*result = NULL;
	if (client_open(&client, ctl->socket, &e)) {
		json_decref(params);
		ctl_say("%s", e.text);
		return e.code == ERR_INVALID ? CTL_USAGE : CTL_UNREACHABLE;
	}
	bool gone = false;
	if (client_call(client, method, params, result, &e)) {
		gone = client->in.len == 0;
		exit_code = ctl_fail(&e);
	}
	client_close(client);
	return gone ? CTL_UNREACHABLE : exit_code;
}
