/* SPDX-License-Identifier: MIT */
/*
 * Trees of jansson's for those who change documents or keep them: configuration, control, files.
 * The bytes are read in doc.c, as requests are; so what is valid is decided in one place.
 */
#include "core/encoding/json.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "core/limits.h"

static json_t *object_tree(const struct doc_value *v)
{
    json_t *tree = json_object();
    const struct doc_value *key = v + 1;
    for (uint32_t i = 0; tree && i < v->n; i++, key = doc_next(key + 1)) {
        if (json_object_setn_new_nocheck(tree, key->text, key->n, json_tree(key + 1)) != 0) {
            json_decref(tree);
            return NULL;
        }
    }
    return tree;
}

static json_t *array_tree(const struct doc_value *v)
{
    json_t *tree = json_array();
    const struct doc_value *entry = v + 1;
    for (uint32_t i = 0; tree && i < v->n; i++, entry = doc_next(entry)) {
        if (json_array_append_new(tree, json_tree(entry)) != 0) {
            json_decref(tree);
            return NULL;
        }
    }
    return tree;
}

/* Depth is bounded where documents are read. */
json_t *json_tree(const struct doc_value *v)
{
    switch (v->kind) {
    case DOC_OBJECT:
        return object_tree(v);
    case DOC_ARRAY:
        return array_tree(v);
    case DOC_STRING:
        return json_stringn_nocheck(v->text, v->n);
    case DOC_INT:
        return json_integer(v->integer);
    case DOC_REAL:
        return json_real(v->real);
    case DOC_TRUE:
        return json_true();
    case DOC_FALSE:
        return json_false();
    case DOC_BYTES: /* in no document that becomes a tree */
    case DOC_NULL:
        break;
    }
    return json_null();
}

struct doc_value json_view(const json_t *v)
{
    struct doc_value out = {.kind = DOC_NULL, .span = 1};
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
        out.kind = DOC_OBJECT;
        out.n = (uint32_t)json_object_size(v);
        break;
    case JSON_ARRAY:
        out.kind = DOC_ARRAY;
        out.n = (uint32_t)json_array_size(v);
        break;
    case JSON_STRING:
        out.kind = DOC_STRING;
        out.n = (uint32_t)json_string_length(v);
        out.text = json_string_value(v);
        break;
    case JSON_INTEGER:
        out.kind = DOC_INT;
        out.integer = json_integer_value(v);
        break;
    case JSON_REAL:
        out.kind = DOC_REAL;
        out.real = json_real_value(v);
        break;
    case JSON_TRUE:
        out.kind = DOC_TRUE;
        break;
    case JSON_FALSE:
        out.kind = DOC_FALSE;
        break;
    case JSON_NULL:
        break;
    }
    return out;
}

enum status json_open(const void *bytes, size_t n, const struct doc_bounds *bounds, json_t **root,
                      struct problem *problem)
{
    struct doc doc;
    enum status st = doc_open(&doc, bytes, n, bounds, problem);
    if (st != STATUS_OK)
        return st;
    json_t *tree = json_tree(doc.value);
    doc_close(&doc);
    if (!tree)
        return json_fail(problem, STATUS_OVERLOADED, NULL, "no memory to parse the document");
    *root = tree;
    return STATUS_OK;
}

/* Writes the outer part first; gives the length. Truncation is harmless: it is for people. */
static size_t at_render(const struct json_at *at, char *out, size_t cap)
{
    if (!at)
        return 0;
    size_t len = at_render(at->up, out, cap);
    char quoted[QUOTE_CAP];
    int more = at->key ? snprintf(out + len, cap - len, "/%s", json_quote(quoted, at->key))
                       : snprintf(out + len, cap - len, "/%d", at->index);
    size_t end = len + (more > 0 ? (size_t)more : 0);
    return end < cap ? end : cap - 1;
}

enum status json_fail(struct problem *problem, enum status s, const struct json_at *at,
                      const char *fmt, ...)
{
    if (!problem)
        return s;
    char path[sizeof problem->path] = "", text[sizeof problem->text];
    at_render(at, path, sizeof path);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return problem_set(problem, s, path, "%s", text);
}

const char *json_quote(char out[QUOTE_CAP], const char *s)
{
    size_t i = 0;
    for (; s[i] && i < QUOTE_CAP - 4; i++) {
        bool plain = s[i] > ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\';
        out[i] = '?';
        if (plain)
            out[i] = s[i];
    }
    memcpy(out + i, s[i] ? "..." : "", s[i] ? 4 : 1);
    return out;
}

const char *json_found(char out[FOUND_CAP], const json_t *v)
{
    struct doc_value view = json_view(v);
    return doc_found(out, &view);
}

bool json_name_ok(const char *s)
{
    size_t i = 0;
    for (; s[i]; i++) {
        char low = (char)(s[i] | 0x20);
        bool letter = low >= 'a' && low <= 'z';
        bool other = (s[i] >= '-' && s[i] <= ':') || s[i] == '_' || s[i] == '@'; /* - . / 0..9 : */
        if (i >= NAME_LEN || (!letter && !other))
            return false;
    }
    return i > 0;
}
