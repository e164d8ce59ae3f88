/* SPDX-License-Identifier: MIT */
/*
 * The two encodings of replies. MessagePack wants counts before what is counted; where they are not
 * known, a header of the fixed length 3 is written and its count filled in at the end. Values are
 * written in place: msgpack-c's packer hands over each in pieces, which costs a reply 0.2 us.
 */
#include "core/encoding/emit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A head byte and the n low bytes of word, the highest first. */
static void pack_word(struct emit *e, unsigned char head, uint64_t word, int n)
{
    char *at = text_room(e->t, (size_t)n + 1);
    if (!at)
        return;
    at[0] = (char)head;
    for (int i = 1; i <= n; i++)
        at[i] = (char)(word >> 8 * (n - i));
}

/* An entry of the innermost array, or the value of a key, begins. */
static void begin_value(struct emit *e)
{
    if (e->depth == 0 || !e->level[e->depth - 1].array)
        return;
    if (e->level[e->depth - 1].n++ > 0 && !e->t->packed)
        text_put_n(e->t, ",", 1);
}

static void open(struct emit *e, bool array)
{
    begin_value(e);
    assert(e->depth < EMIT_DEPTH);
    e->level[e->depth].head = e->t->len;
    e->level[e->depth].n = 0;
    e->level[e->depth].array = array;
    e->depth++;
    if (e->t->packed)
        text_put_n(e->t, array ? "\xdc\0\0" : "\xde\0\0", 3);
    else
        text_put_n(e->t, array ? "[" : "{", 1);
}

void emit_object(struct emit *e)
{
    open(e, false);
}

void emit_array(struct emit *e)
{
    open(e, true);
}

void emit_end(struct emit *e)
{
    assert(e->depth > 0);
    e->depth--;
    size_t head = e->level[e->depth].head;
    unsigned n = e->level[e->depth].n;
    if (!e->t->packed) {
        text_put_n(e->t, e->level[e->depth].array ? "]" : "}", 1);
    } else if (!e->t->full) {
        e->t->at[head + 1] = (char)(n >> 8);
        e->t->at[head + 2] = (char)n;
    }
}

/* A string; gives where its bytes begin. Short ones, which nearly all are, go in one piece. */
static size_t pack_bytes(struct emit *e, const char *s, size_t n)
{
    char *at = n < 32 ? text_room(e->t, n + 1) : NULL;
    if (at) {
        at[0] = (char)(0xa0 | n);
        memcpy(at + 1, s, n);
    } else {
        pack_word(e, 0xdb, n, 4);
        text_put_n(e->t, s, n);
    }
    return e->t->len - n;
}

static void pack_real(struct emit *e, double v)
{
    uint64_t word;
    memcpy(&word, &v, sizeof word);
    if (isfinite(v))
        pack_word(e, 0xcb, word, 8);
    else
        text_put_n(e->t, "\xc0", 1);
}

static void pack_int(struct emit *e, int64_t v)
{
    if (v >= -32 && v < 128)
        pack_word(e, (unsigned char)v, 0, 0);
    else
        pack_word(e, 0xd3, (uint64_t)v, 8);
}

/* What is no UTF-8 must not be said to be: a question mark takes the place of each such byte. */
static void mend(struct text *t, size_t start)
{
    if (!t->full)
        text_mend(t->at + start);
}

void emit_key_n(struct emit *e, const char *key, size_t n)
{
    bool first = e->level[e->depth - 1].n++ == 0;
    if (e->t->packed) {
        pack_bytes(e, key, n);
        return;
    }
    char *at = text_room(e->t, n + 4 - first);
    if (!at)
        return;
    *at = ',';
    at += !first;
    at[0] = at[n + 1] = '"';
    memcpy(at + 1, key, n);
    at[n + 2] = ':';
}

/* A key that may need escaping, or be long. */
static void emit_any_key(struct emit *e, const char *key, size_t n)
{
    bool first = e->level[e->depth - 1].n == 0;
    if (e->t->packed) {
        emit_key_n(e, key, n);
        return;
    }
    e->level[e->depth - 1].n++;
    text_put(e->t, first ? "" : ",");
    text_json_string(e->t, key);
    text_put(e->t, ":");
}

void emit_string(struct emit *e, const char *s)
{
    begin_value(e);
    if (e->t->packed)
        mend(e->t, pack_bytes(e, s, strlen(s)));
    else
        text_json_string(e->t, s);
}

void emit_real(struct emit *e, double v, int digits)
{
    begin_value(e);
    if (e->t->packed)
        pack_real(e, v);
    else
        text_json_number(e->t, v, digits);
}

void emit_int(struct emit *e, int64_t v)
{
    begin_value(e);
    if (e->t->packed)
        pack_int(e, v);
    else
        text_int(e->t, v);
}

void emit_bool(struct emit *e, bool v)
{
    begin_value(e);
    if (e->t->packed)
        text_put_n(e->t, v ? "\xc3" : "\xc2", 1);
    else
        text_put(e->t, v ? "true" : "false");
}

void emit_usd(struct emit *e, int64_t nano)
{
    begin_value(e);
    if (e->t->packed)
        pack_real(e, (double)nano / 1e9);
    else
        text_usd(e->t, nano);
}

static void emit_null(struct emit *e)
{
    begin_value(e);
    text_put(e->t, e->t->packed ? "\xc0" : "null");
}

void emit_doc(struct emit *e, const struct doc_value *v)
{
    const struct doc_value *in = v + 1;
    switch (v->kind) {
    case DOC_OBJECT:
    case DOC_ARRAY:
        open(e, v->kind == DOC_ARRAY);
        for (uint32_t i = 0; i < v->n; i++, in = doc_next(in)) {
            if (v->kind == DOC_OBJECT) {
                emit_any_key(e, in->text, in->n);
                in++;
            }
            emit_doc(e, in);
        }
        emit_end(e);
        break;
    case DOC_STRING:
        emit_string(e, v->text);
        break;
    case DOC_INT:
        emit_int(e, v->integer);
        break;
    case DOC_REAL:
        emit_real(e, v->real, 17);
        break;
    case DOC_TRUE:
    case DOC_FALSE:
        emit_bool(e, v->kind == DOC_TRUE);
        break;
    case DOC_BYTES: /* nothing of ours has it */
    case DOC_NULL:
        emit_null(e);
        break;
    }
}
