/* SPDX-License-Identifier: Apache-2.0 */
/* loop/stream: the socket file, who the peers are, lines, and all bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/now.h"
#include "loop/stream.h"

static struct loop *loop;
static char folder[64], path[80];

/* What the server side saw. */
static struct {
	int opened, ended, lines;
	char last[128], all[256], why[64];
	struct stream *stream;
	struct stream_peer peer;
	bool refuse, drop_on_line, close_on_line;
	bool echo;
} seen;

static bool on_open(void *arg, struct stream *s, const struct stream_peer *peer)
{
	assert_string_equal(arg, "arg");
	seen.peer = *peer;
	if (seen.refuse)
		return false;
	seen.opened++;
	seen.stream = s;
	stream_set(s, seen.last);
	return true;
}

static void on_line(void *arg, struct stream *s, struct str line)
{
	(void)arg;
	assert_ptr_equal(stream_get(s), seen.last);
	assert_int_equal(stream_who(s)->uid, getuid());
	seen.lines++;
	snprintf(seen.last, sizeof seen.last, "%.*s", STR_ARG(line));
	size_t len = strlen(seen.all);
	snprintf(seen.all + len, sizeof seen.all - len, "[%.*s]",
	         STR_ARG(line));
	if (seen.echo)
		stream_send(s, line);
	if (seen.close_on_line)
		stream_close(s);
	if (seen.drop_on_line)
		stream_drop(s);
}

static void on_end(void *arg, struct stream *s, const char *why)
{
	(void)arg;
	(void)s;
	seen.ended++;
	snprintf(seen.why, sizeof seen.why, "%s", why);
	seen.stream = NULL;
}

static const struct stream_ops OPS = { on_open, on_line, on_end };

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof seen);
	snprintf(folder, sizeof folder, "/tmp/acme-stream-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/s", folder);
	loop = loop_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	return loop_free(loop);
}

static struct stream_listener *listen_with(struct stream_options o)
{
	struct stream_listener *l = NULL;
	struct err e;

	o.path = path;
	o.uid = (uid_t)-1;
	o.gid = (gid_t)-1;
	assert_int_equal(stream_listen(loop, &o, &OPS, "arg", &l, &e), 0);
	return l;
}

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static bool reached(void *arg)
{
	int *pair = arg; /* a counter's address would need two arguments */
	return *pair >= 1;
}

static void turns(int n)
{
	for (int i = 0; i < n; i++)
		loop_run_once(loop, 1);
}

static bool lines_are_2(void *arg)
{
	(void)arg;
	return seen.lines >= 2;
}

static void lines_arrive_whole_and_are_answered(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	char got[32] = "";
	(void)state;

	seen.echo = true;
	int fd = dial();
	say(fd, "hel");
	turns(3);
	assert_int_equal(seen.opened, 1);
	assert_int_equal(seen.lines, 0);
	say(fd, "lo\r\n\nx");
	assert_true(loop_run_until(loop, lines_are_2, NULL, 2000));
	turns(2);
	assert_string_equal(seen.all, "[hello][]");
	assert_int_equal(read(fd, got, sizeof got - 1), 7);
	assert_string_equal(got, "hello\n\n");
	close(fd);
	assert_true(loop_run_until(loop, reached, &seen.ended, 2000));
	assert_string_equal(seen.why, "closed");
	stream_listener_close(&l);
	stream_listener_close(&l);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(seen.ended, 1);
}

static void the_peer_is_what_the_kernel_says(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	gid_t groups[STREAM_GROUPS];
	int n = getgroups(STREAM_GROUPS, groups);
	(void)state;

	int fd = dial();
	assert_true(loop_run_until(loop, reached, &seen.opened, 2000));
	assert_int_equal(seen.peer.uid, getuid());
	assert_int_equal(seen.peer.gid, getgid());
	assert_int_equal(seen.peer.pid, getpid());
	assert_int_equal(seen.peer.count, n);
	assert_true(stream_peer_in(&seen.peer, getgid()));
	for (int i = 0; i < n; i++)
		assert_true(stream_peer_in(&seen.peer, groups[i]));
	assert_false(stream_peer_in(&seen.peer, 987654));
	stream_listener_close(&l);
	assert_int_equal(seen.ended, 1); /* within the call */
	close(fd);
}

