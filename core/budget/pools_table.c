/* SPDX-License-Identifier: MIT */
/*
 * The table of instances: made by the first request that is charged to them, kept until they hold
 * nothing that counts. Which slot a new instance gets is a function of the slots alone (the lowest
 * that is free), so a snapshot needs the slots and nothing else; chains and counts are derived.
 *
 * Chains, not open addressing: instances are also removed, and a link is cheaper than moving
 * entries or tombstones.
 */
#include "core/budget/pools_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

/* ---- memory ---- */

static int64_t pages(int64_t cap)
{
    return (cap + POOL_PAGE - 1) / POOL_PAGE;
}

static bool allocate(struct pools *p, int64_t cap)
{
    p->cap = cap;
    p->heads = 64;
    while (p->heads < 2 * cap)
        p->heads *= 2;
    p->pool = calloc((size_t)cap, sizeof *p->pool);
    p->dirty = calloc((size_t)pages(cap), 1);
    p->head = calloc((size_t)p->heads, sizeof *p->head);
    p->next = calloc((size_t)cap, sizeof *p->next);
    p->tag = calloc((size_t)cap, sizeof *p->tag);
    p->children = calloc((size_t)cap, sizeof *p->children);
    return p->pool && p->dirty && p->head && p->next && p->tag && p->children;
}

static void release(struct pools *p)
{
    free(p->pool);
    free(p->dirty);
    free(p->head);
    free(p->next);
    free(p->tag);
    free(p->children);
}

/* What follows from the configuration. */
static void derive(struct pools *p)
{
    struct pool_config *c = &p->config;
    p->by_model = false;
    for (int i = 0; i < c->n; i++) {
        p->asked[i] = 0;
        p->zone[i] = -1;
        p->window[i] = (struct window){0, 0, 0}; /* covers nothing */
        for (int l = 0; l < POOL_LABELS; l++)
            p->asked[i] |= (uint8_t)((c->spec[i].match[l][0] != '\0') << l);
        for (int z = 0; z < c->n_zones; z++) {
            if (strcmp(c->spec[i].zone, c->zone[z].name) == 0)
                p->zone[i] = (int8_t)z;
        }
        p->by_model |= p->asked[i] >> POOL_MODEL & 1 || c->spec[i].each == POOL_MODEL;
    }
}

bool pools_init(struct pools *p, const struct pool_config *config)
{
    memset(p, 0, sizeof *p);
    if (!allocate(p, config->instances)) {
        pools_fini(p);
        return false;
    }
    p->config = *config;
    derive(p);
    return true;
}

void pools_fini(struct pools *p)
{
    release(p);
    memset(p, 0, sizeof *p);
}

/* ---- slots ---- */

static uint64_t hash_of(int32_t spec, int32_t parent, const char *value)
{
    uint64_t seed = (uint64_t)(uint32_t)parent << 32 | (uint32_t)spec;
    return hash64(value, strlen(value), seed);
}

static uint32_t *chain(const struct pools *p, uint64_t hash)
{
    return &p->head[hash & (uint64_t)(p->heads - 1)];
}

int32_t pools_find(const struct pools *p, int32_t spec, int32_t parent, const char *value)
{
    uint64_t hash = hash_of(spec, parent, value);
    for (uint32_t i = *chain(p, hash); i > 0; i = p->next[i - 1]) {
        const struct pool *pool = &p->pool[i - 1];
        if (p->tag[i - 1] == hash >> 32 && pool->spec == spec && pool->parent == parent &&
            strcmp(pool->value, value) == 0)
            return (int32_t)i - 1;
    }
    return -1;
}

int64_t pools_vacant(const struct pools *p)
{
    return p->used < p->config.instances ? p->config.instances - p->used : 0;
}

void pools_touch(struct pools *p, int64_t slot)
{
    p->dirty[slot / POOL_PAGE] = DIRTY_ALL;
    if (p->watch)
        p->watch(p->watch_ctx, slot);
}

static void link_in(struct pools *p, int64_t slot)
{
    const struct pool *pool = &p->pool[slot];
    uint64_t hash = hash_of(pool->spec, pool->parent, pool->value);
    uint32_t *head = chain(p, hash);
    p->tag[slot] = (uint32_t)(hash >> 32);
    p->next[slot] = *head;
    *head = (uint32_t)slot + 1;
    if (pool->parent >= 0)
        p->children[pool->parent]++;
    p->instances[pool->spec]++;
    p->used++;
}

struct pool_pace *pools_pace(struct pools *p, int64_t slot)
{
    pools_touch(p, slot);
    return &p->pool[slot].pace;
}

int32_t pools_take(struct pools *p, int32_t spec, int32_t parent, const char *value, uint64_t seq)
{
    assert(p->used < p->cap);
    while (p->pool[p->lowest].born != 0)
        p->lowest++;
    struct pool *pool = &p->pool[p->lowest];
    memset(pool, 0, sizeof *pool);
    pool->born = seq;
    pool->spec = spec;
    pool->parent = parent;
    memcpy(pool->value, value, strlen(value) + 1);
    pool->n_books = 1;
    pool->book[0].start = INT64_MIN;
    link_in(p, p->lowest);
    pools_touch(p, p->lowest);
    return (int32_t)p->lowest++;
}

