/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * Small allocations that never fail: out of memory ends the process with one
 * line (the service manager restarts it, orders resume). Sizes chosen by the
 * network or a plugin must have been bounded before they come here. All memory
 * is zeroed and freed with free().
 */
void *mem_alloc(size_t size);
void *mem_array(size_t count, size_t size);
/* realloc of an array; new items are not zeroed. */
void *mem_grow(void *ptr, size_t count, size_t size);
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
