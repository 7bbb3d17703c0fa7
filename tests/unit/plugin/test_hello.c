/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The example plugin against a provider in a thread: what it sends, what it
 * makes of answers, and that its token goes to the provider and nowhere else.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

struct provider {
	int fd;
	pthread_t thread;
	char url[64];
	const char *answer; /* to the next request */
	char request[4096]; /* the last one */
};

static void serve_one(struct provider *p, int c)
{
	size_t len = 0;
	ssize_t n;

	/* small requests: header and body come together or soon */
	while ((n = read(c, p->request + len,
	                 sizeof p->request - 1 - len)) > 0) {
		len += (size_t)n;
		p->request[len] = '\0';
		const char *body = strstr(p->request, "\r\n\r\n");
		if (body && (strncmp(p->request, "POST", 4) != 0 ||
		             strchr(body, '}')))
			break;
	}
	const char *answer = p->answer;
	if (write(c, answer, strlen(answer)) < 0)
		abort();
}

static void *serve(void *arg)
{
	struct provider *p = arg;
	int c;

	while ((c = accept(p->fd, NULL, NULL)) >= 0) {
		serve_one(p, c);
		close(c);
	}
	return NULL;
}

static void provider_start(struct provider *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(p->fd, 8), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &len), 0);
	snprintf(p->url, sizeof p->url, "http://127.0.0.1:%u/records",
	         (unsigned)ntohs(a.sin_port));
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void provider_stop(struct provider *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
}

static struct instance *hello(struct bench *b, const struct provider *p)
{
	const struct conf_raw options[] = {
		{ "url", p->url, { NULL, 0 } },
		{ "token", "hush-hush", { NULL, 0 } },
	};
	struct instance *i;
	struct err e;

	assert_int_equal(bench_open(b, "hello", options, 2,
	                            (struct instance_hooks){ 0 }, &i, &e),
	                 0);
	return i;
}

static acme_challenge challenge(const char *cookie)
{
	acme_challenge c = { .type = ACME_DNS_01 };

	c.identifier = acme_text("example.org");
	c.record_name = acme_text("_acme-challenge.example.org");
	c.record_value = acme_text("value-1");
	c.cookie = acme_text(cookie);
	return c;
}

static enum err_code present(struct bench *b, struct instance *i)
{
	acme_challenge c = challenge("");

	instance_present(i, &c, 10000, bench_answer, b);
	return bench_wait(b);
}

static enum err_code cleanup(struct bench *b, struct instance *i,
                             const char *cookie)
{
	acme_challenge c = challenge(cookie);

	instance_cleanup(i, &c, 10000, bench_answer, b);
	return bench_wait(b);
}

static void a_record_is_made_and_removed_by_its_id(void **state)
{
	struct bench *b = *state;
	struct provider p = { .answer = "HTTP/1.1 201 Created\r\n"
		                        "Content-Length: 5\r\n"
		                        "Connection: close\r\n\r\nrec-7" };

	provider_start(&p);
	struct instance *i = hello(b, &p);
	assert_int_equal(present(b, i), ERR_OK);
	assert_string_equal(b->cookie, "rec-7");
	assert_non_null(strstr(p.request, "POST /records HTTP/1.1"));
	assert_non_null(strstr(p.request, "Authorization: Bearer hush-hush"));
	assert_non_null(strstr(p.request,
	                       "{\"name\":\"_acme-challenge.example.org\","
	                       "\"value\":\"value-1\"}"));
	p.answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	assert_int_equal(cleanup(b, i, "rec-7"), ERR_OK);
	assert_non_null(strstr(p.request, "DELETE /records/rec-7 HTTP/1.1"));
	p.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
	           "Connection: close\r\n\r\n";
	assert_int_equal(cleanup(b, i, "rec-7"), ERR_OK);
	p.request[0] = '\0';
	assert_int_equal(cleanup(b, i, ""), ERR_OK);
	assert_string_equal(p.request, ""); /* nothing to ask for */
	bench_close(b, i, 0);
	provider_stop(&p);
	assert_false(bench_logged(b, "hush-hush"));
}

static void answers_become_statuses_with_words(void **state)
{
	struct bench *b = *state;
	struct provider p = { .answer = "HTTP/1.1 403 Forbidden\r\n"
		                        "Content-Length: 33\r\n"
		                        "Connection: close\r\n\r\n"
		                        "{\"message\":\"bad token hush-hush\"}" };

	provider_start(&p);
	struct instance *i = hello(b, &p);
	assert_int_equal(present(b, i), ERR_DENIED);
	assert_string_equal(b->text,
	                    "HTTP 403: {\"message\":\"bad token ***\"}");
	p.answer = "HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n"
	           "Content-Length: 13\r\nConnection: close\r\n\r\n"
	           "<html></html>";
	assert_int_equal(present(b, i), ERR_RETRY);
	assert_int_equal(b->retry_ms, 7000);
	assert_string_equal(b->text, "HTTP 429");
	p.answer = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n"
	           "Connection: close\r\n\r\n";
	assert_int_equal(present(b, i), ERR_INVALID);
	provider_stop(&p);
	assert_int_equal(present(b, i), ERR_RETRY); /* nobody answers */
	bench_close(b, i, 0);
}

static void a_request_in_flight_is_dropped_by_cancel(void **state)
{
	struct bench *b = *state;
	struct provider p = { .answer = "" };
	acme_challenge c = challenge("");

	provider_start(&p);
	struct instance *i = hello(b, &p);
	acme_op op = instance_present(i, &c, 10000, bench_answer, b);
	loop_run_once(b->loop, 20);
	op_cancel(op);
	bench_close(b, i, 0);
	assert_int_equal(b->answers, 0);
	provider_stop(&p);
}

#define TEST(NAME)                                                             \
	cmocka_unit_test_setup_teardown(NAME, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_is_made_and_removed_by_its_id),
		TEST(answers_become_statuses_with_words),
		TEST(a_request_in_flight_is_dropped_by_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
