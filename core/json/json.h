/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * JSON from strangers, over jansson: bounded, strict, and with errors that name
 * the field. Errors are ERR_INVALID and never quote values, which may be
 * secret. What the accessors give is borrowed from the document and lives as
 * long as it does. Strings are NUL-terminated, UTF-8, without NUL inside. What
 * jansson frees is overwritten first: documents may hold private keys.
 */
enum {
	JSON_SIZE_MAX = 1 << 20, /* bytes of a document */
	JSON_DEPTH_MAX = 32,     /* objects and arrays within each other */
};

/* Parses one object or array with nothing behind it. Duplicate keys, invalid
 * UTF-8 and excess of size or depth are refused: "line 3 column 9: ...".
 * *out is the caller's to json_decref(); NULL after an error. */
int json_read(struct str text, json_t **out, struct err *e);
/* The same with another bound, for what the machine's owner says. */
int json_read_within(struct str text, size_t max, json_t **out, struct err *e);

/* Appends the compact text, keys in the order of insertion. ERR_NOSPACE when
 * `out` is full, ERR_INVALID when `value` is NULL (so that the result of a
 * failed json_pack may be passed as it is). */
int json_text(const json_t *value, struct buf *out, struct err *e);

/* A text of ours as a string, whatever is in it: bytes that are not UTF-8 (a path,
 * an error that was cut within a character) become "?". */
json_t *json_lossy(const char *text);

/* Members of an object, of one type, present. `max` bounds the length in
 * bytes, or the count of items. `obj` must be an object or an error tells. */
int json_get_str(const json_t *obj, const char *key, size_t max,
                 const char **out, struct err *e);
int json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *e);
int json_get_bool(const json_t *obj, const char *key, bool *out, struct err *e);
int json_get_object(const json_t *obj, const char *key, const json_t **out,
                    struct err *e);
int json_get_array(const json_t *obj, const char *key, size_t max,
                   const json_t **out, struct err *e);

/* The same, but absent and null give NULL, or `none`, and success. A member
 * of the wrong type is still an error. */
int json_opt_str(const json_t *obj, const char *key, size_t max,
                 const char **out, struct err *e);
int json_opt_int(const json_t *obj, const char *key, int64_t none, int64_t min,
                 int64_t max, int64_t *out, struct err *e);
int json_opt_bool(const json_t *obj, const char *key, bool none, bool *out,
                  struct err *e);
int json_opt_object(const json_t *obj, const char *key, const json_t **out,
                    struct err *e);
int json_opt_array(const json_t *obj, const char *key, size_t max,
                   const json_t **out, struct err *e);

/* Items of an array (json_array_size counts them); errors say "item 3". */
int json_item_str(const json_t *array, size_t index, size_t max,
                  const char **out, struct err *e);
int json_item_object(const json_t *array, size_t index, const json_t **out,
                     struct err *e);
