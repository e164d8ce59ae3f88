/* SPDX-License-Identifier: MIT */
/*
 * Documents as arrays of values. The encodings are read in doc_json.c and doc_packed.c; this
 * owns the memory and knows when a key comes twice.
 *
 * Keys of an object with more than a few members go into a table of all such keys of the document,
 * as comparing each with each would let a message of 8 MiB keep the loop busy for seconds.
 */
#include "core/encoding/doc_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

enum { VALUES_FIRST = 40, SEEN_FIRST = 1024, LOOKED_THROUGH = 16 };

uint32_t doc_add(struct doc_builder *b, enum doc_kind kind, uint32_t n)
{
    struct doc *d = b->doc;
    if (d->n == d->cap) {
        struct doc_value *more =
            d->cap < UINT32_MAX / 2 ? realloc(d->value, 2 * (size_t)d->cap * sizeof *more) : NULL;
        if (!more)
            return 0;
        d->value = more;
        d->cap *= 2;
    }
    d->value[d->n] = (struct doc_value){.kind = kind, .n = n, .span = 1};
    return d->n++;
}

static bool same_key(const struct doc_value *a, const struct doc_value *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

/* Where a key stands in the table, or the free slot where it would. The seed is where the text
 * happens to lie: nobody outside can choose keys that collide, and nothing depends on the order. */
static uint32_t seen_slot(const struct doc_builder *b, uint32_t object, uint32_t key)
{
    const struct doc_value *v = &b->doc->value[key];
    const struct doc_seen *s = &b->seen;
    uint64_t h = hash64(v->text, v->n, mix64((uint64_t)(uintptr_t)b->doc->text ^ object));
    uint32_t i = (uint32_t)h & (s->cap - 1);
    while (s->slot[i].key &&
           (s->slot[i].object != object || !same_key(&b->doc->value[s->slot[i].key], v)))
        i = (i + 1) & (s->cap - 1);
    return i;
}

static enum doc_fault seen_grow(struct doc_builder *b)
{
    struct doc_seen old = b->seen;
    uint32_t cap = old.cap ? 2 * old.cap : SEEN_FIRST;
    b->seen.slot = calloc(cap, sizeof *b->seen.slot);
    if (!b->seen.slot) {
        b->seen = old;
        return FAULT_MEMORY;
    }
    b->seen.cap = cap;
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slot[i].key)
            b->seen.slot[seen_slot(b, old.slot[i].object, old.slot[i].key)] = old.slot[i];
    free(old.slot);
    return FAULT_NONE;
}

static enum doc_fault seen_add(struct doc_builder *b, uint32_t object, uint32_t key)
{
    if (2 * (b->seen.n + 1) > b->seen.cap && seen_grow(b) != FAULT_NONE)
        return FAULT_MEMORY;
    uint32_t i = seen_slot(b, object, key);
    if (b->seen.slot[i].key)
        return FAULT_DUPLICATE;
    b->seen.slot[i].object = object;
    b->seen.slot[i].key = key;
    b->seen.n++;
    return FAULT_NONE;
}

enum doc_fault doc_key(struct doc_builder *b, uint32_t object, uint32_t key)
{
    struct doc_value *value = b->doc->value;
    uint32_t n = value[object].n++, at = object + 1;
    if (n > LOOKED_THROUGH)
        return seen_add(b, object, key);
    enum doc_fault fault = FAULT_NONE;
    for (uint32_t i = 0; i < n; i++) {
        if (same_key(&value[at], &value[key]))
            return FAULT_DUPLICATE;
        if (n == LOOKED_THROUGH && fault == FAULT_NONE)
            fault = seen_add(b, object, at);
        at += 1 + value[at + 1].span;
    }
    return n == LOOKED_THROUGH && fault == FAULT_NONE ? seen_add(b, object, key) : fault;
}

size_t doc_utf8(const unsigned char *s, size_t n)
{
    size_t len = n == 0 || s[0] < 0xc2 || s[0] > 0xf4 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n > 0 && s[0] < 0x80)
        return 1;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f, beyond = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

static const char *fault_text(enum doc_fault fault, bool packed)
{
    switch (fault) {
    case FAULT_UTF8:
        return "not valid UTF-8";
    case FAULT_EARLY:
        return "the document ends too early";
    case FAULT_BEHIND:
        return "something follows the end of the document";
    case FAULT_ZERO:
        return "\\u0000 is not allowed";
    case FAULT_DUPLICATE:
        return "duplicate key in an object";
    case FAULT_OVERFLOW:
        return "a number that is too large";
    case FAULT_INFINITE:
        return "a number that is not finite";
    default:
        return packed ? "not valid MessagePack" : "not valid JSON";
    }
}

