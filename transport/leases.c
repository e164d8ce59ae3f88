/* SPDX-License-Identifier: MIT */
/*
 * Considered: a lease as an event of its own, renewed when it runs low. Every renewal would be a
 * commit to wait for, and what is unspent would be locked away while all goes well; a block that
 * follows from the configuration costs nothing before a crash.
 */
#include "transport/leases.h"

#include <stdlib.h>
#include <string.h>
#include "core/budget/pools.h"

/* Of an instance; by number of the batch, odd and even. */
struct lease {
    uint64_t born;      /* the instance's: slots are used again */
    int64_t durable_ms; /* of its latest durable decision */
    uint64_t batch[2];  /* 0 = none */
    int64_t last_ms[2]; /* of its latest decision in that batch */
    int64_t ahead[2][POOL_UNITS];
};
struct leases {
    struct lease *of;
    int64_t n;
    uint64_t filling, durable, configured; /* batches */
};

struct leases *leases_new(void)
{
    struct leases *l = calloc(1, sizeof *l);
    if (l)
        l->filling = 1;
    return l;
}

void leases_free(struct leases *l)
{
    if (!l)
        return;
    free(l->of);
    free(l);
}

void leases_configured(struct leases *l)
{
    l->configured = l->filling;
}

void leases_launched(struct leases *l)
{
    l->filling++;
}

void leases_landed(struct leases *l)
{
    l->durable = l->filling - 1;
}

static bool room(struct leases *l, int64_t slots)
{
    if (slots <= l->n)
        return true;
    struct lease *more = realloc(l->of, (size_t)slots * sizeof *more);
    if (!more)
        return false;
    memset(more + l->n, 0, (size_t)(slots - l->n) * sizeof *more);
    l->of = more;
    l->n = slots;
    return true;
}

/* The lease of an instance as of now: what has become durable is no longer ahead. */
static struct lease *look(struct leases *l, const struct pool *pool, uint32_t at)
{
    struct lease *e = &l->of[at];
    if (e->born != pool->born)
        *e = (struct lease){.born = pool->born, .durable_ms = INT64_MIN};
    for (int k = 0; k < 2; k++) {
        if (e->batch[k] == 0 || e->batch[k] > l->durable)
            continue;
        e->durable_ms = e->last_ms[k] > e->durable_ms ? e->last_ms[k] : e->durable_ms;
        e->batch[k] = 0;
        memset(e->ahead[k], 0, sizeof e->ahead[k]);
    }
    return e;
}

static bool lends(const struct lease *e, const struct pool_config *c, int spec,
                  const int64_t amount[POOL_UNITS], int64_t now_ms)
{
    bool promised = false;
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t block = pools_lease(c, spec, (enum pool_unit)u);
        if (block < 0)
            continue;
        promised = true;
        if (amount[u] > block - e->ahead[0][u] - e->ahead[1][u])
            return false;
    }
    return !promised || (e->durable_ms != INT64_MIN && /* for the difference below */
                         now_ms - e->durable_ms <= POOL_LEASE_IDLE_MS);
}

bool leases_take(struct leases *l, const struct router *r, uint64_t seq, int64_t now_ms)
{
    const struct pools *p = router_pools(r);
    struct pool_hold hold;
    const int k = (int)(l->filling & 1);
    struct lease *lease[POOL_PATH_MAX];
    bool ahead = l->configured <= l->durable;
    if (p->config.n == 0)
        return ahead;
    if (!router_hold(r, seq, &hold) || !room(l, p->cap))
        return false;
    for (int i = 0; i < hold.n; i++) {
        const struct pool *pool = &p->pool[hold.at[i]];
        struct lease *e = lease[i] = look(l, pool, hold.at[i]);
        e->batch[k] = l->filling;
        e->last_ms[k] = now_ms;
        if (hold.strict >> i & 1)
            ahead = ahead && lends(e, &p->config, pool->spec, hold.reserved[POOL_STRICT], now_ms);
    }
    for (int i = 0; ahead && i < hold.n; i++)
        for (int u = 0; u < POOL_UNITS && (hold.strict >> i & 1); u++)
            lease[i]->ahead[k][u] += hold.reserved[POOL_STRICT][u];
    return ahead;
}
