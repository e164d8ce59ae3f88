/* SPDX-License-Identifier: MIT */
/*
 * MessagePack as we read it beside msgpack-c: what we take it takes, with the same values; what we
 * refuse is broken for it too, or is one of the things that messages must not have. What was read
 * is written and read again the same, in both encodings.
 */
#include "tests/fuzz/fuzz.h"

#include <msgpack.h>
#include <string.h>
#include "core/encoding/emit.h"

enum { CAP = 1 << 16 };
static const struct doc_bounds bounds = {
    .bytes = CAP, .item_bytes = CAP, .elements = CAP, .items = CAP};

/* Values of every width that there is. */
static void pack_seed(msgpack_packer *p, int i)
{
    static const int64_t edges[] = {0,     1,      127,       128,       255,        256,
                                    65535, 65536,  -1,        -32,       -33,        -128,
                                    -129,  -32768, -32769,    INT32_MAX, UINT32_MAX, INT32_MIN,
                                    1e10,  -1e10,  INT64_MAX, INT64_MIN};
    enum { EDGES = sizeof edges / sizeof *edges };
    static const char text[300] = "";
    char letters[300];
    memset(letters, 'a' + i % 26, sizeof letters);
    const size_t lengths[] = {0, 31, 32, 255, 256};
    msgpack_pack_map(p, 6);
    msgpack_pack_str_with_body(p, "int", 3);
    msgpack_pack_int64(p, edges[i % EDGES]);
    msgpack_pack_str_with_body(p, "s", 1);
    msgpack_pack_str_with_body(p, letters, lengths[i % 5]);
    msgpack_pack_str_with_body(p, "b", 1);
    msgpack_pack_bin_with_body(p, text, lengths[i % 5]);
    msgpack_pack_str_with_body(p, "a", 1);
    msgpack_pack_array(p, (size_t)(i % 20));
    for (int k = 0; k < i % 20; k++)
        msgpack_pack_float(p, (float)k / 3);
    msgpack_pack_str_with_body(p, "m", 1);
    msgpack_pack_map(p, (size_t)(i % 18));
    for (int k = 0; k < i % 18; k++) {
        const char key[] = {(char)('a' + k)};
        msgpack_pack_str_with_body(p, key, 1);
        msgpack_pack_double(p, 1e-3 * k);
    }
    msgpack_pack_str_with_body(p, "w", 1);
    if (i % 3 == 0)
        msgpack_pack_true(p);
    else if (i % 3 == 1)
        msgpack_pack_nil(p);
    else
        msgpack_pack_ext_with_body(p, "x", 1, 5);
}

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    msgpack_sbuffer b;
    msgpack_packer p;
    if (i >= 60)
        return 0;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&p, &b, msgpack_sbuffer_write);
    pack_seed(&p, i);
    size_t n = b.size <= cap ? b.size : 0;
    memcpy(out, b.data, n);
    msgpack_sbuffer_destroy(&b);
    return n;
}

static bool equal(const struct doc_value *v, const msgpack_object *o)
{
    const struct doc_value *in = v + 1;
    bool whole =
        o->type == MSGPACK_OBJECT_POSITIVE_INTEGER || o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
    switch (v->kind) {
    case DOC_OBJECT:
        if (o->type != MSGPACK_OBJECT_MAP || o->via.map.size != v->n)
            return false;
        for (uint32_t i = 0; i < v->n; i++, in = doc_next(in + 1))
            if (!equal(in, &o->via.map.ptr[i].key) || !equal(in + 1, &o->via.map.ptr[i].val))
                return false;
        return in == v + v->span;
    case DOC_ARRAY:
        if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != v->n)
            return false;
        for (uint32_t i = 0; i < v->n; i++, in = doc_next(in))
            if (!equal(in, &o->via.array.ptr[i]))
                return false;
        return in == v + v->span;
    case DOC_STRING:
        return o->type == MSGPACK_OBJECT_STR && o->via.str.size == v->n &&
               memcmp(o->via.str.ptr, v->text, v->n) == 0 && v->text[v->n] == '\0';
    case DOC_BYTES:
        return o->type == MSGPACK_OBJECT_BIN && o->via.bin.size == v->n &&
               memcmp(o->via.bin.ptr, v->text, v->n) == 0;
    case DOC_INT:
        return whole && o->via.i64 == v->integer;
    case DOC_REAL:
        return (o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64) &&
               memcmp(&o->via.f64, &v->real, sizeof v->real) == 0;
    case DOC_TRUE:
    case DOC_FALSE:
        return o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == (v->kind == DOC_TRUE);
    case DOC_NULL:
        return o->type == MSGPACK_OBJECT_NIL;
    }
    return false;
}