bool doc_is_packed(const void *bytes, size_t n)
{
    unsigned char first = n > 0 ? *(const unsigned char *)bytes : 0;
    return (first >= 0x80 && first <= 0x8f) || first == 0xde || first == 0xdf;
}

/* Closes the document if there is a fault, and tells it. */
static enum status judge(struct doc *d, enum doc_fault fault, bool packed, int line,
                         struct problem *problem)
{
    char found[DOC_FOUND_CAP];
    enum status st = STATUS_OK;
    if (fault == FAULT_MEMORY) {
        st = problem_set(problem, STATUS_OVERLOADED, "", "no memory to parse the document");
    } else if (fault != FAULT_NONE) {
        st = problem_set(problem, STATUS_BAD_JSON, "", "%s", fault_text(fault, packed));
        if (problem)
            problem->line = line;
    } else if (d->value->kind != DOC_OBJECT) {
        st = problem_set(problem, STATUS_BAD_JSON, "", "expected an object, found %s",
                         doc_found(found, d->value));
    }
    if (st != STATUS_OK)
        doc_close(d);
    return st;
}

static bool begin(struct doc *d, size_t n)
{
    *d = (struct doc){.value = malloc(VALUES_FIRST * sizeof *d->value),
                      .cap = VALUES_FIRST,
                      .text = malloc(n + 1)};
    return d->value && d->text;
}

static enum status build(struct doc *d, const void *bytes, size_t n,
                         const struct doc_bounds *bounds, struct problem *problem)
{
    struct doc_builder b = {.doc = d};
    bool packed = doc_is_packed(bytes, n);
    int line = 0;
    enum status bound = STATUS_OK;
    enum doc_fault fault = !begin(d, n) ? FAULT_MEMORY
                           : packed     ? doc_read_packed(&b, bytes, n, bounds, problem, &bound)
                                        : doc_read_json(&b, bytes, n, &line);
    free(b.seen.slot);
    if (fault != FAULT_BOUND)
        return judge(d, fault, packed, line, problem);
    doc_close(d);
    return bound;
}

enum status doc_open(struct doc *d, const void *bytes, size_t n, const struct doc_bounds *bounds,
                     struct problem *problem)
{
    if (n == 0)
        return problem_set(problem, STATUS_BAD_JSON, "", "empty: expected a JSON object");
    if (n > bounds->bytes)
        return problem_set(problem, STATUS_TOO_LARGE, "", "%zu bytes, at most %zu are allowed", n,
                           bounds->bytes);
    enum status st = doc_is_packed(bytes, n) ? STATUS_OK : doc_scan_json(bytes, n, bounds, problem);
    return st == STATUS_OK ? build(d, bytes, n, bounds, problem) : st;
}

enum status doc_open_own(struct doc *d, const void *bytes, size_t n)
{
    static const struct doc_bounds most = {SIZE_MAX, SIZE_MAX, SIZE_MAX, INT32_MAX};
    return build(d, bytes, n, &most, NULL);
}

void doc_close(struct doc *d)
{
    free(d->value);
    free(d->text);
    *d = (struct doc){.value = NULL};
}

const struct doc_value *doc_get(const struct doc_value *v, const char *key)
{
    if (!doc_is(v, DOC_OBJECT))
        return NULL;
    size_t n = strlen(key);
    const struct doc_value *at = v + 1;
    for (uint32_t i = v->n; i > 0; i--, at = doc_next(at + 1))
        if (at->n == n && memcmp(at->text, key, n) == 0)
            return at + 1;
    return NULL;
}

const struct doc_value *doc_at(const struct doc_value *v, size_t i)
{
    if (i >= doc_size(v))
        return NULL;
    const struct doc_value *at = v + 1;
    for (; i > 0; i--)
        at = doc_next(at);
    return at;
}

const char *doc_found(char out[DOC_FOUND_CAP], const struct doc_value *v)
{
    switch (v ? v->kind : DOC_NULL) {
    case DOC_OBJECT:
        return "an object";
    case DOC_ARRAY:
        snprintf(out, DOC_FOUND_CAP, "an array of %u", v->n);
        return out;
    case DOC_STRING:
        snprintf(out, DOC_FOUND_CAP, "a string of %u bytes", v->n);
        return out;
    case DOC_BYTES:
        snprintf(out, DOC_FOUND_CAP, "%u bytes of binary", v->n);
        return out;
    case DOC_INT:
        snprintf(out, DOC_FOUND_CAP, "%lld", (long long)v->integer);
        return out;
    case DOC_REAL:
        snprintf(out, DOC_FOUND_CAP, "%.10g", v->real);
        return out;
    case DOC_TRUE:
        return "true";
    case DOC_FALSE:
        return "false";
    case DOC_NULL:
        break;
    }
    return "null";
}
