/* SPDX-License-Identifier: MIT */
/*
 * Trees to MessagePack and back. The tree is how the client's parts speak to each other whatever
 * goes over the line; only an embedding, which would cost a heap object for each number, goes
 * beside it.
 */
#include "transport/client/client_pack.h"

#include <msgpack.h>
#include <stdint.h>
#include <string.h>

static void pack_text(msgpack_packer *p, const char *s)
{
    msgpack_pack_str_with_body(p, s, strlen(s));
}

static void pack_value(msgpack_packer *p, const json_t *v);

static void pack_members(msgpack_packer *p, const json_t *object)
{
    /* jansson's iterators take no const, though nothing is changed. */
    json_t *o = (json_t *)(uintptr_t)object;
    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        pack_text(p, json_object_iter_key(i));
        pack_value(p, json_object_iter_value(i));
    }
}

static void pack_value(msgpack_packer *p, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        msgpack_pack_map(p, json_object_size(v));
        pack_members(p, v);
        break;
    case JSON_ARRAY:
        msgpack_pack_array(p, json_array_size(v));
        for (size_t i = 0; i < json_array_size(v); i++)
            pack_value(p, json_array_get(v, i));
        break;
    case JSON_STRING:
        msgpack_pack_str_with_body(p, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(p, json_integer_value(v));
        break;
    case JSON_REAL:
        msgpack_pack_double(p, json_real_value(v));
        break;
    case JSON_TRUE:
        msgpack_pack_true(p);
        break;
    case JSON_FALSE:
        msgpack_pack_false(p);
        break;
    case JSON_NULL:
        msgpack_pack_nil(p);
        break;
    }
}

/* Little-endian, whatever this machine is. */
static void pack_floats(msgpack_packer *p, const float *x, size_t n)
{
    msgpack_pack_bin(p, 4 * n);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, x + i, sizeof word);
        const unsigned char b[] = {(unsigned char)word, (unsigned char)(word >> 8),
                                   (unsigned char)(word >> 16), (unsigned char)(word >> 24)};
        msgpack_pack_bin_body(p, b, sizeof b);
    }
}

/* A write that fails leaves the buffer as it was; so count what should be there. */
struct sink {
    msgpack_sbuffer buffer;
    int failed;
};

static int sink_write(void *data, const char *bytes, size_t n)
{
    struct sink *s = data;
    if (!s->failed && msgpack_sbuffer_write(&s->buffer, bytes, n) != 0)
        s->failed = 1;
    return s->failed ? -1 : 0;
}

char *client_pack(const json_t *root, const float *embedding, size_t n, size_t *length)
{
    struct sink s = {.failed = 0};
    msgpack_packer p;
    msgpack_sbuffer_init(&s.buffer);
    msgpack_packer_init(&p, &s, sink_write);
    msgpack_pack_map(&p, json_object_size(root) + (n > 0));
    pack_members(&p, root);
    if (n > 0) {
        pack_text(&p, "embedding");
        pack_floats(&p, embedding, n);
    }
    *length = s.buffer.size;
    char *bytes = s.failed ? NULL : msgpack_sbuffer_release(&s.buffer);
    msgpack_sbuffer_destroy(&s.buffer);
    return bytes;
}

static json_t *tree(const msgpack_object *o);

static json_t *object_tree(const msgpack_object_map *m)
{
    json_t *object = json_object();
    for (uint32_t i = 0; object && i < m->size; i++) {
        const msgpack_object *key = &m->ptr[i].key;
        if (key->type != MSGPACK_OBJECT_STR ||
            json_object_setn_new(object, key->via.str.ptr, key->via.str.size,
                                 tree(&m->ptr[i].val)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *array_tree(const msgpack_object_array *a)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array && i < a->size; i++) {
        if (json_array_append_new(array, tree(&a->ptr[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *tree(const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_MAP:
        return object_tree(&o->via.map);
    case MSGPACK_OBJECT_ARRAY:
        return array_tree(&o->via.array);
    case MSGPACK_OBJECT_STR:
        return json_stringn(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return json_integer(o->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return json_real(o->via.f64);
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(o->via.boolean);
    case MSGPACK_OBJECT_NIL:
        return json_null();
    case MSGPACK_OBJECT_BIN:
    case MSGPACK_OBJECT_EXT:
        break;
    }
    return NULL;
}

json_t *client_unpack(const void *bytes, size_t n)
{
    msgpack_unpacked u;
    size_t used = 0;
    msgpack_unpacked_init(&u);
    bool whole = msgpack_unpack_next(&u, bytes, n, &used) == MSGPACK_UNPACK_SUCCESS && used == n;
    json_t *root = whole ? tree(&u.data) : NULL;
    msgpack_unpacked_destroy(&u);
    return root;
}
