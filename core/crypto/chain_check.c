/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a chain may be served. This is not path validation: which roots are
 * trusted is the business of clients, and a private CA's root is known to them
 * alone. What is proven is that the CA made what we asked for, for our key,
 * that it is in its time, and that the certificates form a chain in the order
 * in which TLS sends them.
 *
 * The cheap questions come first, signatures last.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/now.h"
#include "crypto/chain_certs.h"
#include "crypto/ossl.h"

enum { AHEAD_MAX = 60 * 60 * 1000 };

static int check_key(const struct chain *c, const struct key *key,
                     struct err *e)
{
	const EVP_PKEY *pkey = X509_get0_pubkey(c->certs[0].x509);
	int same = !key || (pkey && EVP_PKEY_eq(pkey, ossl_pkey(key)) == 1);

	ERR_clear_error();
	if (same)
		return 0;
	return err_set(e, ERR_INVALID, "certificate is for another key");
}

static int by_text(const void *a, const void *b)
{
	const struct str *s = a, *t = b;
	size_t len = s->len < t->len ? s->len : t->len;
	int order = len ? strncasecmp(s->ptr, t->ptr, len) : 0;

	return order ? order : (s->len > t->len) - (s->len < t->len);
}

/* Both sides sorted and walked together; equal neighbours count once. */
static int compare_names(const struct str *wanted, size_t wanted_count,
                         const struct str *have, size_t have_count,
                         struct err *e)
{
	size_t i = 0, j = 0;

	while (i < wanted_count || j < have_count) {
		int order = i == wanted_count ? 1
		            : j == have_count ? -1
		                              : by_text(&wanted[i], &have[j]);
		if (order < 0)
			return err_set(e, ERR_INVALID,
			               "certificate lacks the name %.*s",
			               STR_ARG(wanted[i]));
		if (order > 0)
			return err_set(e, ERR_INVALID,
			               "certificate has the name %.*s, which "
			               "was not asked for",
			               STR_ARG(have[j]));
		for (i++; i < wanted_count &&
		          by_text(&wanted[i - 1], &wanted[i]) == 0;)
			i++;
		for (j++;
		     j < have_count && by_text(&have[j - 1], &have[j]) == 0;)
			j++;
	}
	return 0;
}

static int check_names(const struct chain *c, const struct str *names,
                       size_t count, struct err *e)
{
	size_t have_count = c->facts.san_count;
	struct str *both;

	if (count == 0)
		return 0;
	both = mem_array(count + have_count, sizeof *both);
	memcpy(both, names, count * sizeof *both);
	for (size_t i = 0; i < have_count; i++)
		both[count + i] = str_of(c->facts.sans[i]);
	qsort(both, count, sizeof *both, by_text);
	qsort(both + count, have_count, sizeof *both, by_text);
	int rc = compare_names(both, count, both + count, have_count, e);
	free(both);
	return rc;
}

static int check_dates(const struct chain *c, int64_t now_ms, struct err *e)
{
	const struct chain_facts *f = &c->facts;
	int64_t not_before, not_after;
	char text[NOW_TEXT];

	if (f->not_after <= now_ms)
		return err_set(e, ERR_INVALID, "certificate expired at %s",
		               now_text(f->not_after, 0, text));
	if (f->not_before > now_ms + AHEAD_MAX)
		return err_set(e, ERR_INVALID,
		               "certificate is not valid before %s; is our "
		               "clock right?",
		               now_text(f->not_before, 0, text));
	if (c->count < 2)
		return 0;
	if (chain_dates(c->certs[1].x509, &not_before, &not_after) < 0)
		return ossl_fail(e, ERR_INVALID, "dates of the issuer");
	if (not_after <= now_ms)
		return err_set(e, ERR_INVALID, "issuer %.100s expired at %s",
		               f->issuer_cn, now_text(not_after, 0, text));
	return 0;
}

/* Is certificate n signed by certificate n+1? */
static int check_link(const struct chain *c, size_t n, struct err *e)
{
	X509 *subject = c->certs[n].x509, *issuer = c->certs[n + 1].x509;
	EVP_PKEY *pkey = X509_get0_pubkey(issuer);
	int why = X509_check_issued(issuer, subject);

	if (why == X509_V_OK && X509_check_ca(issuer) != 1)
		why = X509_V_ERR_INVALID_CA;
	ERR_clear_error();
	if (why != X509_V_OK)
		return err_set(e, ERR_INVALID,
		               "certificate %zu was not issued by certificate "
		               "%zu: %s",
		               n + 1, n + 2,
		               X509_verify_cert_error_string(why));
	int good = pkey && X509_verify(subject, pkey) == 1;
	ERR_clear_error();
	if (!good)
		return err_set(e, ERR_INVALID,
		               "signature of certificate %zu by certificate "
		               "%zu is wrong",
		               n + 1, n + 2);
	return 0;
}

static int check_links(const struct chain *c, struct err *e)
{
	int rc = 0;

	if (X509_check_ca(c->certs[0].x509) == 1)
		return err_set(e, ERR_INVALID,
		               "first certificate is that of a CA");
	for (size_t n = 0; rc == 0 && n + 1 < c->count; n++)
		rc = check_link(c, n, e);
	return rc;
}

int chain_check(const struct chain *c, const struct key *key,
                const struct str *names, size_t count, int64_t now_ms,
                struct err *e)
{
	int rc = check_key(c, key, e);

	rc = rc ? rc : check_names(c, names, count, e);
	rc = rc ? rc : check_dates(c, now_ms, e);
	return rc ? rc : check_links(c, e);
}