static void forget(struct pools *p, int64_t slot)
{
    struct pool *pool = &p->pool[slot];
    uint32_t *at = chain(p, hash_of(pool->spec, pool->parent, pool->value));
    while (*at != (uint32_t)slot + 1)
        at = &p->next[*at - 1];
    *at = p->next[slot];
    if (pool->parent >= 0)
        p->children[pool->parent]--;
    p->instances[pool->spec]--;
    memset(pool, 0, sizeof *pool);
    p->used--;
    p->lowest = slot < p->lowest ? slot : p->lowest;
    pools_touch(p, slot);
}

static bool idle(const struct pools *p, int64_t slot, int64_t now)
{
    const struct pool *pool = &p->pool[slot];
    const struct pool_spec *s = &p->config.spec[pool->spec];
    struct window w = pools_window(p, pool->spec, now);
    bool busy = p->children[slot] > 0 || pool_fused(pool, s, now);
    for (int u = 0; u < POOL_UNITS && !busy; u++) {
        busy = pool_counted(pool, w.since, (enum pool_unit)u) > 0 ||
               pool_fuse_level(pool, s, (enum pool_unit)u, now) > 0;
        for (int i = 0; i < pool->n_books && !busy; i++)
            busy = pool->book[i].sum[BOOK_RESERVED][u] > 0;
    }
    return !busy;
}

int64_t pools_tidy(struct pools *p, int64_t now_ms)
{
    int64_t freed = 0;
    if (p->used <= p->config.instances / 4 * 3)
        return 0;
    for (int64_t i = 0; i < p->cap; i++) {
        if (p->pool[i].born == 0 || !idle(p, i, now_ms))
            continue;
        forget(p, i);
        freed++;
    }
    return freed;
}

/* ---- configuration ---- */

/* Where each pool of the present configuration stands in the next one, -1 = gone. */
static void map_specs(const struct pool_config *now, const struct pool_config *next,
                      int32_t map[POOL_SPECS_MAX])
{
    for (int i = 0; i < now->n; i++) {
        const struct pool_spec *a = &now->spec[i];
        map[i] = -1;
        for (int j = 0; j < next->n; j++) {
            const struct pool_spec *b = &next->spec[j];
            int parent = a->parent < 0 ? -1 : map[a->parent];
            if (strcmp(a->name, b->name) == 0 && a->each == b->each && parent == b->parent &&
                (a->parent < 0 || parent >= 0))
                map[i] = j;
        }
    }
}

bool pools_room(struct pools *p, int64_t cap)
{
    struct pools more = {0};
    if (cap <= p->cap)
        return true;
    if (!allocate(&more, cap)) {
        release(&more);
        return false;
    }
    memcpy(more.pool, p->pool, (size_t)p->cap * sizeof *p->pool);
    memcpy(more.dirty, p->dirty, (size_t)pages(p->cap));
    more.config = p->config;
    more.used = p->used;
    more.watch = p->watch;
    more.watch_ctx = p->watch_ctx;
    release(p);
    *p = more;
    return true;
}

void pools_rename(struct pools *p, const char *old_name, const char *new_name)
{
    if (!p->by_model || strcmp(old_name, new_name) == 0)
        return;
    for (int64_t i = 0; i < p->cap; i++) {
        struct pool *pool = &p->pool[i];
        if (pool->born == 0 || p->config.spec[pool->spec].each != POOL_MODEL ||
            strcmp(pool->value, old_name) != 0)
            continue;
        memset(pool->value, 0, sizeof pool->value);
        memcpy(pool->value, new_name, strlen(new_name));
        pools_touch(p, i);
    }
}

bool pools_configure(struct pools *p, const struct pool_config *config)
{
    int32_t map[POOL_SPECS_MAX];
    if (!pools_room(p, config->instances))
        return false;
    map_specs(&p->config, config, map);
    for (int64_t i = 0; i < p->cap && p->used > 0; i++) {
        struct pool *pool = &p->pool[i];
        if (pool->born == 0)
            continue;
        pools_touch(p, i);
        pool->spec = map[pool->spec];
        if (pool->spec < 0)
            memset(pool, 0, sizeof *pool);
    }
    p->config = *config;
    bool whole = pools_reindex(p);
    assert(whole);
    return true;
}

bool pools_reindex(struct pools *p)
{
    memset(p->head, 0, (size_t)p->heads * sizeof *p->head);
    memset(p->children, 0, (size_t)p->cap * sizeof *p->children);
    memset(p->instances, 0, sizeof p->instances);
    p->used = p->lowest = 0;
    derive(p);
    for (int64_t i = 0; i < p->cap; i++) {
        const struct pool *pool = &p->pool[i];
        if (pool->born == 0)
            continue;
        int up = p->config.spec[pool->spec].parent;
        bool has = pool->parent >= 0 && pool->parent < p->cap && p->pool[pool->parent].born > 0;
        if (up < 0 ? pool->parent != -1 : !has || p->pool[pool->parent].spec != up)
            return false;
        link_in(p, i);
    }
    return true;
}