static void the_file_has_its_mode_whatever_the_umask(void **state)
{
	struct stat st;
	mode_t old = umask(0);
	(void)state;

	struct stream_listener *l = listen_with(
		(struct stream_options){ .mode = 0640 });
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	stream_listener_close(&l);
	umask(077);
	l = listen_with((struct stream_options){ .mode = 0666 });
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	stream_listener_close(&l);
	umask(old);
}

static void a_long_path_is_refused_with_its_length(void **state)
{
	char longer[200];
	struct stream_options o = { .path = longer };
	struct stream_listener *l = NULL;
	struct err e;
	(void)state;

	memset(longer, 'x', sizeof longer);
	longer[0] = '/';
	longer[108] = '\0';
	assert_int_equal(stream_listen(loop, &o, &OPS, NULL, &l, &e),
	                 ERR_INVALID);
	assert_non_null(strstr(e.text, "108 bytes, at most 107"));
	assert_null(l);
}

static void a_stale_file_is_replaced_and_a_living_one_is_not(void **state)
{
	struct stream_options o = { .path = path, .uid = (uid_t)-1,
		                    .gid = (gid_t)-1 };
	struct stream_listener *second = NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct err e;
	(void)state;

	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd); /* the file stays, as after a crash */
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	assert_int_equal(stream_listen(loop, &o, &OPS, NULL, &second, &e),
	                 ERR_CONFLICT);
	assert_non_null(strstr(e.text, "another process answers"));
	fd = dial(); /* and the first one still works */
	turns(3);
	assert_int_equal(seen.opened, 2); /* the probe was seen, too */
	close(fd);
	stream_listener_close(&l);

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(stream_listen(loop, &o, &OPS, NULL, &second, &e),
	                 ERR_CONFLICT);
	assert_non_null(strstr(e.text, "not a socket"));
}

