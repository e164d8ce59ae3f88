/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_DOC_H
#define PURSER_CORE_ENCODING_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/status.h"

/*
 * A message, read: its values in the order of its bytes, one after the other in one array, whatever
 * encoding it came in. An object is followed by key, value, key, value; span leads from a value to
 * its neighbour. So reading a message allocates twice, and walking it touches memory in order.
 */
enum doc_kind {
    DOC_NULL,
    DOC_FALSE,
    DOC_TRUE,
    DOC_INT,
    DOC_REAL, /* finite */
    DOC_STRING,
    DOC_BYTES, /* binary, which JSON has not */
    DOC_ARRAY,
    DOC_OBJECT
};

struct doc_value {
    enum doc_kind kind;
    uint32_t n;    /* bytes of a string or binary; entries of an array, members of an object */
    uint32_t span; /* values up to the next that is not inside */
    union {
        int64_t integer;
        double real;
        const char *text; /* valid UTF-8 without zeros, terminated; of binary just the bytes */
    };
};

struct doc {
    struct doc_value *value; /* value[0] is the top object; NULL when closed */
    uint32_t n, cap;
    char *text; /* of all strings */
    size_t text_n;
};

/* Bounds that a document must keep. An item is an object in an array directly under the top object:
 * what a batch consists of; a document without such is one item. */
struct doc_bounds {
    size_t bytes;      /* of the whole */
    size_t item_bytes; /* of one item */
    size_t elements;   /* containers and separators in one item */
    int items;
};

enum {
    DOC_DEPTH_MAX = 8,
    DOC_DEPTH_OWN = 16, /* of replies; emit.h writes no more */
    DOC_FOUND_CAP = 48
};

/* doc_open reads a document, JSON or MessagePack, whose top is an object. Strict: no duplicate
 * keys, nothing behind it. Errors never quote it; on error nothing needs closing. doc_close frees;
 * accepts a closed one. */
MUST_CHECK enum status doc_open(struct doc *d, const void *bytes, size_t n,
                                const struct doc_bounds *bounds, struct problem *problem);
void doc_close(struct doc *d);
/* doc_is_packed tells whether bytes are taken for MessagePack: they begin with a map of it, which
 * no JSON does. doc_open_own reads what this program has written, without bounds but on depth. */
bool doc_is_packed(const void *bytes, size_t n);
MUST_CHECK enum status doc_open_own(struct doc *d, const void *bytes, size_t n);

/* doc_get gives an object's member, doc_at an array's entry; NULL if there is none, or v is NULL or
 * no such thing. doc_next gives the neighbour: of a key its value. */
const struct doc_value *doc_get(const struct doc_value *v, const char *key);
const struct doc_value *doc_at(const struct doc_value *v, size_t i);
static inline const struct doc_value *doc_next(const struct doc_value *v)
{
    return v + v->span;
}
static inline bool doc_is(const struct doc_value *v, enum doc_kind kind)
{
    return v && v->kind == kind;
}
static inline bool doc_is_number(const struct doc_value *v)
{
    return v && (v->kind == DOC_INT || v->kind == DOC_REAL);
}
static inline double doc_number(const struct doc_value *v) /* 0 if it is none */
{
    return !v ? 0 : v->kind == DOC_INT ? (double)v->integer : v->kind == DOC_REAL ? v->real : 0;
}
/* doc_size gives the entries of an array, 0 of anything else. */
static inline size_t doc_size(const struct doc_value *v)
{
    return doc_is(v, DOC_ARRAY) ? v->n : 0;
}
/* doc_found tells what kind of value was found, without quoting a string: it may be a prompt. */
const char *doc_found(char out[DOC_FOUND_CAP], const struct doc_value *v);

#endif
