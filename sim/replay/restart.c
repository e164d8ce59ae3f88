/* SPDX-License-Identifier: MIT */
/*
 * A stop and a start within a game. The items of a snapshot are kept in memory in the order of
 * their keys, as a store would give them back.
 */
#include "sim/replay/restart.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "core/router/snapshot.h"

struct item {
    uint8_t key[ITEM_KEY_LEN];
    uint8_t *bytes;
    size_t n;
};

struct items {
    struct item *item;
    size_t n, cap;
    bool failed; /* memory was short */
};

static bool make_room(struct items *s)
{
    if (s->n < s->cap)
        return true;
    size_t cap = s->cap > 0 ? 2 * s->cap : 64;
    struct item *more = realloc(s->item, cap * sizeof *more);
    if (more == NULL)
        return false;
    s->item = more;
    s->cap = cap;
    return true;
}

static void collect(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct items *s = ctx;
    uint8_t *copy = malloc(n > 0 ? n : 1);
    if (copy == NULL || !make_room(s)) {
        free(copy);
        s->failed = true;
        return;
    }
    memcpy(copy, bytes, n);
    struct item *i = &s->item[s->n++];
    memcpy(i->key, key, sizeof i->key);
    i->bytes = copy;
    i->n = n;
}

static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return memcmp(x->key, y->key, ITEM_KEY_LEN);
}

static enum status copy_state(struct router *from, struct router *to, struct problem *problem)
{
    struct items s = {0};
    snapshot_write(from, 0, collect, &s);
    enum status st =
        s.failed ? problem_set(problem, STATUS_INTERNAL, "", "out of memory") : STATUS_OK;
    qsort(s.item, s.n, sizeof *s.item, by_key);
    for (size_t i = 0; i < s.n; i++) {
        if (st == STATUS_OK)
            st = snapshot_load(to, 0, s.item[i].key, s.item[i].bytes, s.item[i].n, problem);
        free(s.item[i].bytes);
    }
    free(s.item);
    if (st == STATUS_OK)
        st = snapshot_done(to, 0, problem);
    assert(st != STATUS_OK || snapshot_digest(from) == snapshot_digest(to));
    return st;
}

enum status restart_router(struct router **r, const struct router_init *init, bool keep,
                           struct problem *problem)
{
    struct router *fresh = router_new(init);
    if (fresh == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    enum status s = keep ? copy_state(*r, fresh, problem) : STATUS_OK;
    if (s != STATUS_OK) {
        router_free(fresh);
        return s;
    }
    router_free(*r);
    *r = fresh;
    return STATUS_OK;
}
