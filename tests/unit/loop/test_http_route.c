/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop/http against a real server on loopback: how it gets there. TLS, reuse of
 * connections, redirects, proxies, and canceling at every stage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/inotify.h>
#include <sys/resource.h>

#include "http_fixture.h"

/* --- TLS ---------------------------------------------------------------- */

static void certificates_are_verified(void **state)
{
	char url[64];
	(void)state;

	struct got got = ASK(true, "/ok", .ca_file = other_ca);
	expect_error(&got, ERR_RETRY,
	             "TLS: certificate verify failed: "
	             "unable to get local issuer certificate");
	snprintf(url, sizeof url, "https://ca.test:%d/ok", secure.port);
	got = ASK(true, "", .url = url, .proxy = "");
	expect_error(&got, ERR_RETRY, "TLS: certificate verify failed: no "
	                              "alternative certificate subject name");
	got = ASK(true, "/ok", .ca_file = "/nonexistent/ca.pem");
	expect_error(&got, ERR_DENIED, "CA file /nonexistent/ca.pem");
	snprintf(url, sizeof url, "https://127.0.0.1:%d/ok", plain.port);
	got = ASK(true, "", .url = url);
	expect_error(&got, ERR_RETRY, "TLS: ");
	got = ASK(true, "/ok", .url = NULL);
	assert_string_equal(got.body, "hello");
}

static void a_client_certificate_is_shown(void **state)
{
	(void)state;
	struct got got = ASK(true, "/who", .client_cert = cert,
	                     .client_key = key);
	assert_string_equal(got.body, "client");
	got = ASK(true, "/who", .url = NULL); /* not over that connection */
	assert_string_equal(got.body, "nobody");
	got = ASK(true, "/who", .client_cert = "/nonexistent",
	          .client_key = key);
	expect_error(&got, ERR_DENIED, "client certificate");
}

static int count_opens(int fd)
{
	char events[8192];
	ssize_t n = read(fd, events, sizeof events);
	int opens = 0;

	for (ssize_t at = 0; at < n;) {
		struct inotify_event ev;
		memcpy(&ev, events + at, sizeof ev);
		opens += (ev.mask & IN_OPEN) != 0;
		at += (ssize_t)(sizeof ev + ev.len);
	}
	return opens;
}

static void the_ca_file_is_parsed_once_for_many_connections(void **state)
{
	int fd = inotify_init1(IN_NONBLOCK);
	poll(NULL, 0, 50); /* what came before is counted */
	int before = secure.connections, resumed = secure.resumed;
	(void)state;

	inotify_add_watch(fd, ca, IN_OPEN);
	for (int i = 0; i < 6; i++)
		ASK(true, "/closing", .url = NULL);
	assert_int_equal(secure.connections - before, 6);
	assert_int_equal(count_opens(fd), 1);
	assert_true(secure.resumed - resumed >= 4); /* sessions are shared */
	close(fd);
}

static void a_corrected_ca_file_is_noticed_soon(void **state)
{
	char path[80];
	(void)state;

	snprintf(path, sizeof path, "%s/swap.pem", folder);
	save_pem(path, stranger.cert, NULL);
	struct got got = ASK(true, "/ok", .ca_file = path);
	expect_error(&got, ERR_RETRY, "verify failed");
	save_pem(path, root.cert, NULL);
	poll(NULL, 0, 1100);
	got = ASK(true, "/ok", .ca_file = path);
	assert_string_equal(got.body, "hello");
	unlink(path);
}

static void the_version_of_ip_can_be_chosen(void **state)
{
	char url[64];
	(void)state;

	snprintf(url, sizeof url, "https://localhost:%d/ok", secure.port);
	struct got got = ASK(true, "", .url = url);
	assert_string_equal(got.body, "hello");
	got = ASK(true, "", .url = url, .ip = HTTP_IP_4);
	assert_string_equal(got.body, "hello");
	http_client_free(&client);
	client = http_client_new(loop, NULL);
	got = ASK(true, "", .url = url, .ip = HTTP_IP_6); /* nobody there */
	expect_error(&got, ERR_RETRY, "localhost:");
}

/* --- connections -------------------------------------------------------- */

static void one_connection_serves_many_requests(void **state)
{
	int before = secure.connections;
	(void)state;

	for (int i = 0; i < 30; i++) {
		struct got got = ASK(true, "/ok", .url = NULL);
		assert_int_equal(got.status, 200);
		assert_int_equal(got.timing.reused, i > 0);
	}
	assert_int_equal(secure.connections - before, 1);
}

static bool all_over(void *arg)
{
	struct got *got = arg;

	for (int i = 0; i < 100; i++)
		if (!got[i].calls)
			return false;
	return true;
}

