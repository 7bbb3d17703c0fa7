/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An HTTP/1.1 server on loopback that misbehaves on demand, for test_http.c: a
 * thread for each connection, blocking sockets, TLS if a context is given. What
 * it does is chosen by the path; see ROUTES. It also plays a CONNECT proxy that
 * leads to itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVER_THREADS = 4096, REQUEST_SIZE = 16384 };

struct server {
	int fd, port;
	SSL_CTX *tls; /* NULL: plain */
	pthread_t thread, threads[SERVER_THREADS];
	int count;
	atomic_int stopping, connections, requests, open, most_open, tunnels;
	atomic_int resumed;
};

struct conn {
	struct server *server;
	int fd;
	SSL *ssl;
	char in[REQUEST_SIZE + 1];
	size_t have;
	char method[16], path[512];
	size_t body_len;
	const char *body;
	bool close;
};

/* --- bytes -------------------------------------------------------------- */

/* Every wait is short, so that stopping the server never hangs. */
static bool conn_wait(struct conn *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	while (!c->server->stopping)
		if (poll(&p, 1, 20) > 0)
			return true;
	return false;
}

static ssize_t conn_read(struct conn *c, char *to, size_t len)
{
	if (!(c->ssl && SSL_pending(c->ssl)) && !conn_wait(c, POLLIN))
		return -1;
	return c->ssl ? SSL_read(c->ssl, to, (int)len) :
	                recv(c->fd, to, len, 0);
}

static bool conn_write(struct conn *c, const char *from, size_t len)
{
	while (len) {
		if (!conn_wait(c, POLLOUT))
			return false;
		ssize_t n = c->ssl ? SSL_write(c->ssl, from, (int)len) :
		                     send(c->fd, from, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		from += n;
		len -= (size_t)n;
	}
	return true;
}

static void say(struct conn *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct conn *c, const char *fmt, ...)
{
	char text[4 * REQUEST_SIZE];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (!conn_write(c, text, (size_t)n))
		c->close = true;
}

static void server_nap(struct server *s, int ms)
{
	for (; ms > 0 && !s->stopping; ms -= 5)
		poll(NULL, 0, ms < 5 ? ms : 5);
}

/* The number at the end of the path. */
static int number(struct conn *c)
{
	return (int)strtol(strrchr(c->path, '/') + 1, NULL, 10);
}

/* --- routes ------------------------------------------------------------- */

static void answer(struct conn *c, int status, const char *fields,
                   const char *body)
{
	say(c, "HTTP/1.1 %d Some Words\r\n%sContent-Length: %zu\r\n\r\n%s",
	    status, fields, strlen(body),
	    strcmp(c->method, "HEAD") ? body : "");
}

static void do_ok(struct conn *c)
{
	answer(c, 200,
	       "Content-Type: Application/JSON ; charset=utf-8\r\n"
	       "Replay-Nonce:  n1 \r\n"
	       "Link: <https://a.test/1>;rel=\"up\"\r\n"
	       "link: <https://a.test/2>;rel=\"alternate\"\r\n"
	       "Linked: no\r\n",
	       "hello");
}

static void do_echo(struct conn *c)
{
	char head[REQUEST_SIZE], all[2 * REQUEST_SIZE];
	const char *end = strstr(c->in, "\r\n\r\n");

	snprintf(head, sizeof head, "%.*s", (int)(end - c->in), c->in);
	snprintf(all, sizeof all, "%s\n\n%.*s", head, (int)c->body_len,
	         c->body);
	answer(c, 200, "", all);
}

static void do_status(struct conn *c)
{
	answer(c, number(c), "", "x");
}

static void do_wait(struct conn *c)
{
	server_nap(c->server, number(c));
	answer(c, 200, "", "late");
}

static void do_closing(struct conn *c)
{
	answer(c, 200, "Connection: close\r\n", "bye");
	c->close = true;
}

static void do_gone(struct conn *c)
{
	c->close = true;
}

static void do_junk(struct conn *c)
{
	say(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	c->close = true;
}

static void do_cut(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
	c->close = true;
}

static void do_drip_header(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\nX-Slow: ");
	while (!c->close && !c->server->stopping) {
		server_nap(c->server, 20);
		say(c, "x");
	}
}

static void do_drip_body(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
	while (!c->close && !c->server->stopping) {
		server_nap(c->server, 20);
		say(c, "x");
	}
}

static void do_half_body(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	server_nap(c->server, 20000);
	c->close = true;
}

static void do_endless(struct conn *c)
{
	char junk[4096];

	memset(junk, 'j', sizeof junk - 1);
	junk[sizeof junk - 1] = '\0';
	say(c, "HTTP/1.1 200 OK\r\n\r\n");
	while (!c->close && !c->server->stopping)
		say(c, "%s", junk);
}

static void do_declared(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nx");
	server_nap(c->server, 20000);
	c->close = true;
}

static void do_sized(struct conn *c)
{
	size_t n = (size_t)number(c);
	char *text = calloc(1, n + 1);

	memset(text, 's', n);
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
	if (!conn_write(c, text, n))
		c->close = true;
	free(text);
}

static void do_big_header(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 40; i++)
		say(c, "X-Big: %01000d\r\n", i);
	say(c, "Content-Length: 0\r\n\r\n");
}

static void do_many_fields(struct conn *c)
{
	say(c, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 150; i++)
		say(c, "X-%d: y\r\n", i);
	say(c, "Content-Length: 0\r\n\r\n");
}

static void do_interim(struct conn *c)
{
	say(c, "HTTP/1.1 103 Early Hints\r\nX-Hint: early\r\n\r\n");
	answer(c, 200, "X-Late: yes\r\n", "final");
}

static void do_redirect(struct conn *c)
{
	int n = number(c);
	char fields[128];

	if (!n) {
		do_echo(c);
		return;
	}
	snprintf(fields, sizeof fields, "Location: /redirect/%d\r\n", n - 1);
	answer(c, 302, fields, "elsewhere");
}

/* /to/URL-without-scheme-slashes, e.g. /to/http:127.0.0.1:80/x */
static void do_to(struct conn *c)
{
	char fields[700], *rest = strchr(c->path + 4, ':');

	snprintf(fields, sizeof fields, "Location: %.*s://%s\r\n",
	         (int)(rest - c->path - 4), c->path + 4, rest + 1);
	answer(c, 307, fields, "");
}

static void do_retry_seconds(struct conn *c)
{
	answer(c, 429, "Retry-After: 120\r\n", "");
}

static void do_retry_date(struct conn *c)
{
	answer(c, 503,
	       "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	       "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", "");
}

static void do_retry_junk(struct conn *c)
{
	answer(c, 503, "Retry-After: soon\r\n", "");
}

/* The name in the client's certificate. */
static void do_who(struct conn *c)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);
	char name[128] = "nobody";

	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
		                          NID_commonName, name, sizeof name);
	X509_free(cert);
	answer(c, 200, "", name);
}

