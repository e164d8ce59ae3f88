/* SPDX-License-Identifier: MIT */
/*
 * MessagePack, read into a document under the same bounds as JSON: one pass does both, as the
 * encoding says beforehand how much there is. What JSON has no word for is refused (extensions,
 * keys that are no strings, numbers that are not finite), but for binary.
 * Considered: msgpack-c's reader, which packs what we send. It allocates what a header promises
 * before it looks whether it is there, 100 GB for a message of 5 bytes, so a pass like this one
 * would have to come first anyway. A test holds the two against each other.
 */
#include "core/encoding/doc_inside.h"

#include <math.h>
#include <string.h>

struct reader {
    struct doc_builder *b;
    const unsigned char *s;
    size_t n, i;
    const struct doc_bounds *bounds;
    struct problem *problem;
    enum status status; /* of a bound that was not kept, then in problem */
    int depth, items;
    size_t elements, item_start;
};

static bool big_endian(struct reader *r, int bytes, uint64_t *out)
{
    if (r->n - r->i < (size_t)bytes)
        return false;
    for (*out = 0; bytes > 0; bytes--)
        *out = *out << 8 | r->s[r->i++];
    return true;
}

/* ---- bounds ---- */

static enum doc_fault exceed(struct reader *r, enum status s)
{
    r->status = s;
    return FAULT_BOUND;
}

static enum doc_fault item_end(struct reader *r)
{
    size_t n = r->i - r->item_start;
    if (n > r->bounds->item_bytes)
        return exceed(r,
                      problem_set(r->problem, STATUS_TOO_LARGE, "",
                                  "%zu bytes, at most %zu are allowed", n, r->bounds->item_bytes));
    if (++r->items > r->bounds->items)
        return exceed(r, problem_set(r->problem, STATUS_TOO_LARGE, "", "more than %d items",
                                     r->bounds->items));
    r->item_start = r->i;
    r->elements = 0;
    return FAULT_NONE;
}

/* As many elements as the same container has in JSON: itself, and what separates its entries. */
static enum doc_fault enter(struct reader *r, uint64_t entries)
{
    if (++r->depth > DOC_DEPTH_MAX)
        return exceed(r, problem_set(r->problem, STATUS_TOO_LARGE, "",
                                     "nested deeper than %d levels", DOC_DEPTH_MAX));
    if (entries > r->n - r->i)
        return FAULT_EARLY;
    r->elements += entries > 0 ? entries : 1;
    if (r->elements > r->bounds->elements)
        return exceed(r, problem_set(r->problem, STATUS_TOO_LARGE, "", "more than %zu elements",
                                     r->bounds->elements));
    return FAULT_NONE;
}

/* ---- values ---- */

static enum doc_fault add(struct reader *r, const struct doc_value *v)
{
    uint32_t at = doc_add(r->b, v->kind, v->n);
    if (at == 0 && r->b->doc->n > 1)
        return FAULT_MEMORY;
    r->b->doc->value[at] = *v;
    return FAULT_NONE;
}

static enum doc_fault add_int(struct reader *r, int64_t v)
{
    return add(r, &(struct doc_value){.kind = DOC_INT, .span = 1, .integer = v});
}

static enum doc_fault add_real(struct reader *r, double v)
{
    return isfinite(v) ? add(r, &(struct doc_value){.kind = DOC_REAL, .span = 1, .real = v})
                       : FAULT_INFINITE;
}

static enum doc_fault check_string(const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint64_t w = n - i >= 8 ? doc_word(s + i) : 0;
        if (!doc_has_high(w) && !doc_has_less(w, 1)) {
            i += 8;
            continue;
        }
        size_t len = s[i] < 0x80 ? 1 : doc_utf8(s + i, n - i);
        if (s[i] == 0 || len == 0)
            return len == 0 ? FAULT_UTF8 : FAULT_ZERO;
        i += len;
    }
    return FAULT_NONE;
}

static enum doc_fault add_bytes(struct reader *r, enum doc_kind kind, uint64_t n)
{
    struct doc *d = r->b->doc;
    if (n > r->n - r->i)
        return FAULT_EARLY;
    enum doc_fault fault = kind == DOC_STRING ? check_string(r->s + r->i, (size_t)n) : FAULT_NONE;
    if (fault != FAULT_NONE)
        return fault;
    char *text = d->text + d->text_n; /* a header is at least as long as the zero behind */
    memcpy(text, r->s + r->i, (size_t)n);
    text[n] = '\0';
    d->text_n += (size_t)n + 1;
    r->i += (size_t)n;
    return add(r, &(struct doc_value){.kind = kind, .n = (uint32_t)n, .span = 1, .text = text});
}

static enum doc_fault take(struct reader *r);

