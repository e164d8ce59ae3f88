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
