/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshake client: makes many full TLS handshakes with a server on 127.0.0.1
 * and checks each.
 *
 *   bridge_hsclient -p PORT -n COUNT -s NAME -r ROOT.pem
 *                   [-v 1.2|1.3] [-k ecdsa|rsa] [-j PROCESSES] [-f FLOOR]
 *
 * The chain must verify against ROOT and NAME, and the handshake itself proves
 * that the server has the leaf's key (CertificateVerify or ServerKeyExchange).
 * FLOOR is a file with one 64-bit number in the machine's byte order, mapped
 * and read before each connection: the serial number of what is served must
 * not be below it. A publisher that counts serials up and writes the number
 * there after it has published thus proves that the next handshake serves it.
 *
 * Prints "handshakes N failed N serials N last N" and the first failures.
 * Exit code 1 if any failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct options {
	int port;
	long count;
	int processes;
	const char *name;
	const char *root;
	const char *version;
	const char *key;
	const _Atomic uint64_t *floor;
};

struct result {
	long done;
	long failed;
	long serials; /* changes of the serial seen */
	uint64_t last;
};

static void die(const char *what)
{
	fprintf(stderr, "bridge_hsclient: %s: %s\n", what, strerror(errno));
	ERR_print_errors_fp(stderr);
	exit(2);
}

static SSL_CTX *make_ctx(const struct options *o)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int version = 0;

	if (!ctx || SSL_CTX_load_verify_locations(ctx, o->root, NULL) != 1)
		die(o->root);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (o->version)
		version = strcmp(o->version, "1.2") == 0 ? TLS1_2_VERSION
							  : TLS1_3_VERSION;
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (o->key && SSL_CTX_set1_sigalgs_list(
			      ctx, strcmp(o->key, "rsa") == 0
					   ? "RSA-PSS+SHA256:RSA+SHA256"
					   : "ECDSA+SHA256:ECDSA+SHA384") != 1)
		die("sigalgs");
	return ctx;
}

static int make_connection(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port) };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The serial number that was served; 0 on failure, with `why` filled. */
static uint64_t shake(SSL_CTX *ctx, const struct options *o, char *why,
		      size_t cap)
{
	SSL *ssl = SSL_new(ctx);
	X509 *leaf = NULL;
	uint64_t serial = 0;
	int fd = make_connection(o->port);

	ERR_clear_error();
	if (fd < 0) {
		snprintf(why, cap, "connect: %s", strerror(errno));
		goto out;
	}
	if (!ssl || SSL_set_fd(ssl, fd) != 1 ||
	    SSL_set_tlsext_host_name(ssl, o->name) != 1 ||
	    SSL_set1_host(ssl, o->name) != 1)
		die("SSL");
	if (SSL_connect(ssl) != 1) {
		snprintf(why, cap, "%s; verify: %s",
			 ERR_reason_error_string(ERR_peek_last_error()),
			 X509_verify_cert_error_string(
				 SSL_get_verify_result(ssl)));
		goto out;
	}
	if (SSL_session_reused(ssl)) {
		snprintf(why, cap, "was resumed");
		goto out;
	}
	leaf = SSL_get1_peer_certificate(ssl);
	if (!leaf || ASN1_INTEGER_get_uint64(&serial,
					     X509_get0_serialNumber(leaf)) != 1)
		snprintf(why, cap, "no serial number");
	SSL_shutdown(ssl);
out:
	X509_free(leaf);
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return serial;
}

static void run(const struct options *o, long count, struct result *r)
{
	SSL_CTX *ctx = make_ctx(o);
	char why[256] = "";

	for (long i = 0; i < count; i++) {
		uint64_t least = o->floor ? atomic_load(o->floor) : 0;
		uint64_t serial = shake(ctx, o, why, sizeof why);

		r->done++;
		if (serial && serial < least) {
			snprintf(why, sizeof why, "served %llu, published %llu",
				 (unsigned long long)serial,
				 (unsigned long long)least);
			serial = 0;
		}
		if (!serial && r->failed++ < 5)
			printf("failed: %s\n", why);
		if (serial && serial != r->last) {
			r->serials++;
			r->last = serial;
		}
	}
	fflush(stdout);
	SSL_CTX_free(ctx);
}

static void parse(int argc, char **argv, struct options *o)
{
	int option, fd;

	while ((option = getopt(argc, argv, "p:n:s:r:v:k:j:f:")) != -1) {
		switch (option) {
		case 'p': o->port = (int)strtol(optarg, NULL, 10); break;
		case 'n': o->count = strtol(optarg, NULL, 10); break;
		case 's': o->name = optarg; break;
		case 'r': o->root = optarg; break;
		case 'v': o->version = optarg; break;
		case 'k': o->key = optarg; break;
		case 'j':
			o->processes = (int)strtol(optarg, NULL, 10);
			break;
		case 'f':
			fd = open(optarg, O_RDONLY | O_CLOEXEC);
			o->floor = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
			if (o->floor == MAP_FAILED)
				die(optarg);
			break;
		default: exit(2);
		}
	}
	if (!o->port || !o->name || !o->root || o->processes < 1)
		exit(2);
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1, .processes = 1 };
	struct result *all, sum = { 0 };

	parse(argc, argv, &o);
	all = mmap(NULL, sizeof *all * (size_t)o.processes,
		   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		die("mmap");
	for (int i = 0; i < o.processes; i++) {
		if (fork() == 0) {
			run(&o, o.count / o.processes, &all[i]);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < o.processes; i++) {
		sum.done += all[i].done;
		sum.failed += all[i].failed;
		sum.serials += all[i].serials;
		if (all[i].last > sum.last)
			sum.last = all[i].last;
	}
	printf("handshakes %ld failed %ld serials %ld last %llu\n", sum.done,
	       sum.failed, sum.serials, (unsigned long long)sum.last);
	return sum.failed || sum.done != o.count / o.processes * o.processes;
}