static void a_file_that_is_not_ours_any_more_stays(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	(void)state;

	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	stream_listener_close(&l);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_line_over_the_maximum_ends_the_connection(void **state)
{
	struct stream_listener *l = listen_with(
		(struct stream_options){ .max_line = 8 });
	(void)state;

	int fd = dial();
	say(fd, "12345678\n123456789");
	assert_true(loop_run_until(loop, reached, &seen.ended, 2000));
	assert_string_equal(seen.all, "[12345678]");
	assert_string_equal(seen.why, "line too long");
	close(fd);
	stream_listener_close(&l);
}

static void a_reader_that_is_too_slow_is_dropped(void **state)
{
	struct stream_listener *l = listen_with(
		(struct stream_options){ .max_queue = 100000 });
	static char big[60000];
	(void)state;

	memset(big, 'z', sizeof big);
	int fd = dial();
	assert_true(loop_run_until(loop, reached, &seen.opened, 2000));
	for (int i = 0; i < 100 && seen.stream && !seen.ended; i++) {
		stream_send(seen.stream, (struct str){ big, sizeof big });
		loop_run_once(loop, 0);
	}
	assert_int_equal(seen.ended, 1);
	assert_string_equal(seen.why, "reader too slow");
	close(fd);
	stream_listener_close(&l);
}

/* Reads what comes until the end; the bytes. */
static size_t drain(int fd)
{
	static char sink[1 << 16];
	size_t total = 0;

	for (int i = 0; i < 5000; i++) {
		ssize_t n = read(fd, sink, sizeof sink);
		if (n == 0)
			break;
		if (n > 0)
			total += (size_t)n;
		else
			loop_run_once(loop, 1);
	}
	return total;
}

static void close_lets_go_what_was_sent(void **state)
{
	struct stream_listener *l = listen_with(
		(struct stream_options){ .max_queue = 4 << 20 });
	static char big[1 << 20];
	(void)state;

	memset(big, 'z', sizeof big);
	int fd = dial();
	assert_true(loop_run_until(loop, reached, &seen.opened, 2000));
	stream_send(seen.stream, (struct str){ big, sizeof big });
	stream_send(seen.stream, STR("tail"));
	struct stream *s = seen.stream;
	stream_close(s);
	stream_close(s);
	stream_send(s, STR("never"));
	assert_int_equal(drain(fd), sizeof big + 1 + 5);
	assert_true(loop_run_until(loop, reached, &seen.ended, 2000));
	assert_string_equal(seen.why, "closed");
	close(fd);
	stream_listener_close(&l);
}

static void no_line_comes_after_close_or_drop(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	(void)state;

	seen.close_on_line = true;
	int fd = dial();
	say(fd, "a\nb\nc\n");
	assert_true(loop_run_until(loop, reached, &seen.ended, 2000));
	assert_string_equal(seen.all, "[a]");
	close(fd);

	seen.ended = 0;
	seen.close_on_line = false;
	seen.drop_on_line = true;
	fd = dial();
	say(fd, "d\ne\n");
	assert_true(loop_run_until(loop, reached, &seen.ended, 2000));
	assert_string_equal(seen.all, "[a][d]");
	close(fd);
	stream_listener_close(&l);
}

static void connections_are_bounded(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){
		.max_connections = 10, .max_per_uid = 3 });
	int fds[5];
	char c;
	(void)state;

	for (int i = 0; i < 5; i++)
		fds[i] = dial();
	turns(10);
	assert_int_equal(seen.opened, 3);
	assert_int_equal(read(fds[4], &c, 1), 0); /* sent away */
	close(fds[0]);
	turns(5);
	close(fds[4]);
	fds[4] = dial();
	turns(5);
	assert_int_equal(seen.opened, 4);
	for (int i = 1; i < 5; i++)
		close(fds[i]);
	stream_listener_close(&l);
	assert_int_equal(seen.ended, 4);
}

static bool opened_15(void *arg)
{
	(void)arg;
	return seen.opened >= 15;
}

static void the_rate_of_accepting_is_bounded(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){
		.max_connections = 64, .max_per_uid = 64,
		.accepts_per_second = 10 });
	int fds[15];
	(void)state;

	int64_t began = now_mono();
	for (int i = 0; i < 15; i++)
		fds[i] = dial(); /* none is refused */
	turns(30);
	assert_in_range(seen.opened, 10, 12);
	assert_true(loop_run_until(loop, opened_15, NULL, 5000));
	assert_true(now_mono() - began >= 400);
	for (int i = 0; i < 15; i++)
		close(fds[i]);
	stream_listener_close(&l);
}

static void a_refused_peer_hears_nothing(void **state)
{
	struct stream_listener *l = listen_with((struct stream_options){ 0 });
	char c;
	(void)state;

	seen.refuse = true;
	int fd = dial();
	say(fd, "x\n");
	turns(5);
	assert_int_equal(seen.lines, 0);
	assert_int_equal(seen.ended, 0);
	assert_true(read(fd, &c, 1) <= 0);
	close(fd);
	stream_listener_close(&l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_arrive_whole_and_are_answered),
		TEST(the_peer_is_what_the_kernel_says),
		TEST(the_file_has_its_mode_whatever_the_umask),
		TEST(a_long_path_is_refused_with_its_length),
		TEST(a_stale_file_is_replaced_and_a_living_one_is_not),
		TEST(a_file_that_is_not_ours_any_more_stays),
		TEST(a_line_over_the_maximum_ends_the_connection),
		TEST(a_reader_that_is_too_slow_is_dropped),
		TEST(close_lets_go_what_was_sent),
		TEST(no_line_comes_after_close_or_drop),
		TEST(connections_are_bounded),
		TEST(the_rate_of_accepting_is_bounded),
		TEST(a_refused_peer_hears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
