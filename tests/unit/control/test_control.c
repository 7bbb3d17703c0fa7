/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket over a real one: who may what, answers now and later,
 * clients that leave, events. Peers of other uids are children, as root only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"
#include "loop/loop.h"
#include "json/json.h"

static char dir[64], path[96];
static struct loop *loop;
static struct log quiet;
static struct control *control;
static struct control_call *later;
static int asked;

static int on_status(void *arg, struct control_call *call, json_t **result,
		     struct err *e)
{
	(void)arg, (void)e;
	asked++;
	*result = json_pack("{s:i,s:O*}", "who", (int)call->peer.who, "name",
			    json_object_get(call->params, "name"));
	return 0;
}

static int on_renew(void *arg, struct control_call *call, json_t **result,
		    struct err *e)
{
	(void)arg, (void)result, (void)e;
	later = call;
	return CONTROL_LATER;
}

static int on_issue(void *arg, struct control_call *call, json_t **result,
		    struct err *e)
{
	(void)arg, (void)call, (void)result;
	err_set(e, ERR_LIMITED, "too many certificates");
	snprintf(e->problem, sizeof(e->problem), "urn:x:rateLimited");
	e->retry_at = 1000;
	return e->code;
}

/* Answers before it says that it will answer later. */
static int on_reload(void *arg, struct control_call *call, json_t **result,
		     struct err *e)
{
	(void)arg, (void)result, (void)e;
	control_done(call, NULL);
	return CONTROL_LATER;
}

/* The end of the control comes while a call is handled. */
static int on_declare(void *arg, struct control_call *call, json_t **result,
		      struct err *e)
{
	(void)arg, (void)call, (void)result, (void)e;
	control_close(control);
	control = NULL;
	return 0;
}

static const struct control_ops OPS = {
	.status = on_status,
	.renew = on_renew,
	.issue = on_issue,
	.reload = on_reload,
	.declare = on_declare,
	.ask = on_status,
};

