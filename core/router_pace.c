/* SPDX-License-Identifier: MIT */
/*
 * Pools that pace, at the decision and after it: where multipliers meet books and windows. A
 * multiplier counts in the window that it was solved in. When that has passed (or before there is
 * one) the decision solves for itself, so that the last hours of a tight month do not price the
 * first request of the next.
 */
#include <math.h>
#include "bandit/policy.h"
#include "core/router_state.h"

/* A paced pool has one instance, or none yet. */
static void prospect(const struct router *r, int pool, enum pool_unit unit, int64_t now_ms,
                     struct pool_prospect *out)
{
    struct pool_path path;
    (void)pools_path_unused(&r->pools, pool, now_ms, &path);
    struct pool_entry e = path.entry[path.n - 1];
    int64_t cap = e.cap[unit] > 0 ? e.cap[unit] : 0, part = e.window.end - e.window.start;
    bool rolls = r->params.pools.spec[pool].window.kind == WINDOW_ROLLING;
    *out = (struct pool_prospect){.cap = cap,
                                  .now_ms = now_ms,
                                  .start_ms = e.window.start,
                                  .n = rolls ? WINDOW_PARTS + 1 : 1};
    for (int i = 0; i < out->n; i++) {
        int64_t used = pools_used(&r->pools, &e, unit);
        out->until[i].left = cap > used ? cap - used : 0;
        out->until[i].end_ms = e.window.end + i * part;
        e.window.since += part;
    }
}

double router_paced_rate(const struct router *r, uint64_t mask)
{
    double rate = r->pacer.rate_usd;
    for (uint64_t m = mask & r->pool_pacers.on; m; m &= m - 1) {
        double other = r->pool_pacers.of[__builtin_ctzll(m)].rate[POOL_NANO];
        if (other > 0)
            rate = rate > 0 ? fmin(rate, other) : other;
    }
    return rate;
}

/* The multiplier of a pool for a decision. */
static double multiplier(const struct router *r, int pool, enum pool_unit unit, int64_t now_ms,
                         const struct pace_entry *own)
{
    const struct pool_pacer *p = &r->pool_pacers.of[pool];
    struct pool_prospect at;
    if (!(p->units >> unit & 1))
        return 0;
    if (p->start_ms == pools_window(&r->pools, pool, now_ms).start)
        return p->mu[unit];
    prospect(r, pool, unit, now_ms, &at);
    return pool_pacers_solve(&r->pool_pacers, &r->pacer, pool, unit, &at, own, r->pacer.rate_usd)
        .multiplier;
}

void router_price(const struct router *r, int64_t now_ms, struct event_decided *d)
{
    struct pace_entry own;
    d->multiplier = pacer_price(&r->pacer, d, &r->pool_pacers, policy_at(d->policy)->noisy);
    d->token_multiplier = 0;
    if (!d->charge.paced)
        return;
    pacer_view(d, &own);
    for (uint64_t m = d->charge.paced; m; m &= m - 1) {
        int pool = __builtin_ctzll(m);
        d->multiplier += multiplier(r, pool, POOL_NANO, now_ms, &own);
        d->token_multiplier += multiplier(r, pool, POOL_TOKENS, now_ms, &own);
    }
}

bool router_pace(const struct router *r, int pool, struct pace_state *out)
{
    const struct pool_pacer *p = &r->pool_pacers.of[pool];
    struct pool_prospect at;
    int64_t wait_ms;
    bool binds = false, empty = false;
    *out = (struct pace_state){.step = PACE_FREE};
    if (!(r->pool_pacers.on >> pool & 1))
        return false;
    for (int u = 0; u < POOL_UNITS; u++) {
        if (!(p->units >> u & 1))
            continue;
        prospect(r, pool, (enum pool_unit)u, r->clock_ms, &at);
        out->unit[u] = true;
        out->multiplier[u] = p->start_ms == at.start_ms ? p->mu[u] : 0;
        out->rate[u] = pool_pacer_rate(&r->pool_pacers, pool, (enum pool_unit)u, &at);
        out->least[u] = p->least[u];
        out->requests =
            pool_pacer_requests(&r->pool_pacers, pool, at.now_ms, at.until[at.n - 1].end_ms);
        binds = binds || out->multiplier[u] > 0;
        empty = empty || at.until[0].left == 0;
    }
    out->shortage = router_shortage(r, pool, r->clock_ms, &wait_ms);
    bool throttles = out->shortage > 0 && r->params.pools.spec[pool].throttle > 0;
    out->step = empty       ? PACE_REFUSING
                : throttles ? PACE_THROTTLING
                : binds     ? PACE_PACED
                            : PACE_FREE;
    return true;
}

double router_shortage(const struct router *r, int pool, int64_t now_ms, int64_t *wait_ms)
{
    const struct pool_pacer *p = &r->pool_pacers.of[pool];
    double shortage = 0;
    struct pool_prospect at = {.until[0].end_ms = now_ms};
    for (int u = 0; u < POOL_UNITS; u++) {
        if (!(p->units >> u & 1) || !(p->least[u] > 0))
            continue;
        prospect(r, pool, (enum pool_unit)u, now_ms, &at);
        double rate = pool_pacer_rate(&r->pool_pacers, pool, (enum pool_unit)u, &at);
        shortage = fmax(shortage, 1 - rate / p->least[u]);
    }
    *wait_ms = (int64_t)(shortage * (double)(at.until[0].end_ms - now_ms));
    return shortage;
}

bool router_pool_due(const struct router *r, int64_t now_ms, struct event_paced *out)
{
    int pool;
    enum pool_unit unit;
    struct pool_prospect at;
    const struct pace_entry *one[PACE_WINDOW];
    if (!pool_pacers_due(&r->pool_pacers, &pool, &unit) || !pacer_contexts(&r->pacer, one, 1))
        return false;
    prospect(r, pool, unit, now_ms, &at);
    *out = pool_pacers_solve(&r->pool_pacers, &r->pacer, pool, unit, &at, NULL, r->pacer.rate_usd);
    return true;
}

enum status router_apply_paced(struct router *r, const struct event *ev, struct problem *problem)
{
    int pool = ev->paced.pool;
    if (pool < 0) {
        pacer_adopt(&r->pacer, &ev->paced);
        return STATUS_OK;
    }
    if (pool >= r->params.pools.n ||
        !pool_pacers_adopt(&r->pool_pacers, &ev->paced,
                           pools_window(&r->pools, pool, ev->time_ms).start))
        return problem_set(problem, STATUS_INTERNAL, "", "pool %d is not paced", pool);
    return STATUS_OK;
}

void router_pace_configure(struct router *r, const struct params *next)
{
    int8_t to[POOL_SPECS_MAX];
    pool_pacers_configure(&r->pool_pacers, &r->params.pools, &next->pools, to);
    pacer_renumber(&r->pacer, to);
    pacer_configure(&r->pacer, &r->params, next);
}
