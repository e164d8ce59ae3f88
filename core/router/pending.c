/* SPDX-License-Identifier: MIT */
/*
 * The ring of open decisions. Its arrays are reserved once and touched only as far as they are
 * used, so a large bound costs address space, not memory. The request index is derived state: it is
 * rebuilt, not stored. Deletion from it shifts entries back (Knuth 6.4, algorithm R), so look-ups
 * never slow down. Most label books hold one report or two of one source, an eighth of what one may
 * come to: they are kept as they are stored, in a fixed place, and those that do not fit there in
 * another place, at full size. Considered: places of several sizes, which must then be found,
 * freed and, after years, gathered up.
 */
#include "core/router/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/router/book.h"

/* First byte of a small book: how many follow, or one of these. */
enum { NONE = 0, LARGE = 255 };

struct index_slot {
    uint64_t hash; /* 0 = free */
    int64_t slot;
};

bool pending_init(struct pending *p, int64_t cap, int stride)
{
    memset(p, 0, sizeof *p);
    p->cap = cap;
    p->index_cap = 64;
    while (p->index_cap < 2 * cap)
        p->index_cap *= 2;
    p->row = calloc((size_t)cap, sizeof *p->row);
    p->small = calloc((size_t)cap, BOOK_SMALL);
    p->large = calloc((size_t)cap, sizeof *p->large);
    p->index = calloc((size_t)p->index_cap, sizeof *p->index);
    p->dirty = calloc((size_t)(cap / PENDING_PAGE + 1), 1);
    if (p->row && p->small && p->large && p->index && p->dirty && pending_reshape(p, stride))
        return true;
    pending_fini(p);
    return false;
}

void pending_fini(struct pending *p)
{
    free(p->row);
    free(p->x);
    free(p->small);
    free(p->large);
    free(p->index);
    free(p->dirty);
    memset(p, 0, sizeof *p);
}

bool pending_reshape(struct pending *p, int stride)
{
    float *x = calloc((size_t)p->cap * (size_t)(stride > 0 ? stride : 1), sizeof *x);
    if (!x)
        return false;
    free(p->x);
    p->x = x;
    p->stride = stride;
    for (int64_t k = p->first; k < p->total; k++) /* the others' pages stay untouched */
        p->row[k % p->cap].schema =
            0; /* nothing can be learned without the vector, should it come back */
    memset(p->dirty, DIRTY_ALL, (size_t)(p->cap / PENDING_PAGE + 1));
    return true;
}

bool pending_resize(struct pending *p, int64_t cap)
{
    if (cap == p->cap)
        return true;
    struct pending next;
    if (!pending_init(&next, cap, p->stride))
        return false;
    int64_t n = pending_count(p) < cap ? pending_count(p) : cap;
    next.total = p->total;
    next.first = p->total - n;
    for (int64_t k = p->total - n; k < p->total; k++) {
        int64_t from = k % p->cap, to = k % cap;
        next.row[to] = p->row[from];
        memcpy(next.small + to * BOOK_SMALL, p->small + from * BOOK_SMALL, BOOK_SMALL);
        if (p->small[from * BOOK_SMALL] == LARGE)
            next.large[to] = p->large[from];
        memcpy(next.x + to * p->stride, p->x + from * p->stride, (size_t)p->stride * sizeof *p->x);
    }
    pending_reindex(&next);
    pending_fini(p);
    *p = next;
    return true;
}

int64_t pending_count(const struct pending *p)
{
    return p->total - p->first;
}

void pending_touch(struct pending *p, int64_t slot)
{
    p->dirty[slot / PENDING_PAGE] = DIRTY_ALL;
}

/* ---- label books ---- */

void pending_book(const struct pending *p, int64_t slot, struct label_book *out)
{
    const uint8_t *small = p->small + slot * BOOK_SMALL;
    if (small[0] == LARGE) {
        *out = p->large[slot];
        return;
    }
    struct reader r = reader_over(small + 1, small[0]);
    if (small[0] == NONE)
        book_init(out);
    else
        book_get(&r, out);
    assert(!r.bad);
}

