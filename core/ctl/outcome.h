/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/ctl.h"

/* Asks for an order and prints what became of it; takes `params`. */
enum ctl_exit outcome_ask(const struct ctl *ctl, const char *method,
			  json_t *params);
