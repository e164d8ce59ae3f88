/* SPDX-License-Identifier: MIT */
/*
 * The two encodings of replies. MessagePack wants counts before what is counted; where they are not
 * known, a header of the fixed length 3 is written and its count filled in at the end.
 */
#include "core/emit.h"

#include <assert.h>
#include <math.h>
#include <msgpack/pack.h>

static int put(void *t, const char *bytes, size_t n)
{
    text_put_n(t, bytes, n);
    return 0;
}

static msgpack_packer packer(struct emit *e)
{
    return (msgpack_packer){.data = e->t, .callback = put};
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

void emit_key_n(struct emit *e, const char *key, size_t n)
{
    bool first = e->level[e->depth - 1].n++ == 0;
    if (e->t->packed) {
        msgpack_packer p = packer(e);
        msgpack_pack_str_with_body(&p, key, n);
        return;
    }
    char quoted[40];
    assert(n + 4 < sizeof quoted);
    memcpy(quoted, ",\"", 2);
    memcpy(quoted + 2, key, n);
    memcpy(quoted + 2 + n, "\":", 2);
    text_put_n(e->t, quoted + first, n + 4 - first);
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

/* Gives n bytes, with a question mark for each that is no UTF-8. */
static void pack_string(struct emit *e, const char *s)
{
    msgpack_packer p = packer(e);
    size_t n = strlen(s), start;
    msgpack_pack_str(&p, n);
    start = e->t->len;
    text_put_n(e->t, s, n);
    if (!e->t->full)
        text_mend(e->t->at + start);
}

void emit_string(struct emit *e, const char *s)
{
    begin_value(e);
    if (e->t->packed)
        pack_string(e, s);
    else
        text_json_string(e->t, s);
}

void emit_real(struct emit *e, double v, int digits)
{
    begin_value(e);
    msgpack_packer p = packer(e);
    if (!e->t->packed)
        text_json_number(e->t, v, digits);
    else if (isfinite(v))
        msgpack_pack_double(&p, v);
    else
        msgpack_pack_nil(&p);
}

void emit_int(struct emit *e, int64_t v)
{
    begin_value(e);
    msgpack_packer p = packer(e);
    if (e->t->packed)
        msgpack_pack_int64(&p, v);
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
    msgpack_packer p = packer(e);
    if (e->t->packed)
        msgpack_pack_double(&p, (double)nano / 1e9);
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
