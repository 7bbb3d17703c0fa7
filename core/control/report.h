/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "renew/renew.h"

/*
 * The state of things as JSON (docs/control.md, "status"): facts of the
 * inventory and the issuers, without a secret among them. New references.
 */
json_t *report_item(const struct renew *renew, const struct item *item);
/* All wanted certificates, and those that are served though nobody asks for
 * them any more. */
json_t *report_certificates(const struct renew *renew);
json_t *report_issuers(const struct renew *renew);
/* {"class","problem","text","at"}; null without an error. */
json_t *report_error(const struct err *e, int64_t at);
/* RFC 3339, null for 0. */
json_t *report_time(int64_t wall_ms);
/* What an event says about a certificate's key type. */
json_t *report_event(const struct leg *leg, const struct err *e);