static void parallel_calls_share_few_connections(void **state)
{
	static struct got got[100];
	int before = secure.connections;
	char url[64];
	(void)state;

	memset(got, 0, sizeof got);
	secure.most_open = secure.open;
	snprintf(url, sizeof url, "https://127.0.0.1:%d/wait/5", secure.port);
	struct http_request req = { .url = url, .ca_file = ca };
	for (int i = 0; i < 100; i++)
		http_start(client, &req, on_answer, &got[i]);
	assert_true(loop_run_until(loop, all_over, got, 30000));
	for (int i = 0; i < 100; i++) {
		assert_int_equal(got[i].calls, 1);
		assert_string_equal(got[i].body, "late");
	}
	assert_in_range(secure.connections - before, 1, 4);
}

struct chain {
	struct got got;
	struct http_request req;
	int left;
};

static void on_link_of_chain(void *arg, const struct http_response *res,
                             const struct err *e)
{
	struct chain *chain = arg;

	assert_null(e);
	assert_int_equal(res->status, 200);
	if (--chain->left)
		http_start(client, &chain->req, on_link_of_chain, chain);
	else
		chain->got.calls++;
}

static int64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) +
	       u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void a_call_may_start_the_next_from_its_callback(void **state)
{
	char url[64];
	struct chain chain = { .left = 1000 };
	(void)state;

	snprintf(url, sizeof url, "https://127.0.0.1:%d/ok", secure.port);
	chain.req = (struct http_request){ .url = url, .ca_file = ca };
	int64_t began = cpu_us();
	http_start(client, &chain.req, on_link_of_chain, &chain);
	assert_true(loop_run_until(loop, is_over, &chain, 30000));
	print_message("%lld us CPU for a request\n",
	              (long long)(cpu_us() - began) / 1000);
}

/* --- redirects ---------------------------------------------------------- */

static void redirects_are_followed_only_when_asked(void **state)
{
	static const char *const fields[] = { "X-Token: secret", NULL };
	char path[128];
	(void)state;

	struct got got = ASK(false, "/redirect/3", .url = NULL);
	assert_int_equal(got.status, 302);
	assert_string_equal(got.body, "elsewhere");
	got = ASK(true, "/redirect/5", .follow = true, .headers = fields);
	assert_int_equal(got.status, 200);
	assert_non_null(strstr(got.body, "GET /redirect/0"));
	assert_non_null(strstr(got.body, "X-Token: secret")); /* same host */
	assert_non_null(strstr(got.url, "/redirect/0"));
	got = ASK(true, "/redirect/6", .follow = true);
	expect_error(&got, ERR_BROKEN, "redirected more than 5 times");
	got = ASK(true, "/redirect/1", .follow = true, .body = STR("x"));
	assert_int_equal(got.status, 302); /* a POST is not repeated */

	snprintf(path, sizeof path, "/to/http:127.0.0.1:%d/ok", plain.port);
	got = ASK(true, path, .follow = true);
	expect_error(&got, ERR_BROKEN, "redirected from https to http");
	got = ASK(true, "/to/file:/etc/passwd", .follow = true);
	expect_error(&got, ERR_BROKEN, "redirected: ");

	snprintf(path, sizeof path, "/to/https:localhost:%d/echo", secure.port);
	got = ASK(true, path, .follow = true, .headers = fields);
	assert_int_equal(got.status, 200);
	assert_null(strstr(got.body, "X-Token")); /* another host */
}

/* --- proxies ------------------------------------------------------------ */

static void a_proxy_is_used_when_asked(void **state)
{
	char proxy[64], url[64];
	(void)state;

	snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", secure.port);
	struct got got = ASK(true, "/ok", .proxy = proxy);
	assert_string_equal(got.body, "hello");
	assert_int_equal(secure.tunnels, 1);
	got = ASK(true, "", .url = "https://refuse.test/", .proxy = proxy);
	expect_error(&got, ERR_RETRY, "refuse.test through proxy 127.0.0.1:");
	expect_error(&got, ERR_RETRY, "407");
	snprintf(url, sizeof url, "http://u:geheim@127.0.0.1:%d",
	         unused_port());
	got = ASK(true, "/ok", .proxy = url);
	expect_error(&got, ERR_RETRY, "connection refused");
	assert_null(strstr(got.err.text, "geheim"));
}

