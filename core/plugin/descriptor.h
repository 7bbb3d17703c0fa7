/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <acme/plugin.h>

#include "base/err.h"
#include "plugin/plugin.h"

/* Copies the smaller of both sizes into a zeroed *dst of `size` bytes and sets
 * its own size to what was copied. `src` begins with its uint32_t size. */
void descriptor_copy(void *dst, size_t size, const void *src);

/* "[a-z0-9-]", 1 to 63 bytes. */
int descriptor_name_ok(const char *name);

/* Takes over what another side's descriptor says, checked, into memory that is
 * never freed. ERR_INVALID for another ABI version, ERR_BROKEN for the rest;
 * texts without the plugin's name. */
int descriptor_take(const acme_plugin *theirs, const char *name,
		    struct plugin *out, struct err *e);

/* Frees what a failed or unused descriptor_take left. */
void descriptor_drop(struct plugin *p);
