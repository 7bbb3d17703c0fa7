/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"

/* Writes one small file whole, off the loop; of several saves in a row the last
 * one counts. */
struct saver;

struct saver *saver_new(struct loop *loop, const struct log *log,
                        const char *path);
void saver_save(struct saver *s, struct str text);
/* Writes what is still to be written. */
void saver_free(struct saver *s);