static const struct {
	const char *path;
	void (*fn)(struct conn *c);
} ROUTES[] = {
	{ "/ok", do_ok },
	{ "/echo", do_echo },
	{ "/status/", do_status },
	{ "/wait/", do_wait },
	{ "/closing", do_closing },
	{ "/gone", do_gone },
	{ "/junk", do_junk },
	{ "/cut", do_cut },
	{ "/drip-header", do_drip_header },
	{ "/drip-body", do_drip_body },
	{ "/half-body", do_half_body },
	{ "/endless", do_endless },
	{ "/declared", do_declared },
	{ "/sized/", do_sized },
	{ "/big-header", do_big_header },
	{ "/many-fields", do_many_fields },
	{ "/interim", do_interim },
	{ "/redirect/", do_redirect },
	{ "/to/", do_to },
	{ "/retry-seconds", do_retry_seconds },
	{ "/retry-date", do_retry_date },
	{ "/retry-junk", do_retry_junk },
	{ "/who", do_who },
};

/* --- a connection ------------------------------------------------------- */

/* Head and body of the next request into c->in; false at the end. */
static bool read_request(struct conn *c)
{
	char *end;

	c->have = 0;
	do {
		ssize_t n = c->have == REQUEST_SIZE ? -1 :
			conn_read(c, c->in + c->have, REQUEST_SIZE - c->have);
		if (n <= 0)
			return false;
		c->have += (size_t)n;
		c->in[c->have] = '\0';
		if (c->in[0] < 'A') /* TLS to a plain server */
			return false;
	} while (!(end = strstr(c->in, "\r\n\r\n")));
	const char *length = strcasestr(c->in, "\r\nContent-Length:");
	c->body = end + 4;
	c->body_len = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
	while (c->have < (size_t)(c->body - c->in) + c->body_len) {
		ssize_t n = conn_read(c, c->in + c->have,
		                      REQUEST_SIZE - c->have);
		if (n <= 0)
			return false;
		c->have += (size_t)n;
		c->in[c->have] = '\0';
	}
	return sscanf(c->in, "%15s %511s", c->method, c->path) == 2;
}