static void drop_line(void *arg, enum log_level level, const char *line)
{
	(void)arg, (void)level, (void)line;
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/control-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	log_set_sink(drop_line, NULL);
	log_init(&quiet, NULL, "test", NULL);
	later = NULL;
	asked = 0;
	loop = loop_new();
	struct control_options options = {
		.loop = loop, .log = &quiet, .path = path, .ops = &OPS
	};
	assert_int_equal(control_open(&control, &options, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_close(control);
	control = NULL;
	assert_int_equal(loop_free(loop), 0);
	assert_int_equal(access(path, F_OK), -1);
	log_set_sink(NULL, NULL);
	return rmdir(dir);
}

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const char *line)
{
	size_t len = strlen(line);

	assert_int_equal(send(fd, line, len, MSG_NOSIGNAL), len);
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

/* One line, while the loop turns; "" at the end of the connection. */
static char *hear(int fd)
{
	static char line[65536];
	size_t len = 0;

	for (int turns = 0; turns < 1000; turns++) {
		ssize_t n = recv(fd, line + len, 1, MSG_DONTWAIT);
		while (n == 1 && line[len] != '\n')
			n = recv(fd, line + ++len, 1, MSG_DONTWAIT);
		if (n == 1 || n == 0) {
			line[n ? len : 0] = '\0';
			return line;
		}
		loop_run_once(loop, 5);
	}
	fail_msg("no answer");
	return NULL;
}

static void answers(int fd, const char *question, const char *expected)
{
	say(fd, question);
	assert_string_equal(hear(fd), expected);
}

static void requests_are_answered(void **state)
{
	int fd = dial();

	(void)state;
	answers(fd, "{\"id\":1,\"method\":\"ping\"}",
		"{\"id\":1,\"result\":{\"version\":\"" ACME_VERSION "\"}}");
	answers(fd,
		"{\"id\":\"a\",\"method\":\"status\","
		"\"params\":{\"name\":\"n\"}}",
		"{\"id\":\"a\",\"result\":{\"who\":3,\"name\":\"n\"}}");
	answers(fd, "{\"id\":2,\"method\":\"issue\"}",
		"{\"id\":2,\"error\":{\"code\":\"limited\",\"message\":\"too "
		"many certificates\",\"problem\":\"urn:x:rateLimited\","
		"\"retry_at\":\"1970-01-01T00:00:01Z\"}}");
	answers(fd, "{\"id\":3,\"method\":\"reload\"}",
		"{\"id\":3,\"result\":{}}");
	answers(fd, "{\"id\":4,\"method\":\"dance\"}",
		"{\"id\":4,\"error\":{\"code\":\"unsupported\",\"message\":"
		"\"dance: there is no such method\"}}");
	answers(fd, "{\"id\":5,\"method\":\"plugins\"}",
		"{\"id\":5,\"error\":{\"code\":\"unsupported\",\"message\":"
		"\"plugins: there is no such method\"}}");
	say(fd, "junk");
	assert_non_null(strstr(hear(fd), "{\"id\":null,\"error\":{\"code\":"
					 "\"invalid\""));
	close(fd);
}

static bool has_call(void *arg)
{
	(void)arg;
	return later != NULL;
}

static void an_answer_may_come_later(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"id\":1,\"method\":\"renew\",\"params\":{\"name\":\"n\"}}");
	assert_true(loop_run_until(loop, has_call, NULL, 5000));
	answers(fd, "{\"id\":2,\"method\":\"status\"}",
		"{\"id\":2,\"result\":{\"who\":3}}");
	assert_string_equal(later->method, "renew");
	control_done(later, json_pack("{s:i}", "x", 1));
	assert_string_equal(hear(fd), "{\"id\":1,\"result\":{\"x\":1}}");
	later = NULL;
	say(fd, "{\"id\":3,\"method\":\"renew\"}");
	assert_true(loop_run_until(loop, has_call, NULL, 5000));
	struct err e = { 0 };
	err_set(&e, ERR_CANCELED, "the end");
	control_fail(later, &e);
	assert_string_equal(hear(fd), "{\"id\":3,\"error\":{\"code\":"
				      "\"canceled\",\"message\":\"the end\"}}");
	close(fd);
}

static void a_client_may_leave_before_its_answer(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"id\":1,\"method\":\"renew\"}");
	assert_true(loop_run_until(loop, has_call, NULL, 5000));
	close(fd);
	for (int i = 0; i < 20; i++)
		loop_run_once(loop, 2);
	control_done(later, json_object());
}

static void a_call_may_outlive_the_control(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"id\":1,\"method\":\"renew\"}");
	assert_true(loop_run_until(loop, has_call, NULL, 5000));
	control_close(control);
	control = NULL;
	control_done(later, json_object());
	close(fd);
}

static void the_control_may_end_within_a_call(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "{\"id\":1,\"method\":\"declare\"}");
	assert_string_equal(hear(fd), "");
	assert_null(control);
	close(fd);
}

static void too_many_unanswered_calls_are_refused(void **state)
{
	int fd = dial();
	struct control_call *calls[64];

	(void)state;
	for (int i = 0; i < 64; i++) {
		later = NULL;
		say(fd, "{\"id\":1,\"method\":\"renew\"}");
		assert_true(loop_run_until(loop, has_call, NULL, 5000));
		calls[i] = later;
	}
	answers(fd, "{\"id\":2,\"method\":\"renew\"}",
		"{\"id\":2,\"error\":{\"code\":\"limited\",\"message\":"
		"\"64 requests wait for an answer\"}}");
	close(fd);
	for (int i = 0; i < 64; i++)
		control_done(calls[i], NULL);
}

