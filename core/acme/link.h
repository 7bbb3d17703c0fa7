/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * Link headers (RFC 8288), as far as ACME uses them: rel="alternate" (other
 * chains), "up" (issuer, authorization), "terms-of-service", "index". What does
 * not parse is skipped; everything is borrowed from the header's value.
 */
struct link {
	struct str target; /* between < and >; not checked: see url_check() */
	struct str rel;    /* may hold several, separated by blanks */
};

/* Takes the next link from the front of `rest`, which begins as the value of
 * one Link field (several may be joined by commas). False at the end. */
bool link_next(struct str *rest, struct link *out);

/* Has it this relation? Any case. */
bool link_has(const struct link *link, const char *rel);

/* Writes up to `max` targets with this relation; returns how many. */
size_t link_find(struct str header, const char *rel, struct str *out,
                 size_t max);
