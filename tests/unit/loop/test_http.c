/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop/http against a real server on loopback: what is sent, what is read from
 * the answer, and what becomes of answers that are wrong, too long or too late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_fixture.h"

/* --- answers ------------------------------------------------------------ */

static void an_answer_has_status_body_and_fields(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct got got = ASK(tls, "/ok", .url = NULL);
		assert_false(got.failed);
		assert_int_equal(got.status, 200);
		assert_string_equal(got.body, "hello");
		assert_string_equal(got.type, "application/json");
		assert_string_equal(got.nonce, "n1");
		assert_int_equal(got.retry_after_ms, -1);
	}
}

static void on_links(void *arg, const struct http_response *res,
                     const struct err *e)
{
	size_t at = 0;

	assert_null(e);
	assert_string_equal(http_header_next(res, "Link", &at),
	                    "<https://a.test/1>;rel=\"up\"");
	assert_string_equal(http_header_next(res, "Link", &at),
	                    "<https://a.test/2>;rel=\"alternate\"");
	assert_null(http_header_next(res, "Link", &at));
	assert_null(http_header(res, "Lin"));
	at = 0;
	assert_string_equal(http_header_next(res, NULL, &at),
	                    "Content-Type: Application/JSON ; charset=utf-8");
	assert_string_equal(http_header_next(res, NULL, &at),
	                    "Replay-Nonce: n1");
	((struct got *)arg)->calls++;
}

static void all_links_can_be_read(void **state)
{
	struct got got = { .calls = 0 };
	char url[64];
	(void)state;

	snprintf(url, sizeof url, "http://localhost:%d/ok", plain.port);
	http_start(client, &(struct http_request){ .url = url }, on_links,
	           &got);
	assert_true(loop_run_until(loop, is_over, &got, 5000));
}

static void the_request_is_sent_as_asked(void **state)
{
	const char *const fields[] = { "Content-Type: application/jose+json",
		                       "X-Two: 2", NULL };
	struct got got = ASK(false, "/echo?a=b/../c", .headers = fields,
	                     .body = STR("{\"x\":1}"));
	(void)state;

	assert_non_null(strstr(got.body, "POST /echo?a=b/../c HTTP/1.1"));
	assert_non_null(strstr(got.body, "Content-Type: application/jose+json"));
	assert_non_null(strstr(got.body, "X-Two: 2"));
	assert_non_null(strstr(got.body, "User-Agent: acme-agent/"));
	assert_non_null(strstr(got.body, "\n\n{\"x\":1}"));
	assert_null(strstr(got.body, "Expect:"));
	assert_null(strstr(got.body, "Encoding"));

	got = ASK(false, "/echo", .method = "DELETE");
	assert_non_null(strstr(got.body, "DELETE /echo"));
	got = ASK(false, "/echo", .method = "PUT", .body = STR(""));
	assert_non_null(strstr(got.body, "PUT /echo"));
	assert_non_null(strstr(got.body, "Content-Length: 0"));
	assert_null(strstr(got.body, "Content-Type"));
	got = ASK(false, "/echo", .url = NULL);
	assert_non_null(strstr(got.body, "GET /echo"));
	assert_null(strstr(got.body, "X-Two"));
	got = ASK(false, "/ok", .method = "HEAD");
	assert_int_equal(got.status, 200);
	assert_int_equal(got.len, 0);
	assert_string_equal(got.nonce, "n1");
}

static void any_status_is_an_answer(void **state)
{
	(void)state;
	assert_int_equal(ASK(false, "/status/404", .url = NULL).status, 404);
	assert_int_equal(ASK(false, "/status/500", .url = NULL).status, 500);
	assert_int_equal(ASK(false, "/status/204", .url = NULL).status, 204);
	struct got got = ASK(false, "/interim", .url = NULL);
	assert_int_equal(got.status, 200);
	assert_string_equal(got.body, "final");
}

static void retry_after_is_read_in_both_forms(void **state)
{
	(void)state;
	struct got got = ASK(false, "/retry-seconds", .url = NULL);
	assert_int_equal(got.retry_after_ms, 120000);
	got = ASK(false, "/retry-date", .url = NULL); /* by the server's clock */
	assert_int_equal(got.retry_after_ms, 60000);
	got = ASK(false, "/retry-junk", .url = NULL);
	assert_int_equal(got.retry_after_ms, -1);
}

/* --- what goes wrong ---------------------------------------------------- */

static void network_errors_are_worded(void **state)
{
	char url[64], text[96];
	int port = unused_port();
	(void)state;

	snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
	snprintf(text, sizeof text, "127.0.0.1:%d: connection refused", port);
	struct got got = ASK(false, "", .url = url);
	expect_error(&got, ERR_RETRY, text);
	got = ASK(false, "", .url = "https://none.test/", .proxy = "");
	expect_error(&got, ERR_RETRY, "none.test: cannot resolve the name");
	got = ASK(false, "/gone", .url = NULL);
	expect_error(&got, ERR_RETRY, "closed without an answer");
	got = ASK(false, "/cut", .url = NULL);
	expect_error(&got, ERR_RETRY, "answer cut off");
	got = ASK(false, "/junk", .url = NULL);
	expect_error(&got, ERR_BROKEN, "the answer is not HTTP");
}

