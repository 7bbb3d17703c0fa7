/* SPDX-License-Identifier: Apache-2.0 */
/* loop/http against a real server on loopback, plain and TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <netdb.h>
#include <sys/inotify.h>
#include <sys/resource.h>

#include "base/now.h"
#include "loop/after.h"
#include "loop/http.h"

#include "http_server.h"

static struct loop *loop;
static struct http_client *client;
static struct server plain, secure;
static char folder[] = "/tmp/acme-http-XXXXXX", ca[64], other_ca[64], cert[64],
	key[64];
static int64_t slowest;

/* curl looks names up on a thread of its own, by this function. */
int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
	__attribute__((visibility("default")));

int getaddrinfo(const char *host, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
	static int (*real)(const char *, const char *, const struct addrinfo *,
	                   struct addrinfo **);

	if (host && !strcmp(host, "slow.test")) {
		poll(NULL, 0, 700);
		return EAI_AGAIN;
	}
	if (host && !strcmp(host, "none.test"))
		return EAI_NONAME;
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(host && !strcmp(host, "ca.test") ? "127.0.0.1" : host,
	            service, hints, out);
}

/* --- one exchange ------------------------------------------------------- */

struct got {
	struct http_call *call;
	int calls;
	bool failed;
	int status;
	char body[4096], type[64], nonce[64], url[256];
	size_t len;
	int64_t retry_after_ms;
	struct http_timing timing;
	struct err err;
};

static void on_answer(void *arg, const struct http_response *res,
                      const struct err *e)
{
	struct got *got = arg;

	got->call = NULL;
	got->calls++;
	got->failed = !res;
	assert_true(!res != !e);
	if (e) {
		got->err = *e;
		return;
	}
	const char *nonce = http_header(res, "replay-nonce");
	got->status = res->status;
	got->len = res->body.len;
	got->retry_after_ms = res->retry_after_ms;
	got->timing = res->timing;
	assert_int_equal(res->body.ptr[res->body.len], '\0');
	snprintf(got->body, sizeof got->body, "%s", res->body.ptr);
	snprintf(got->type, sizeof got->type, "%s", res->content_type);
	snprintf(got->nonce, sizeof got->nonce, "%s", nonce ? nonce : "");
	snprintf(got->url, sizeof got->url, "%s", res->url);
}

static bool is_over(void *arg)
{
	return ((struct got *)arg)->calls > 0;
}

/* Runs the exchange to its end; `path` on the plain or the TLS server unless
 * req.url is set. */
static struct got ask(bool tls, const char *path, struct http_request req)
{
	struct got got = { .calls = 0 };
	char url[1024];

	snprintf(url, sizeof url, "%s://127.0.0.1:%d%s", tls ? "https" : "http",
	         tls ? secure.port : plain.port, path);
	if (!req.url)
		req.url = url;
	if (tls && !req.ca_file)
		req.ca_file = ca;
	got.call = http_start(client, &req, on_answer, &got);
	assert_int_equal(got.calls, 0);
	assert_true(loop_run_until(loop, is_over, &got, 20000));
	assert_int_equal(got.calls, 1);
	return got;
}

#define ASK(tls, path, ...) ask(tls, path, (struct http_request){ __VA_ARGS__ })

static void expect_error(const struct got *got, enum err_code code,
                         const char *part)
{
	if (!got->failed || got->err.code != code ||
	    !strstr(got->err.text, part))
		fail_msg("wanted %s '%s', got %s '%s'", err_code_name(code),
		         part, err_code_name(got->err.code),
		         got->failed ? got->err.text : got->body);
}

static void on_slow(void *arg, const char *what, int64_t took)
{
	(void)arg;
	(void)what;
	if (took > slowest)
		slowest = took;
}

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	client = http_client_new(loop, NULL);
	slowest = 0;
	loop_on_slow(loop, 1, on_slow, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_client_free(&client);
	return loop_free(loop);
}

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

static int unused_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

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

/* --- the whole ---------------------------------------------------------- */

static struct authority root, stranger, leaf, user;

static int start_servers(void **state)
{
	(void)state;
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	assert_non_null(mkdtemp(folder));
	snprintf(ca, sizeof ca, "%s/ca.pem", folder);
	snprintf(other_ca, sizeof other_ca, "%s/other.pem", folder);
	snprintf(cert, sizeof cert, "%s/cert.pem", folder);
	snprintf(key, sizeof key, "%s/key.pem", folder);
	root = make_cert("test root", NULL, NULL);
	stranger = make_cert("another root", NULL, NULL);
	leaf = make_cert("server", "DNS:localhost,IP:127.0.0.1", &root);
	user = make_cert("client", NULL, &root);
	save_pem(ca, root.cert, NULL);
	save_pem(other_ca, stranger.cert, NULL);
	save_pem(cert, user.cert, NULL);
	save_pem(key, NULL, user.key);
	server_start(&plain, NULL);
	server_start(&secure, server_tls(&leaf, &root));
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	server_stop(&plain);
	server_stop(&secure);
	SSL_CTX_free(secure.tls);
	free_cert(&root);
	free_cert(&stranger);
	free_cert(&leaf);
	free_cert(&user);
	unlink(ca);
	unlink(other_ca);
	unlink(cert);
	unlink(key);
	rmdir(folder);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
		TEST(certificates_are_verified),
		TEST(a_client_certificate_is_shown),
		TEST(the_ca_file_is_parsed_once_for_many_connections),
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
