/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/ini.h"

/* Makes a snapshot's members out of what stands in the files; all memory comes
 * from `mem`. Whether it is any good is told by `errors`. */
void build_conf(struct conf *conf, const struct ini *ini, struct arena *mem,
                struct conf_errors *errors);
