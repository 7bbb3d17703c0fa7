/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include <acme/abi.h>

/* A path below the store for any key: 512 bytes, each at most "%XX". */
enum { KEY_PATH = 1600, KEY_NAME = 255 };

/* Key to path below the store. -1 if it is no key, or a component gets longer
 * than a file name may be. */
int key_path(acme_str key, char out[KEY_PATH]);

/* The whole key as one file name, with "/" escaped. */
int key_name(acme_str key, char out[KEY_NAME + 1]);

/* Path to key; at most as long as the path. -1 if no key has this path. */
int key_of_path(const char *path, char out[KEY_PATH]);

/* Is this file name the one of some component? */
int key_is_name(const char *name);
