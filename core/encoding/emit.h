/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_EMIT_H
#define PURSER_CORE_ENCODING_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "core/encoding/doc.h"
#include "core/encoding/text.h"

/*
 * Writes a reply without a tree, in the encoding that text->packed says: JSON or MessagePack. The
 * caller says what comes, in order; commas, headers and counts are this file's. A piece that does
 * not fit leaves the text `full`.
 */
enum { EMIT_DEPTH = DOC_DEPTH_OWN };

struct emit {
    struct text *t; /* borrowed */
    int depth;
    struct {
        size_t head; /* where the count of MessagePack goes */
        unsigned n;  /* entries so far */
        bool array;
    } level[EMIT_DEPTH];
};

static inline struct emit emit_over(struct text *t)
{
    return (struct emit){.t = t};
}
/* Containers; emit_end closes the innermost. A key must be plain ASCII. */
void emit_object(struct emit *e);
void emit_array(struct emit *e);
void emit_end(struct emit *e);
void emit_key_n(struct emit *e, const char *key, size_t n);
static inline void emit_key(struct emit *e, const char *key)
{
    emit_key_n(e, key, strlen(key)); /* of a constant: known to the compiler */
}
/* Values, of the key before or in an array. emit_real: in JSON as text_json_number; null if not
 * finite. emit_usd: nanodollars as dollars. emit_string as text_json_string. */
void emit_string(struct emit *e, const char *s);
void emit_real(struct emit *e, double v, int digits);
void emit_int(struct emit *e, int64_t v);
void emit_bool(struct emit *e, bool v);
void emit_usd(struct emit *e, int64_t nano);
/* emit_doc writes what was read. */
void emit_doc(struct emit *e, const struct doc_value *v);

#endif
