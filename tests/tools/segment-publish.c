/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishes certificates from PEM files into a segment: an agent without a CA,
 * for tests of whatever reads a segment.
 *
 *   segment-publish [--mode OCTAL] [--grace MS] FILE COMMAND ARGUMENT...
 *   segment-publish [--mode OCTAL] [--grace MS] FILE --stdin
 *
 *   cert NAME --names a,b CHAIN.pem KEY.pem [CHAIN2.pem KEY2.pem ...]
 *   remove NAME
 *   token TOKEN KEYAUTH        untoken TOKEN
 *   alpn NAME CERT.pem KEY.pem unalpn NAME
 *   dump                       kinds, names, dates and sizes, never keys
 *
 * With --stdin one process holds the lock, reads commands from lines (words
 * between blanks) and answers each with "ok" or "error TEXT".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/now.h"
#include "segment/segment.h"

enum { ENTRIES = 8, CHAIN = 16, NAMES = 256, WORDS = 64 };

static struct segment *segment;

/* ---- PEM to DER ---------------------------------------------------------- */

struct pem {
	unsigned char *leaf, *key, *chain[CHAIN];
	struct str chain_str[CHAIN];
	struct segment_entry entry;
	int64_t not_before, not_after;
};

static void pem_free(struct pem *p)
{
	OPENSSL_free(p->leaf);
	OPENSSL_clear_free(p->key, p->entry.key.len);
	for (size_t i = 0; i < p->entry.chain_count; i++)
		OPENSSL_free(p->chain[i]);
	memset(p, 0, sizeof *p);
}

static struct str cert_der(X509 *cert, unsigned char **out)
{
	int len = i2d_X509(cert, out);

	return (struct str){ (char *)*out, len > 0 ? (size_t)len : 0 };
}