static void bad_requests_fail_later_and_not_at_once(void **state)
{
	static const char *const urls[] = { "http://example.org/", "nonsense",
		"ftp://127.0.0.1/", "https://u:p@127.0.0.1/", "file:///etc/passwd",
		"https://", "https://a b/", "http://127.0.0.1.example.org/", "",
		"https://a.test/\r\nX: y" };
	static const char *const split[] = { "A: b\r\nC: d", NULL };
	static const char *const nameless[] = { ": b", NULL };
	struct got got;
	(void)state;

	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		got = ASK(false, "", .url = urls[i]);
		expect_error(&got, ERR_INVALID, "");
	}
	got = ASK(false, "/ok", .headers = split);
	expect_error(&got, ERR_INVALID, "forbidden character");
	got = ASK(false, "/ok", .headers = nameless);
	expect_error(&got, ERR_INVALID, "without a name");
	got = ASK(false, "/ok", .method = "GET /x");
	expect_error(&got, ERR_INVALID, "method");
}

static void bounds_hold(void **state)
{
	(void)state;
	struct got got = ASK(false, "/sized/1000", .max_body = 1000);
	assert_int_equal(got.len, 1000);
	got = ASK(false, "/sized/1001", .max_body = 1000);
	expect_error(&got, ERR_BROKEN, "body over 1000 bytes");
	got = ASK(false, "/endless", .url = NULL);
	expect_error(&got, ERR_BROKEN, "body over 262144 bytes");
	got = ASK(false, "/declared", .url = NULL);
	expect_error(&got, ERR_BROKEN, "body over 262144 bytes");
	got = ASK(false, "/big-header", .url = NULL);
	expect_error(&got, ERR_BROKEN, "header over 32768 bytes");
	got = ASK(false, "/many-fields", .url = NULL);
	expect_error(&got, ERR_BROKEN, "or 100 fields");
	got = ASK(false, "/ok", .url = NULL); /* nothing of it stays behind */
	assert_string_equal(got.body, "hello");
}

static void time_is_bounded(void **state)
{
	(void)state;
	int64_t began = now_mono();
	struct got got = ASK(false, "/wait/5000", .timeout_ms = 100);
	expect_error(&got, ERR_RETRY, "no complete answer within 100 ms");
	got = ASK(false, "/drip-header", .timeout_ms = 200);
	expect_error(&got, ERR_RETRY, "no complete answer within 200 ms");
	got = ASK(false, "/drip-body", .timeout_ms = 200);
	expect_error(&got, ERR_RETRY, "no complete answer within 200 ms");
	assert_in_range(now_mono() - began, 495, 2500);
	began = now_mono();
	got = ASK(false, "/half-body", .stall_ms = 1000);
	expect_error(&got, ERR_RETRY, "nothing received for 1 s");
	/* curl's average of the last five seconds delays it */
	assert_in_range(now_mono() - began, 900, 8000);
}

/* A listener that accepts and never says a word. */
static int mute_listener(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void a_mute_tls_server_is_given_up(void **state)
{
	char url[64];
	int port, fd = mute_listener(&port);
	(void)state;

	snprintf(url, sizeof url, "https://127.0.0.1:%d/", port);
	struct got got = ASK(true, "", .url = url, .connect_ms = 200);
	expect_error(&got, ERR_RETRY, "no connection within 200 ms");
	got = ASK(true, "", .url = url, .timeout_ms = 150);
	expect_error(&got, ERR_RETRY, "within 150 ms");
	close(fd);
}

static void waiting_for_a_connection_counts_as_time(void **state)
{
	struct http_client_options one = { .host_connections = 1 };
	struct got first = { .calls = 0 }, second = { .calls = 0 };
	char url[64];
	(void)state;

	http_client_free(&client);
	client = http_client_new(loop, &one);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/wait/600", plain.port);
	struct http_request req = { .url = url };
	http_start(client, &req, on_answer, &first);
	loop_run_once(loop, 1);
	req.timeout_ms = 100;
	http_start(client, &req, on_answer, &second);
	assert_true(loop_run_until(loop, is_over, &second, 5000));
	expect_error(&second, ERR_RETRY, "within 100 ms");
	assert_int_equal(first.calls, 0);
	assert_true(loop_run_until(loop, is_over, &first, 5000));
	assert_int_equal(first.status, 200);
}

static void a_slow_look_up_never_holds_the_loop(void **state)
{
	struct got got = { .calls = 0 };
	struct http_request req = { .url = "https://slow.test/", .proxy = "" };
	(void)state;

	int64_t began = now_mono();
	struct http_call *call = http_start(client, &req, on_answer, &got);
	loop_run_once(loop, 10);
	loop_run_once(loop, 10);
	http_cancel(&call);
	assert_null(call);
	got = ASK(false, "", .url = req.url, .proxy = "", .timeout_ms = 50);
	expect_error(&got, ERR_RETRY, "no connection within 50 ms");
	http_client_free(&client);
	assert_true(now_mono() - began < 500);
	poll(NULL, 0, 1000); /* the look-ups end by themselves */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_has_status_body_and_fields),
		TEST(all_links_can_be_read),
		TEST(the_request_is_sent_as_asked),
		TEST(any_status_is_an_answer),
		TEST(retry_after_is_read_in_both_forms),
		TEST(network_errors_are_worded),
		TEST(bad_requests_fail_later_and_not_at_once),
		TEST(bounds_hold),
		TEST(time_is_bounded),
		TEST(a_mute_tls_server_is_given_up),
		TEST(waiting_for_a_connection_counts_as_time),
		TEST(a_slow_look_up_never_holds_the_loop),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
