/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as each of the CA's documents. What is read keeps the
 * promises that flows rely upon: URLs checked, tokens safe, needed members
 * there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "acme/account_doc.h"
#include "acme/authz_doc.h"
#include "acme/directory_doc.h"
#include "acme/order_doc.h"
#include "acme/renewal_info_doc.h"
#include "acme/url.h"

static void must(int good)
{
	if (!good)
		abort();
}

static void check_order(const struct order_doc *doc)
{
	struct err e;

	for (size_t i = 0; i < doc->authorization_count; i++)
		must(url_check(str_of(doc->authorizations[i]), 0, &e) == 0);
	for (size_t i = 0; i < doc->identifier_count; i++)
		must(doc->identifiers[i].value != NULL);
	must(doc->status != ORDER_STATUS_VALID || doc->certificate);
	must(doc->status != ORDER_STATUS_READY || doc->finalize);
	must(!doc->error || doc->error->code < 0);
}

static void check_challenge(const struct challenge_doc *c)
{
	must(c->type && c->url);
	must(c->token || strcmp(c->type, "http-01") != 0);
	must(!c->token || !strpbrk(c->token, "./\\ \n"));
}

static void read_all(struct str body, struct arena *mem)
{
	struct renewal_info_doc info;
	struct challenge_doc challenge;
	struct directory_doc directory;
	struct account_doc account;
	struct order_doc order;
	struct authz_doc authz;
	struct err e;

	if (order_doc_read(body, 0, mem, &order, &e) == 0)
		check_order(&order);
	if (authz_doc_read(body, 0, mem, &authz, &e) == 0)
		for (size_t i = 0; i < authz.challenge_count; i++)
			check_challenge(&authz.challenges[i]);
	if (challenge_doc_read(body, 0, mem, &challenge, &e) == 0)
		check_challenge(&challenge);
	if (directory_doc_read(body, 0, mem, &directory, &e) == 0)
		must(directory.new_nonce && directory.new_account &&
		     directory.new_order);
	if (account_doc_read(body, mem, &account, &e) == 0)
		must(account.contact_count == 0 || account.contacts[0]);
	if (renewal_info_doc_read(body, mem, &info, &e) == 0)
		must(info.start < info.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_INIT(256 * 1024), tiny = ARENA_INIT(200);
	struct str body = { (const char *)data, size };

	read_all(body, &mem);
	read_all(body, &tiny);
	arena_reset(&mem);
	arena_reset(&tiny);
	return 0;
}