/* Whether it has what no message may have. */
static bool forbidden(const msgpack_object *o, int depth)
{
    if (depth > DOC_DEPTH_MAX || o->type == MSGPACK_OBJECT_EXT)
        return true;
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        return o->via.u64 > INT64_MAX;
    if (o->type == MSGPACK_OBJECT_FLOAT32 || o->type == MSGPACK_OBJECT_FLOAT64)
        return !(o->via.f64 - o->via.f64 == 0);
    if (o->type == MSGPACK_OBJECT_STR) { /* zeros, bad UTF-8: seen by having it mended */
        static char copy[CAP + 1];
        memcpy(copy, o->via.str.ptr, o->via.str.size);
        copy[o->via.str.size] = '\0';
        text_mend(copy);
        return strlen(copy) != o->via.str.size ||
               memcmp(copy, o->via.str.ptr, o->via.str.size) != 0;
    }
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_ARRAY && i < o->via.array.size; i++)
        if (forbidden(&o->via.array.ptr[i], depth + 1))
            return true;
    for (uint32_t i = 0; o->type == MSGPACK_OBJECT_MAP && i < o->via.map.size; i++) {
        const msgpack_object_kv *a = &o->via.map.ptr[i];
        if (a->key.type != MSGPACK_OBJECT_STR || forbidden(&a->key, depth + 1) ||
            forbidden(&a->val, depth + 1))
            return true;
        for (uint32_t k = 0; k < i; k++)
            if (msgpack_object_equal(o->via.map.ptr[k].key, a->key))
                return true;
    }
    return false;
}

/* A header can promise more than msgpack-c may be asked to make room for. */
static bool promises_too_much(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i + 4 < n; i++)
        if ((bytes[i] == 0xdd || bytes[i] == 0xdf) && (bytes[i + 1] || bytes[i + 2]))
            return true;
    return false;
}

static void again(const struct doc *d, bool packed)
{
    static char first[4 * CAP], second[4 * CAP];
    struct text a = text_over(first, sizeof first), b = text_over(second, sizeof second);
    struct doc read;
    a.packed = b.packed = packed;
    struct emit e = emit_over(&a), f = emit_over(&b);
    emit_doc(&e, d->value);
    PROMISE(!a.full && doc_open_own(&read, a.at, a.len) == STATUS_OK);
    emit_doc(&f, read.value);
    doc_close(&read);
    PROMISE(a.len == b.len && memcmp(a.at, b.at, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct doc d;
    struct problem p = {0};
    msgpack_unpacked theirs;
    size_t used = 0;
    if (!doc_is_packed(bytes, n) || n > CAP)
        return 0;
    bool ours = doc_open(&d, bytes, n, &bounds, &p) == STATUS_OK;
    PROMISE(ours == (p.text[0] == '\0'));
    if (promises_too_much(bytes, n)) {
        if (ours)
            doc_close(&d);
        return 0;
    }
    msgpack_unpacked_init(&theirs);
    bool whole =
        msgpack_unpack_next(&theirs, (const char *)bytes, n, &used) == MSGPACK_UNPACK_SUCCESS &&
        used == n;
    if (ours) {
        PROMISE(whole && equal(d.value, &theirs.data) && !forbidden(&theirs.data, 1));
        again(&d, true);
        again(&d, false);
        doc_close(&d);
    } else {
        PROMISE(!whole || forbidden(&theirs.data, 0) || p.code == STATUS_TOO_LARGE);
    }
    msgpack_unpacked_destroy(&theirs);
    return 0;
}
