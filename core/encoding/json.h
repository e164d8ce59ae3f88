/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_JSON_H
#define PURSER_CORE_ENCODING_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "core/encoding/doc.h"
#include "core/status.h"

/* What readers of JSON share, here and in the simulator: only files that read JSON include this. */

/* A place in a document, as a chain from the inside out; rendered only when something is wrong.
 * key NULL: an array's entry. */
struct json_at {
    const struct json_at *up; /* NULL = the whole document */
    const char *key;
    int index;
};

enum { QUOTE_CAP = 40, FOUND_CAP = DOC_FOUND_CAP };

/* json_open is doc_open with jansson's tree as its result (json_decref frees it). json_tree makes
 * one of a value, NULL when memory is short; json_view looks at a value of a tree (borrows it; of a
 * container only its kind and size). */
MUST_CHECK enum status json_open(const void *bytes, size_t n, const struct doc_bounds *bounds,
                                 json_t **root, struct problem *problem);

json_t *json_tree(const struct doc_value *v);
struct doc_value json_view(const json_t *v);

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
