/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary bytes as a Link header: parsing ends, and all that it gives lies
 * within the header. Each target is offered to url_check() as well, and the
 * whole to identifier_read(): three parsers of short text, none of which keeps
 * state.
 */
#include <stdint.h>
#include <stdlib.h>

#include "acme/identifier.h"
#include "acme/link.h"
#include "acme/url.h"

static void inside(struct str part, struct str whole)
{
	if (part.ptr < whole.ptr || part.len > whole.len ||
	    part.ptr + part.len > whole.ptr + whole.len)
		abort();
}

static void check_identifier(struct str text)
{
	char once[IDENTIFIER_SIZE], twice[IDENTIFIER_SIZE];
	struct err e;

	if (identifier_read(text, once, NULL, &e) < 0)
		return;
	/* what is normal stays as it is */
	if (identifier_read(str_of(once), twice, NULL, &e) < 0 ||
	    strcmp(once, twice) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str header = { (const char *)data, size }, rest = header;
	struct str found[4];
	struct link link;
	struct err e;

	while (link_next(&rest, &link)) {
		inside(link.target, header);
		inside(link.rel, header);
		link_has(&link, "alternate");
		if (url_check(link.target, 0, &e) == 0)
			inside(url_authority(link.target), header);
	}
	link_find(header, "up", found, 4);
	url_check(header, URL_HTTP, &e);
	check_identifier(header);
	return 0;
}