static void a_flood_is_slowed_down(void **state)
{
	static const char PING[] = "{\"id\":1,\"method\":\"ping\"}\n";
	int fd = dial(), limited = 0;
	struct buf flood = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < 599; i++)
		buf_adds(&flood, PING);
	buf_add(&flood, PING, sizeof(PING) - 2); /* say() ends the line */
	say(fd, flood.ptr);
	buf_free(&flood);
	for (int i = 0; i < 600; i++)
		limited += strstr(hear(fd), "\"limited\"") != NULL;
	assert_in_range(limited, 100, 400);
	close(fd);
}

static void watchers_hear_events(void **state)
{
	int fd = dial(), other = dial();

	(void)state;
	assert_false(control_watched(control));
	control_event(control, "nobody", json_object());
	answers(fd, "{\"id\":1,\"method\":\"watch\"}",
		"{\"id\":1,\"result\":{}}");
	answers(other, "{\"id\":1,\"method\":\"ping\"}",
		"{\"id\":1,\"result\":{\"version\":\"" ACME_VERSION "\"}}");
	assert_true(control_watched(control));
	control_event(control, "issued", json_pack("{s:s}", "name", "a"));
	char *line = hear(fd);
	assert_non_null(strstr(line, "{\"event\":\"issued\",\"at\":\"20"));
	assert_non_null(strstr(line, "Z\",\"name\":\"a\"}"));
	answers(other, "{\"id\":2,\"method\":\"status\"}",
		"{\"id\":2,\"result\":{\"who\":3}}");
	close(fd);
	close(other);
	for (int i = 0; i < 20 && control_watched(control); i++)
		loop_run_once(loop, 5);
	assert_false(control_watched(control));
}

static json_t *server_blocks(int count)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++) {
		char name[32], www[40];
		snprintf(name, sizeof(name), "host%d.example.org", i);
		snprintf(www, sizeof(www), "www.%s", name);
		json_array_append_new(
		    list, json_pack("{s:s,s:s,s:[s,s],s:[s]}", "name", name,
				    "issuer", "letsencrypt", "identifiers",
				    name, www, "key", "ecdsa:256"));
	}
	return list;
}