static bool start_tls(struct conn *c)
{
	c->ssl = SSL_new(c->server->tls);
	SSL_set_fd(c->ssl, c->fd);
	/* A client that says nothing must not keep us for ever. */
	if (!conn_wait(c, POLLIN) || SSL_accept(c->ssl) != 1)
		return false;
	c->server->resumed += SSL_session_reused(c->ssl);
	return true;
}

static bool tunnel(struct conn *c)
{
	if (strstr(c->in, "refuse.test")) {
		say(c, "HTTP/1.1 407 Proxy Authentication Required\r\n"
		       "Content-Length: 0\r\n\r\n");
		return false;
	}
	c->server->tunnels++;
	say(c, "HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n");
	return start_tls(c);
}

static void serve_one(struct conn *c)
{
	size_t n = sizeof ROUTES / sizeof *ROUTES;

	for (size_t i = 0; i < n; i++)
		if (!strncmp(c->path, ROUTES[i].path, strlen(ROUTES[i].path))) {
			ROUTES[i].fn(c);
			return;
		}
	answer(c, 404, "", "no such route");
}

static void serve(struct conn *c, bool tls)
{
	if (tls && !start_tls(c))
		return;
	while (!c->close && read_request(c)) {
		if (!strcmp(c->method, "CONNECT")) {
			if (!tunnel(c))
				return;
			continue;
		}
		c->server->requests++;
		serve_one(c);
	}
}

static void *conn_main(void *arg)
{
	struct conn *c = arg;
	struct server *s = c->server;

	int now = ++s->open, most = s->most_open;
	while (now > most &&
	       !atomic_compare_exchange_weak(&s->most_open, &most, now))
		;
	/* A proxy speaks plainly at first: CONNECT. A TLS record never begins
	 * with that letter. */
	char first = 0;
	bool plain = recv(c->fd, &first, 1, MSG_PEEK) == 1 && first == 'C';
	serve(c, s->tls && !plain);
	s->open--;
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	while (!s->stopping) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		int fd = accept(s->fd, NULL, NULL), one = 1;
		if (fd < 0 || s->count == SERVER_THREADS)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct timeval t = { .tv_sec = 2 };
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
		struct conn *c = calloc(1, sizeof *c);
		c->server = s;
		c->fd = fd;
		s->connections++;
		if (pthread_create(&s->threads[s->count++], NULL, conn_main, c))
			abort();
	}
	return NULL;
}

static void server_start(struct server *s, SSL_CTX *tls)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;

	memset(s, 0, sizeof *s);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->tls = tls;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->fd, (struct sockaddr *)&a, len) ||
	    listen(s->fd, 128) ||
	    getsockname(s->fd, (struct sockaddr *)&a, &len) ||
	    pthread_create(&s->thread, NULL, server_main, s))
		abort();
	s->port = ntohs(a.sin_port);
}

static void server_stop(struct server *s)
{
	s->stopping = 1;
	pthread_join(s->thread, NULL);
	for (int i = 0; i < s->count; i++)
		pthread_join(s->threads[i], NULL);
	close(s->fd);
}

/* --- certificates ------------------------------------------------------- */

struct authority {
	EVP_PKEY *key;
	X509 *cert;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	X509_add_ext(cert, x, -1);
	X509_EXTENSION_free(x);
}

/* `by` NULL: a root that signs itself. */
static struct authority make_cert(const char *name, const char *san,
                                  const struct authority *by)
{
	static int serial = 1;
	struct authority a = { EVP_EC_gen("P-256"), X509_new() };

	X509_set_version(a.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(a.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(a.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(a.cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(a.cert), "CN",
	                           MBSTRING_ASC, (const unsigned char *)name,
	                           -1, -1, 0);
	X509 *issuer = by ? by->cert : a.cert;
	X509_set_issuer_name(a.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(a.cert, a.key);
	add_extension(a.cert, issuer, NID_basic_constraints,
	              by ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san)
		add_extension(a.cert, issuer, NID_subject_alt_name, san);
	X509_sign(a.cert, by ? by->key : a.key, EVP_sha256());
	return a;
}

static void free_cert(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
}

static void save_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	if (cert)
		PEM_write_X509(f, cert);
	if (key)
		PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

static SSL_CTX *server_tls(const struct authority *leaf,
                           const struct authority *clients)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_use_certificate(ctx, leaf->cert);
	SSL_CTX_use_PrivateKey(ctx, leaf->key);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), clients->cert);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN); /* no root in it */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	return ctx;
}
