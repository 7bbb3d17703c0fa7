/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of loop/http share: a loop and a client for each test, one
 * plain and one TLS server for all, names that resolve slowly or not at all,
 * and ask(), one exchange from start to end. Each test ends with an empty loop.
 */
#include <dlfcn.h>
#include <netdb.h>

#include "base/now.h"
#include "loop/http.h"

#include "http_server.h"

static struct loop *loop;
static struct http_client *client;
static struct server plain, secure;
static char folder[] = "/tmp/acme-http-XXXXXX", ca[64], other_ca[64], cert[64],
	key[64];

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

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	client = http_client_new(loop, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	http_client_free(&client);
	return loop_free(loop);
}

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