static int64_t unix_time(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int read_chain(struct pem *p, const char *path, struct err *e)
{
	FILE *file = fopen(path, "r");
	X509 *cert;

	if (!file)
		return err_set(e, ERR_ABSENT, "%s: cannot be opened", path);
	while ((cert = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
		size_t n = p->entry.chain_count;
		if (!p->leaf) {
			p->entry.leaf = cert_der(cert, &p->leaf);
			p->not_before = unix_time(X509_get0_notBefore(cert));
			p->not_after = unix_time(X509_get0_notAfter(cert));
		} else if (n < CHAIN) {
			p->chain_str[n] = cert_der(cert, &p->chain[n]);
			p->entry.chain_count++;
		}
		X509_free(cert);
	}
	fclose(file);
	ERR_clear_error();
	p->entry.chain = p->chain_str;
	if (!p->leaf)
		return err_set(e, ERR_INVALID, "%s: no certificate", path);
	return 0;
}

static enum acme_segment_key key_type(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		return bits == 256   ? ACME_SEGMENT_ECDSA_256
		       : bits == 384 ? ACME_SEGMENT_ECDSA_384
				     : ACME_SEGMENT_ECDSA_521;
	return bits == 2048   ? ACME_SEGMENT_RSA_2048
	       : bits == 3072 ? ACME_SEGMENT_RSA_3072
			      : ACME_SEGMENT_RSA_4096;
}

static int read_key(struct pem *p, const char *path, struct err *e)
{
	FILE *file = fopen(path, "r");
	PKCS8_PRIV_KEY_INFO *p8 = NULL;
	EVP_PKEY *key = NULL;
	int len = 0;

	if (file) {
		key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		fclose(file);
	}
	if (key)
		p8 = EVP_PKEY2PKCS8(key);
	if (p8)
		len = i2d_PKCS8_PRIV_KEY_INFO(p8, &p->key);
	if (len > 0) {
		p->entry.key = (struct str){ (char *)p->key, (size_t)len };
		p->entry.type = key_type(key);
	}
	PKCS8_PRIV_KEY_INFO_free(p8);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return len > 0 ? 0 : err_set(e, ERR_INVALID, "%s: no key", path);
}

static int pem_read(struct pem *p, const char *chain, const char *key,
		    struct err *e)
{
	int rc;

	memset(p, 0, sizeof *p);
	rc = read_chain(p, chain, e);
	return rc ? rc : read_key(p, key, e);
}

/* ---- commands ------------------------------------------------------------ */

static size_t split_names(char *list, struct str *names)
{
	size_t n = 0;

	for (char *p = strtok_r(list, ",", &list); p && n < NAMES;
	     p = strtok_r(NULL, ",", &list))
		names[n++] = str_of(p);
	return n;
}

static int cmd_cert(int argc, char **argv, struct err *e)
{
	struct pem pem[ENTRIES];
	struct segment_entry entries[ENTRIES];
	struct str names[NAMES];
	struct segment_cert cert = { .name = str_of(argv[1]),
				     .entries = entries,
				     .names = names };
	struct timespec now;
	size_t count = 0;
	int rc = 0;

	if (argc < 6 || argc % 2 || argc > 4 + 2 * ENTRIES ||
	    strcmp(argv[2], "--names") != 0)
		return err_set(e, ERR_INVALID,
			       "cert NAME --names a,b CHAIN KEY ...");
	clock_gettime(CLOCK_REALTIME, &now);
	cert.version =
	    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	cert.name_count = split_names(argv[3], names);
	for (int i = 4; rc == 0 && i < argc; i += 2, count++) {
		struct pem *p = &pem[count];
		rc = pem_read(p, argv[i], argv[i + 1], e);
		entries[count] = p->entry;
		if (count == 0 || p->not_before > cert.not_before)
			cert.not_before = p->not_before;
		if (count == 0 || p->not_after < cert.not_after)
			cert.not_after = p->not_after;
	}
	cert.entry_count = count;
	if (rc == 0)
		rc = segment_put_cert(segment, &cert, e);
	while (count > 0)
		pem_free(&pem[--count]);
	return rc;
}

static int cmd_remove(int argc, char **argv, struct err *e)
{
	(void)argc;
	return segment_remove_cert(segment, str_of(argv[1]), e);
}

static int cmd_token(int argc, char **argv, struct err *e)
{
	(void)argc;
	return segment_put_token(segment, str_of(argv[1]), str_of(argv[2]), e);
}

static int cmd_untoken(int argc, char **argv, struct err *e)
{
	(void)argc;
	return segment_remove_token(segment, str_of(argv[1]), e);
}

static int cmd_alpn(int argc, char **argv, struct err *e)
{
	struct pem p;
	int rc = pem_read(&p, argv[2], argv[3], e);

	(void)argc;
	if (rc == 0)
		rc = segment_put_alpn(segment, str_of(argv[1]), p.entry.leaf,
				      p.entry.key, e);
	pem_free(&p);
	return rc;
}

static int cmd_unalpn(int argc, char **argv, struct err *e)
{
	(void)argc;
	return segment_remove_alpn(segment, str_of(argv[1]), e);
}

static void dump_record(const struct acme_segment_record *r)
{
	struct acme_segment_entry x;

	printf("%s ", acme_segment_kind_text(r->kind));
	if (r->kind == ACME_SEGMENT_CHAIN)
		printf("%016llx",
		       (unsigned long long)acme_segment__get64le(r->name));
	else
		fwrite(r->name, 1, r->name_len, stdout);
	printf(" %u bytes", r->size);
	if (r->kind == ACME_SEGMENT_NAME)
		printf(" -> %.*s", (int)r->body_len, (const char *)r->body);
	if (r->kind == ACME_SEGMENT_CERT)
		printf(" version=%llu not_after=%lld",
		       (unsigned long long)r->version, (long long)r->not_after);
	for (uint32_t i = 0; acme_segment_cert(r, i, &x); i++)
		printf(" %s", acme_segment_key_text(x.type));
	printf("\n");
}

static int cmd_dump(int argc, char **argv, struct err *e)
{
	static unsigned char buf[ACME_SEGMENT_RECORD_MAX];
	const struct acme_segment *s = segment_reader(segment);
	struct acme_segment_cursor cursor = { 0 };
	struct acme_segment_record r;
	enum acme_segment_result rc;

	(void)argc;
	(void)argv;
	printf("epoch %u changes %u\n", acme_segment_epoch(s),
	       acme_segment_changes(s));
	while ((rc = acme_segment_next(s, &cursor, buf, sizeof buf, &r)) ==
		   ACME_SEGMENT_OK ||
	       rc == ACME_SEGMENT_DAMAGED)
		if (rc == ACME_SEGMENT_OK)
			dump_record(&r);
		else
			printf("damaged\n");
	if (rc != ACME_SEGMENT_ABSENT)
		return err_set(e, ERR_BROKEN, "%s",
			       acme_segment_result_text(rc));
	return 0;
}

static const struct command {
	const char *name;
	int arguments; /* at least */
	int (*run)(int argc, char **argv, struct err *e);
} commands[] = {
	{ "cert", 5, cmd_cert },   { "remove", 1, cmd_remove },
	{ "token", 2, cmd_token }, { "untoken", 1, cmd_untoken },
	{ "alpn", 3, cmd_alpn },   { "unalpn", 1, cmd_unalpn },
	{ "dump", 0, cmd_dump },
};

static int run(int argc, char **argv, struct err *e)
{
	struct err ignored;

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (argc < 1 || strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (argc <= commands[i].arguments)
			return err_set(e, ERR_INVALID, "%s: arguments missing",
				       argv[0]);
		int rc = commands[i].run(argc, argv, e);
		segment_heartbeat(segment, now_wall());
		segment_collect(segment, now_mono(), &ignored);
		return rc;
	}
	return err_set(e, ERR_INVALID, "no such command");
}

static int run_lines(void)
{
	char *line = NULL, *words[WORDS], *rest;
	size_t cap = 0;
	struct err e;

	while (getline(&line, &cap, stdin) > 0) {
		int argc = 0;

		for (char *w = strtok_r(line, " \t\r\n", &rest);
		     w && argc < WORDS; w = strtok_r(NULL, " \t\r\n", &rest))
			words[argc++] = w;
		if (argc == 0)
			continue;
		if (run(argc, words, &e) < 0)
			printf("error %s\n", e.text);
		else
			printf("ok\n");
		fflush(stdout);
	}
	free(line);
	return 0;
}

static int usage(void)
{
	fputs("usage: segment-publish [--mode OCTAL] [--grace MS] FILE "
	      "--stdin | COMMAND ARGUMENT...\n"
	      "commands: cert NAME --names a,b CHAIN.pem KEY.pem ...,\n"
	      "          remove NAME, token T KEYAUTH, untoken T,\n"
	      "          alpn NAME CERT.pem KEY.pem, unalpn NAME, dump\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct segment_opts opts = SEGMENT_OPTS;
	struct err e;
	int i = 1, rc;

	for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--mode"))
			opts.mode = (mode_t)strtoul(argv[i + 1], NULL, 8);
		else if (!strcmp(argv[i], "--grace"))
			opts.grace_ms = strtol(argv[i + 1], NULL, 10);
		else
			return usage();
	}
	if (argc - i < 2)
		return usage();
	rc = segment_open(argv[i], &opts, &segment, &e);
	if (rc == 0 && !strcmp(argv[i + 1], "--stdin"))
		rc = run_lines();
	else if (rc == 0)
		rc = run(argc - i - 1, argv + i + 1, &e);
	if (rc < 0)
		fprintf(stderr, "segment-publish: %s\n", e.text);
	segment_close(segment);
	return rc < 0;
}