static void a_line_may_hold_ten_thousand_server_blocks(void **state)
{
	json_t *params = json_pack("{s:s,s:o}", "owner", "/|/etc/nginx.conf",
				   "certificates", server_blocks(10000));
	json_t *line = json_pack("{s:i,s:s,s:o}", "id", 1, "method", "status",
				 "params", params);
	char *text = json_dumps(line, JSON_COMPACT);
	size_t len = strlen(text), at = 0;
	int fd = dial();

	(void)state;
	assert_true(len > 1 << 20);
	text[len] = '\n';
	while (at <= len) {
		ssize_t n = send(fd, text + at, len + 1 - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		at += n > 0 ? (size_t)n : 0;
		loop_run_once(loop, 1);
	}
	assert_string_equal(hear(fd), "{\"id\":1,\"result\":{\"who\":3}}");
	close(fd);
	free(text);
	json_decref(line);
}

/* A child of that uid and gid asks each line and prints what it hears into
 * `out`, one answer for each line; "" where the connection was refused. */
static void as_peer(uid_t uid, gid_t gid, const char *question, char *out,
		    size_t size)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		char text[4096];
		if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(1);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
			_exit(2);
		if (send(fd, question, strlen(question), MSG_NOSIGNAL) < 0 ||
		    send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
			_exit(0);
		ssize_t n = recv(fd, text, sizeof(text), 0);
		if (n > 0 && write(ends[1], text, (size_t)n) != n)
			_exit(3);
		_exit(0);
	}
	close(ends[1]);
	int status = -1;
	while (waitpid(pid, &status, WNOHANG) == 0)
		loop_run_once(loop, 5);
	assert_int_equal(status, 0);
	ssize_t n = read(ends[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(ends[0]);
}

static void peers_may_what_they_are(void **state)
{
	static const char STATUS[] =
	    "{\"id\":1,\"method\":\"status\",\"params\":{\"name\":\"n\"}}";
	static const char ALL[] = "{\"id\":1,\"method\":\"status\"}";
	static const char RENEW[] = "{\"id\":1,\"method\":\"renew\"}";
	const uid_t users[] = { 4001 };
	const gid_t groups[] = { 4002, 65534 };
	char out[4096];

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root for other uids\n");
		skip();
	}
	control_allow(control, users, 1, groups, 2);
	as_peer(4001, 4009, ALL, out, sizeof(out));
	assert_non_null(strstr(out, "\"who\":2"));
	as_peer(4001, 4009, RENEW, out, sizeof(out));
	assert_non_null(strstr(out, "\"denied\""));
	as_peer(4003, 4002, STATUS, out, sizeof(out));
	assert_non_null(strstr(out, "\"who\":1"));
	as_peer(4003, 4002, ALL, out, sizeof(out));
	assert_non_null(strstr(out, "give a name"));
	as_peer(4003, 4002, RENEW, out, sizeof(out));
	assert_non_null(strstr(out, "\"denied\""));
	char flood[5000];
	memset(flood, ' ', sizeof(flood));
	memcpy(flood + sizeof(flood) - sizeof(STATUS), STATUS, sizeof(STATUS));
	as_peer(4003, 4002, flood, out, sizeof(out));
	assert_string_equal(out, ""); /* a worker's lines are short */
	as_peer(4003, 4003, STATUS, out, sizeof(out));
	assert_string_equal(out, "");
	as_peer(4003, 65534, STATUS, out, sizeof(out));
	assert_string_equal(out, "");
	as_peer(65534, 4002, STATUS, out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(asked, 2);
	control_allow(control, NULL, 0, NULL, 0);
	as_peer(4001, 4002, STATUS, out, sizeof(out));
	assert_string_equal(out, "");
}

/* A child of that uid holds `count` connections until `end` is closed. */
static pid_t holder(uid_t uid, gid_t gid, int count, int end[2])
{
	pid_t pid = fork();

	if (pid)
		return pid;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char byte;
	close(end[1]);
	if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		_exit(1);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	while (count--)
		if (connect(socket(AF_UNIX, SOCK_STREAM, 0),
			    (struct sockaddr *)&a, sizeof(a)))
			_exit(2);
	_exit(read(end[0], &byte, 1) != 0);
}

static void workers_do_not_keep_the_owner_out(void **state)
{
	static const char PING[] = "{\"id\":1,\"method\":\"ping\"}";
	const gid_t groups[] = { 4002 };
	pid_t pids[3];
	int end[2], status;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root for other uids\n");
		skip();
	}
	control_allow(control, NULL, 0, groups, 1);
	assert_int_equal(pipe(end), 0);
	for (int i = 0; i < 3; i++)
		pids[i] = holder(4003 + (uid_t)i, 4002, 100, end);
	for (int i = 0; i < 400; i++) /* two seconds: 400 are accepted */
		loop_run_once(loop, 5);
	int fd = dial();
	say(fd, PING);
	assert_non_null(strstr(hear(fd), "\"result\""));
	close(fd);
	close(end[0]);
	close(end[1]);
	for (int i = 0; i < 3; i++) {
		while (waitpid(pids[i], &status, WNOHANG) == 0)
			loop_run_once(loop, 5);
		assert_int_equal(status, 0);
	}
}

static void a_second_agent_is_refused(void **state)
{
	struct control_options options = {
		.loop = loop, .log = &quiet, .path = path, .ops = &OPS
	};
	struct control *second = NULL;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(control_open(&second, &options, &e), ERR_CONFLICT);
	assert_null(second);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(requests_are_answered),
		T(an_answer_may_come_later),
		T(a_client_may_leave_before_its_answer),
		T(a_call_may_outlive_the_control),
		T(the_control_may_end_within_a_call),
		T(too_many_unanswered_calls_are_refused),
		T(a_flood_is_slowed_down),
		T(a_line_may_hold_ten_thousand_server_blocks),
		T(watchers_hear_events),
		T(peers_may_what_they_are),
		T(workers_do_not_keep_the_owner_out),
		T(a_second_agent_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
