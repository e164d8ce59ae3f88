/* SPDX-License-Identifier: MIT */
/*
 * The gate in front of the JSON reader: one pass over the bytes bounds depth, elements, items, item
 * sizes and the length of numbers, so that reading costs bounded memory and time whoever sent the
 * bytes. It does not validate: it only has to count right for valid documents and to be an upper
 * bound for the rest.
 */
#include "core/encoding/doc_inside.h"

struct scan {
    const struct doc_bounds *bounds;
    int depth, items;
    size_t elements, scalar, item_start;
    char last; /* last byte that is not white space */
};

/* Gives the index of the quote that ends the string beginning at i, or n. */
static size_t scan_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++) {
        uint64_t w = n - i >= 8 ? doc_word((const unsigned char *)s + i) : DOC_EACH(0x80);
        while (!doc_has_high(w) && !doc_has(w, '"') && !doc_has(w, '\\')) {
            i += 8;
            w = n - i >= 8 ? doc_word((const unsigned char *)s + i) : DOC_EACH(0x80);
        }
        if (i == n || s[i] == '"')
            break;
        i += s[i] == '\\';
    }
    return i < n ? i : n;
}

static enum status scan_item_end(struct scan *sc, size_t i, struct problem *p)
{
    if (i - sc->item_start > sc->bounds->item_bytes)
        return problem_set(p, STATUS_TOO_LARGE, "", "%zu bytes, at most %zu are allowed",
                           i - sc->item_start, sc->bounds->item_bytes);
    if (++sc->items > sc->bounds->items)
        return problem_set(p, STATUS_TOO_LARGE, "", "more than %d items", sc->bounds->items);
    sc->item_start = i;
    sc->elements = 0;
    return STATUS_OK;
}

static enum status scan_element(struct scan *sc, char c, size_t i, struct problem *p)
{
    if (c == ',' && sc->depth == 2 && sc->last == '}')
        return scan_item_end(sc, i, p);
    if (c != ',' && ++sc->depth > DOC_DEPTH_MAX)
        return problem_set(p, STATUS_TOO_LARGE, "", "nested deeper than %d levels", DOC_DEPTH_MAX);
    if (++sc->elements > sc->bounds->elements)
        return problem_set(p, STATUS_TOO_LARGE, "", "more than %zu elements", sc->bounds->elements);
    return STATUS_OK;
}

enum { OTHER, WHITE, QUOTE, OPENS, CLOSES, COLON, ZERO };
static const unsigned char scan_class[256] = {
    [0] = ZERO,    [' '] = WHITE, ['\n'] = WHITE, ['\r'] = WHITE, ['\t'] = WHITE, ['"'] = QUOTE,
    ['{'] = OPENS, ['['] = OPENS, [','] = OPENS,  ['}'] = CLOSES, [']'] = CLOSES, [':'] = COLON};

enum status doc_scan_json(const void *bytes, size_t n, const struct doc_bounds *bounds,
                          struct problem *p)
{
    const char *s = bytes;
    struct scan sc = {.bounds = bounds};
    for (size_t i = 0; i < n; i++) {
        enum status st = STATUS_OK;
        char c = s[i];
        unsigned class = scan_class[(unsigned char)c];
        sc.scalar = class == OTHER ? sc.scalar + 1 : 0;
        if (sc.scalar > DOC_SCALAR_MAX)
            return problem_set(p, STATUS_BAD_JSON, "", "a number of more than %d bytes",
                               DOC_SCALAR_MAX);
        if (class == QUOTE)
            i = scan_string(s, n, i);
        else if (class == OPENS)
            st = scan_element(&sc, c, i, p);
        else if (class == CLOSES)
            sc.depth--;
        else if (class == ZERO)
            st = problem_set(p, STATUS_BAD_JSON, "", "a zero byte");
        if (st != STATUS_OK)
            return st;
        sc.last = class == WHITE ? sc.last : c;
    }
    return scan_item_end(&sc, n, p);
}
