/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_JSON_H
#define PURSER_CORE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/status.h"

/* What readers of JSON share, here and in the simulator: only files that read JSON include this. */

/* Bounds that a document must keep before it is parsed. An item is an object in an array directly
 * under the top object: what a batch consists of; a document without such is one item. */
struct json_bounds {
    size_t bytes;      /* of the whole */
    size_t item_bytes; /* of one item */
    size_t elements;   /* containers and separators in one item */
    int items;
};

/* A place in a document, as a chain from the inside out; rendered only when something is wrong.
 * key NULL: an array's entry. */
struct json_at {
    const struct json_at *up; /* NULL = the whole document */
    const char *key;
    int index;
};

enum { JSON_DEPTH_MAX = 8, QUOTE_CAP = 40, FOUND_CAP = 48 };

/* json_open gives the document's top object (json_decref frees it). Strict: no duplicate keys, no
 * other top value, nothing behind it. Errors never quote the document. */
MUST_CHECK enum status json_open(const void *bytes, size_t n, const struct json_bounds *bounds,
                                 json_t **root, struct problem *problem);

/* json_fail sets the problem for a place (NULL = the whole document) and gives s back. */
enum status json_fail(struct problem *problem, enum status s, const struct json_at *at,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* json_quote copies a key or a configured name for a message: printable ASCII, truncated. */
const char *json_quote(char out[QUOTE_CAP], const char *s);
/* json_found tells what kind of value was found, without quoting a string: it may be a prompt. */
const char *json_found(char out[FOUND_CAP], const json_t *v);
/* json_name_ok tells whether s is an identifier: [A-Za-z0-9._:/@-]{1,64}. */
bool json_name_ok(const char *s);

#endif