static void the_environment_names_a_proxy_but_not_for_loopback(void **state)
{
	char proxy[64];
	int before = secure.tunnels;
	(void)state;

	snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", secure.port);
	setenv("https_proxy", proxy, 1);
	struct got got = ASK(true, "/ok", .url = NULL);
	assert_string_equal(got.body, "hello");
	assert_int_equal(secure.tunnels, before);
	got = ASK(true, "", .url = "https://refuse.test/");
	expect_error(&got, ERR_RETRY, "407");
	setenv("no_proxy", "none.test", 1);
	got = ASK(true, "", .url = "https://none.test/");
	expect_error(&got, ERR_RETRY, "cannot resolve the name");
	unsetenv("no_proxy");
	got = ASK(true, "", .url = "https://none.test/", .proxy = "");
	expect_error(&got, ERR_RETRY, "cannot resolve the name");
	unsetenv("https_proxy");
}

/* --- canceling ---------------------------------------------------------- */

/* Cancels after 0, 1, 2, ... turns, so at every stage of an exchange. */
static void cancel_sweep(bool tls, const char *path)
{
	struct got got = { .calls = 0 };
	char url[128];

	snprintf(url, sizeof url, "%s://127.0.0.1:%d%s", tls ? "https" : "http",
	         tls ? secure.port : plain.port, path);
	for (int turns = 0; turns < 25; turns++) {
		struct http_request req = { .url = url, .ca_file = ca };
		got.calls = 0;
		got.call = http_start(client, &req, on_answer, &got);
		for (int i = 0; i < turns && !got.calls; i++)
			loop_run_once(loop, 2);
		bool over = got.calls > 0;
		http_cancel(&got.call);
		http_cancel(&got.call);
		for (int i = 0; i < 3; i++)
			loop_run_once(loop, 0);
		assert_int_equal(got.calls, over);
	}
	assert_int_equal(loop_live(loop), 1); /* the client */
}

static void a_call_can_be_canceled_at_any_stage(void **state)
{
	(void)state;
	cancel_sweep(false, "/ok");
	cancel_sweep(true, "/closing");
	cancel_sweep(true, "/drip-header");
	cancel_sweep(true, "/drip-body");
	cancel_sweep(true, "/redirect/2");
	assert_string_equal(ASK(true, "/ok", .url = NULL).body, "hello");
}

static struct http_call *other;

static void cancel_other(void *arg, const struct http_response *res,
                         const struct err *e)
{
	(void)res;
	(void)e;
	++*(int *)arg;
	http_cancel(&other);
}

static void forget_other(void *arg, const struct http_response *res,
                         const struct err *e)
{
	(void)res;
	(void)e;
	++*(int *)arg;
	other = NULL;
}

static void a_callback_may_cancel_other_calls(void **state)
{
	char url[64];
	int n = 0;
	(void)state;

	/* Both fail in the same turn. */
	snprintf(url, sizeof url, "http://127.0.0.1:%d/ok", plain.port);
	struct http_request bad = { .url = "nonsense" }, good = { .url = url };
	http_start(client, &bad, cancel_other, &n);
	other = http_start(client, &bad, forget_other, &n);
	loop_run(loop);
	assert_int_equal(n, 1);
	assert_null(other);
	for (int i = 0; i < 20; i++) {
		n = 0;
		http_start(client, &good, cancel_other, &n);
		other = http_start(client, &good, forget_other, &n);
		poll(NULL, 0, 2);
		loop_run(loop);
		assert_in_range(n, 1, 2); /* 2: the other was first */
		assert_null(other);
	}
}

static void freeing_the_client_cancels_its_calls(void **state)
{
	struct got got = { .calls = 0 };
	char url[64];
	(void)state;

	snprintf(url, sizeof url, "https://127.0.0.1:%d/wait/100", secure.port);
	struct http_request req = { .url = url, .ca_file = ca };
	for (int i = 0; i < 10; i++)
		http_start(client, &req, on_answer, &got);
	loop_run_once(loop, 5);
	loop_run_once(loop, 5);
	http_client_free(&client);
	loop_run(loop);
	assert_int_equal(got.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(certificates_are_verified),
		TEST(a_client_certificate_is_shown),
		TEST(the_ca_file_is_parsed_once_for_many_connections),
		TEST(a_corrected_ca_file_is_noticed_soon),
		TEST(the_version_of_ip_can_be_chosen),
		TEST(one_connection_serves_many_requests),
		TEST(parallel_calls_share_few_connections),
		TEST(a_call_may_start_the_next_from_its_callback),
		TEST(redirects_are_followed_only_when_asked),
		TEST(a_proxy_is_used_when_asked),
		TEST(the_environment_names_a_proxy_but_not_for_loopback),
		TEST(a_call_can_be_canceled_at_any_stage),
		TEST(a_callback_may_cancel_other_calls),
		TEST(freeing_the_client_cancels_its_calls),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