/* ---- snapshots ---- */

static void put_pace(struct filler *out, const struct pool_pace *a)
{
    put_u32(out, a->joined);
    if (a->joined == 0) /* most pools do not pace */
        return;
    for (int u = 0; u < POOL_UNITS; u++) {
        put_u32(out, a->round[u]);
        put_u32(out, (uint32_t)a->since[u]);
        put_i64(out, a->start_ms[u]);
        put_f64(out, a->mu[u]);
        put_f64(out, a->rate[u]);
        put_f64(out, a->least[u]);
    }
    put_f64(out, a->count);
    put_f64(out, a->base);
    put_i64(out, a->week);
}

static void get_pace(struct reader *in, struct pool_pace *a)
{
    a->joined = get_u32(in);
    if (a->joined == 0)
        return;
    for (int u = 0; u < POOL_UNITS; u++) {
        a->round[u] = get_u32(in);
        a->since[u] = (int32_t)get_u32(in);
        a->start_ms[u] = get_i64(in);
        a->mu[u] = get_f64(in);
        a->rate[u] = get_f64(in);
        a->least[u] = get_f64(in);
    }
    a->count = get_f64(in);
    a->base = get_f64(in);
    a->week = get_i64(in);
}

void pools_put_page(const struct pools *p, int64_t page, struct filler *out)
{
    for (int64_t i = page * POOL_PAGE; i < (page + 1) * POOL_PAGE && i < p->cap; i++) {
        const struct pool *pool = &p->pool[i];
        put_u64(out, pool->born);
        if (pool->born == 0)
            continue;
        put_u32(out, (uint32_t)pool->spec);
        put_u32(out, (uint32_t)pool->parent);
        put_str(out, pool->value);
        put_i64(out, pool->last_ms);
        put_u8(out, (uint8_t)pool->n_books);
        for (int b = 0; b < pool->n_books; b++) {
            put_i64(out, pool->book[b].start);
            for (int c = 0; c < BOOK_COLUMNS; c++) {
                for (int u = 0; u < POOL_UNITS; u++)
                    put_i64(out, pool->book[b].sum[c][u]);
            }
        }
        for (int u = 0; u < POOL_UNITS; u++)
            put_i64(out, pool->fuse_level[u]);
        put_i64(out, pool->fuse_ms);
        put_i64(out, pool->tripped_ms);
        put_u64(out, pool->trips);
        put_u64(out, pool->overruns);
        for (int u = 0; u < POOL_UNITS; u++)
            put_i64(out, pool->stranded[u]);
        put_pace(out, &pool->pace);
    }
}

/* False for books that cannot be: out of order, or with negative sums. */
static bool get_books(struct pool *pool, struct reader *in)
{
    pool->n_books = get_u8(in);
    if (pool->n_books < 1 || pool->n_books > POOL_BOOKS)
        return false;
    for (int b = 0; b < pool->n_books; b++) {
        struct pool_book *book = &pool->book[b];
        book->start = get_i64(in);
        if (b == 0 ? book->start != INT64_MIN : book->start <= book[-1].start)
            return false;
        for (int c = 0; c < BOOK_COLUMNS; c++) {
            for (int u = 0; u < POOL_UNITS; u++) {
                book->sum[c][u] = get_i64(in);
                if (book->sum[c][u] < 0)
                    return false;
            }
        }
    }
    return true;
}

bool pools_get_page(struct pools *p, int64_t page, struct reader *in)
{
    for (int64_t i = page * POOL_PAGE; i < (page + 1) * POOL_PAGE && i < p->cap; i++) {
        struct pool *pool = &p->pool[i];
        memset(pool, 0, sizeof *pool);
        uint64_t born = get_u64(in);
        if (born == 0)
            continue;
        pool->spec = (int32_t)get_u32(in);
        pool->parent = (int32_t)get_u32(in);
        get_str(in, pool->value, sizeof pool->value);
        pool->last_ms = get_i64(in);
        if (pool->spec < 0 || pool->spec >= p->config.n || !get_books(pool, in))
            return false;
        for (int u = 0; u < POOL_UNITS; u++)
            pool->fuse_level[u] = get_i64(in);
        pool->fuse_ms = get_i64(in);
        pool->tripped_ms = get_i64(in);
        pool->trips = get_u64(in);
        pool->overruns = get_u64(in);
        for (int u = 0; u < POOL_UNITS; u++)
            pool->stranded[u] = get_i64(in);
        get_pace(in, &pool->pace);
        if (in->bad || pool->fuse_level[POOL_NANO] < 0 || pool->fuse_level[POOL_TOKENS] < 0)
            return false;
        pool->born = born;
    }
    pools_touch(p, page * POOL_PAGE);
    return !in->bad;
}