void pending_set_book(struct pending *p, int64_t slot, const struct label_book *b)
{
    uint8_t *small = p->small + slot * BOOK_SMALL;
    struct filler w = filler_over(small + 1, BOOK_SMALL - 1);
    book_put(&w, b);
    small[0] = w.full ? LARGE : (uint8_t)(w.at - (small + 1));
    if (w.full)
        p->large[slot] = *b;
}

void pending_hold(struct pending *p, int64_t slot, const struct pool_hold *hold)
{
    struct label_book book;
    book_init(&book);
    book.hold = *hold;
    pending_set_book(p, slot, &book);
}

/* ---- request index ---- */

static int64_t home(const struct pending *p, uint64_t hash)
{
    return (int64_t)(mix64(hash) & (uint64_t)(p->index_cap - 1));
}

static int64_t next(const struct pending *p, int64_t i)
{
    return (i + 1) & (p->index_cap - 1);
}

static void index_put(struct pending *p, uint64_t hash, int64_t slot)
{
    if (hash == 0)
        return;
    int64_t i = home(p, hash);
    while (p->index[i].hash != 0 && p->index[i].hash != hash)
        i = next(p, i);
    p->index[i] = (struct index_slot){hash, slot};
}

static void index_delete(struct pending *p, uint64_t hash, int64_t slot)
{
    if (hash == 0)
        return;
    int64_t i = home(p, hash);
    while (p->index[i].hash != 0 && p->index[i].hash != hash)
        i = next(p, i);
    if (p->index[i].hash == 0 || p->index[i].slot != slot)
        return;
    for (int64_t j = next(p, i); p->index[j].hash != 0; j = next(p, j)) {
        int64_t h = home(p, p->index[j].hash);
        bool between = i <= j ? (i < h && h <= j) : (i < h || h <= j);
        if (between)
            continue;
        p->index[i] = p->index[j];
        i = j;
    }
    p->index[i].hash = 0;
}

int64_t pending_request(const struct pending *p, uint64_t request_hash)
{
    if (request_hash == 0)
        return -1;
    for (int64_t i = home(p, request_hash); p->index[i].hash != 0; i = next(p, i))
        if (p->index[i].hash == request_hash)
            return p->index[i].slot;
    return -1;
}

void pending_reindex(struct pending *p)
{
    memset(p->index, 0, (size_t)p->index_cap * sizeof *p->index);
    for (int64_t k = p->first; k < p->total; k++)
        index_put(p, p->row[k % p->cap].request_hash, k % p->cap);
}

/* ---- the ring ---- */

int64_t pending_victim(const struct pending *p)
{
    return pending_count(p) < p->cap ? -1 : p->total % p->cap;
}

int64_t pending_insert(struct pending *p, const struct decision_row *row, const float *x)
{
    int64_t slot = p->total % p->cap;
    if (pending_victim(p) >= 0)
        index_delete(p, p->row[slot].request_hash, slot);
    assert(row->d == p->stride);
    p->row[slot] = *row;
    memcpy(p->x + slot * p->stride, x, (size_t)p->stride * sizeof *x);
    if (p->small[slot * BOOK_SMALL] != NONE) /* untouched books stay untouched pages */
        p->small[slot * BOOK_SMALL] = NONE;
    index_put(p, row->request_hash, slot);
    pending_touch(p, slot);
    p->total++;
    if (p->total - p->first > p->cap)
        p->first++;
    return slot;
}

int64_t pending_find(const struct pending *p, uint64_t seq)
{
    int64_t lo = p->first, hi = p->total;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        uint64_t s = p->row[mid % p->cap].seq;
        if (s == seq)
            return mid % p->cap;
        if (s < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}