static enum doc_fault take_key(struct reader *r, uint32_t object)
{
    uint32_t key = r->b->doc->n;
    unsigned char c = r->i < r->n ? r->s[r->i] : 0xa0;
    if (!((c >= 0xa0 && c <= 0xbf) || (c >= 0xd9 && c <= 0xdb)))
        return FAULT_SYNTAX;
    enum doc_fault fault = take(r);
    return fault == FAULT_NONE ? doc_key(r->b, object, key) : fault;
}

static enum doc_fault take_entries(struct reader *r, bool object, uint64_t n)
{
    uint32_t at = r->b->doc->n;
    enum doc_fault fault = enter(r, object ? 2 * n : n);
    r->elements -= fault == FAULT_NONE && object ? n : 0;
    if (fault == FAULT_NONE)
        fault = add(r, &(struct doc_value){.kind = object ? DOC_OBJECT : DOC_ARRAY, .span = 1});
    for (uint64_t i = 0; fault == FAULT_NONE && i < n; i++) {
        if (object)
            fault = take_key(r, at);
        uint32_t entry = r->b->doc->n;
        if (fault == FAULT_NONE)
            fault = take(r);
        if (fault != FAULT_NONE)
            return fault;
        r->b->doc->value[at].n += !object;
        if (r->depth == 2 && i + 1 < n && r->b->doc->value[entry].kind == DOC_OBJECT)
            fault = item_end(r);
    }
    r->depth--;
    if (fault == FAULT_NONE)
        r->b->doc->value[at].span = r->b->doc->n - at;
    return fault;
}

/* Integers of 1 << (c & 3) bytes, without and with a sign. */
static enum doc_fault take_int(struct reader *r, unsigned char c)
{
    int bytes = 1 << (c & 3), spare = 64 - 8 * bytes;
    uint64_t word;
    if (!big_endian(r, bytes, &word))
        return FAULT_EARLY;
    if (c <= 0xcf)
        return word > INT64_MAX ? FAULT_OVERFLOW : add_int(r, (int64_t)word);
    return add_int(r, (int64_t)(word << spare) >> spare);
}

static enum doc_fault take_real(struct reader *r, bool wide)
{
    uint64_t word;
    if (!big_endian(r, wide ? 8 : 4, &word))
        return FAULT_EARLY;
    uint32_t half = (uint32_t)word;
    double d;
    float f;
    memcpy(&d, &word, sizeof d);
    memcpy(&f, &half, sizeof f);
    return add_real(r, wide ? d : (double)f);
}

/* What is as long as 1 << width bytes behind c say. */
static enum doc_fault take_long(struct reader *r, unsigned char c)
{
    uint64_t n;
    int width = c >= 0xdc ? 1 + (c & 1) : c >= 0xd9 ? c - 0xd9 : c - 0xc4;
    if (!big_endian(r, 1 << width, &n))
        return FAULT_EARLY;
    if (c >= 0xdc)
        return take_entries(r, c >= 0xde, n);
    return add_bytes(r, c >= 0xd9 ? DOC_STRING : DOC_BYTES, n);
}

static enum doc_fault take(struct reader *r)
{
    if (r->i == r->n)
        return FAULT_EARLY;
    unsigned char c = r->s[r->i++];
    if (c <= 0x7f || c >= 0xe0)
        return add_int(r, c <= 0x7f ? c : c - 256);
    if (c <= 0x9f)
        return take_entries(r, c <= 0x8f, c & 0xf);
    if (c <= 0xbf)
        return add_bytes(r, DOC_STRING, c & 0x1f);
    if (c == 0xc0)
        return add(r, &(struct doc_value){.kind = DOC_NULL, .span = 1});
    if (c == 0xc2 || c == 0xc3)
        return add(r, &(struct doc_value){.kind = c == 0xc3 ? DOC_TRUE : DOC_FALSE, .span = 1});
    if (c == 0xca || c == 0xcb)
        return take_real(r, c == 0xcb);
    if (c >= 0xcc && c <= 0xd3)
        return take_int(r, c);
    if ((c >= 0xc4 && c <= 0xc6) || c >= 0xd9)
        return take_long(r, c);
    return FAULT_SYNTAX; /* unused, or an extension */
}

enum doc_fault doc_read_packed(struct doc_builder *b, const void *bytes, size_t n,
                               const struct doc_bounds *bounds, struct problem *problem,
                               enum status *status)
{
    struct reader r = {.b = b, .s = bytes, .n = n, .bounds = bounds, .problem = problem};
    enum doc_fault fault = take(&r);
    if (fault == FAULT_NONE)
        fault = r.i < n ? FAULT_BEHIND : item_end(&r);
    *status = r.status;
    return fault;
}
