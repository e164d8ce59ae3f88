/* SPDX-License-Identifier: MIT */
/*
 * An indexed binary heap (Williams 1964): beside it stands the position of every holder, kept by
 * each move. Deadlines that mostly grow, as those of decisions do, are put in constant time.
 * Considered: dropping stale entries only when they reach the top. A holder whose deadline comes
 * and goes would then be in the heap many times, and no bound on its size would hold.
 */
#include "core/router/deadlines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool deadlines_init(struct deadlines *d, int64_t cap)
{
    memset(d, 0, sizeof *d);
    d->cap = cap;
    d->heap = calloc((size_t)cap, sizeof *d->heap);
    d->place = calloc((size_t)cap, sizeof *d->place);
    if (d->heap && d->place)
        return true;
    deadlines_fini(d);
    return false;
}

void deadlines_fini(struct deadlines *d)
{
    free(d->heap);
    free(d->place);
    memset(d, 0, sizeof *d);
}

static bool before(const struct deadline *a, const struct deadline *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void set(struct deadlines *d, int64_t i, struct deadline e)
{
    d->heap[i] = e;
    d->place[e.holder] = (uint32_t)(i + 1);
}

/* Puts e where it belongs at or above position i, which is free. */
static void rise(struct deadlines *d, int64_t i, struct deadline e)
{
    for (; i > 0 && before(&e, &d->heap[(i - 1) / 2]); i = (i - 1) / 2)
        set(d, i, d->heap[(i - 1) / 2]);
    set(d, i, e);
}

/* Likewise at or below. */
static void sink(struct deadlines *d, int64_t i, struct deadline e)
{
    for (int64_t child; (child = 2 * i + 1) < d->n; i = child) {
        if (child + 1 < d->n && before(&d->heap[child + 1], &d->heap[child]))
            child++;
        if (!before(&d->heap[child], &e))
            break;
        set(d, i, d->heap[child]);
    }
    set(d, i, e);
}

void deadlines_put(struct deadlines *d, int64_t holder, int64_t due_ms, uint64_t seq)
{
    assert(holder >= 0 && holder < d->cap);
    deadlines_drop(d, holder);
    d->n++;
    rise(d, d->n - 1, (struct deadline){due_ms, seq, (uint32_t)holder});
}

void deadlines_drop(struct deadlines *d, int64_t holder)
{
    assert(holder >= 0 && holder < d->cap);
    if (d->place[holder] == 0)
        return;
    int64_t i = (int64_t)d->place[holder] - 1;
    d->place[holder] = 0;
    d->n--;
    if (i == d->n)
        return;
    struct deadline last = d->heap[d->n];
    if (i > 0 && before(&last, &d->heap[(i - 1) / 2]))
        rise(d, i, last);
    else
        sink(d, i, last);
}

const struct deadline *deadlines_first(const struct deadlines *d)
{
    return d->n > 0 ? d->heap : NULL;
}
