/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Inside core/plugin only: what is behind `struct plugins`. */
#include "base/log.h"
#include "plugin/plugin.h"

struct loaded {
	struct loaded *next;
	struct plugin plugin;
};

struct plugins {
	struct loop *loop;
	struct http_client *http;
	struct log log;
	uid_t owner;
	char *dir;
	struct loaded *loaded;
};
