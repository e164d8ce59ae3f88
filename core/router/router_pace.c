/* SPDX-License-Identifier: MIT */
/*
 * Pools that pace, at the decision and after it: where multipliers meet books and windows. A
 * multiplier counts in the window that it was solved in. When that has passed (or before there is
 * one) the decision solves for itself, so that the last hours of a tight month do not price the
 * first request of the next.
 *
 * A pool of one model makes that model dearer and no other, so what it asks for is taken from the
 * model's merit. Other budgets solve as if it were not there: they then see a model more than there
 * may be, and what they spend too little or too much they correct as ever.
 */
#include <math.h>
#include "bandit/policy/policy.h"
#include "core/router/router_state.h"

/* The window of entry i of a path, which is an instance's or that of one which would be made. */
static void prospect(const struct router *r, const struct pool_path *path, int i,
                     enum pool_unit unit, struct pool_prospect *out)
{
    struct pool_entry e = path->entry[i];
    int64_t cap = e.cap[unit] > 0 ? e.cap[unit] : 0, part = e.window.end - e.window.start;
    bool rolls = r->params.pools.spec[e.spec].window.kind == WINDOW_ROLLING;
    *out = (struct pool_prospect){
        .at = e.at,
        .part = pool_pacer_part(&r->pool_pacers, &r->pools, e.spec, e.at, path->now_ms),
        .cap = cap,
        .now_ms = path->now_ms,
        .start_ms = e.window.start,
        .n = rolls ? WINDOW_PARTS + 1 : 1};
    for (int k = 0; k < out->n; k++) {
        int64_t used = pools_used(&r->pools, &e, unit);
        out->until[k].left = cap > used ? cap - used : 0;
        out->until[k].end_ms = e.window.end + k * part;
        e.window.since += part;
    }
}

static bool paces(const struct router *r, const struct pool_entry *e)
{
    return r->pool_pacers.on >> e->spec & 1;
}

/* Whether a paced pool makes every model dearer. */
static bool common(const struct router *r, const struct pool_entry *e)
{
    return r->pool_pacers.of[e->spec].counted == UINT64_MAX;
}

static uint64_t paced_on(const struct router *r, const struct pool_path *path)
{
    uint64_t paced = 0;
    for (int i = 0; i < path->n; i++)
        paced |= (uint64_t)paces(r, &path->entry[i]) << path->entry[i].spec;
    return paced;
}

uint64_t router_paced(const struct router *r, int64_t now_ms, const struct event_decided *d)
{
    struct pool_path path;
    uint64_t paced = 0;
    for (uint64_t m = r->pool_pacers.on ? d->eligible : 0; m; m &= m - 1) {
        router_path(r, now_ms, d, __builtin_ctzll(m), &path);
        paced |= paced_on(r, &path);
        if (!r->pools.by_model)
            break;
    }
    return paced;
}

/* The path of the paced pools that look at no model. */
static void common_path(const struct router *r, int64_t now_ms, const struct event_decided *d,
                        struct pool_path *path)
{
    path->n = 0;
    if (d->charge.paced)
        router_path(r, now_ms, d, __builtin_ctzll(d->eligible), path);
}

double router_paced_rate(const struct router *r, int64_t now_ms, const struct event_decided *d)
{
    struct pool_path path;
    double rate = r->pacer.rate_usd;
    common_path(r, now_ms, d, &path);
    for (int i = 0; i < path.n; i++) {
        const struct pool_entry *e = &path.entry[i];
        double other = e->at >= 0 && paces(r, e) && common(r, e)
                           ? r->pools.pool[e->at].pace.rate[POOL_NANO]
                           : 0;
        if (other > 0)
            rate = rate > 0 ? fmin(rate, other) : other;
    }
    return rate;
}

/* The multiplier of entry i of a path. */
static double multiplier(const struct router *r, const struct pool_path *path, int i,
                         enum pool_unit unit, const struct pace_entry *own)
{
    const struct pool_entry *e = &path->entry[i];
    struct pool_prospect at;
    if (!(r->pool_pacers.of[e->spec].units >> unit & 1))
        return 0;
    double known = pool_pacers_known(&r->pool_pacers, &r->pools, e->at, unit, e->window.start);
    if (known >= 0)
        return known;
    prospect(r, path, i, unit, &at);
    return pool_pacers_solve(&r->pool_pacers, &r->pacer, e->spec, unit, &at, own, r->pacer.rate_usd)
        .multiplier;
}

/* What the pools of one model ask for, of a model. */
static double toll(const struct router *r, int64_t now_ms, const struct event_decided *d, int arm,
                   const struct pace_entry *own)
{
    struct pool_path path;
    const struct arm_view *v = &d->view[arm];
    double sum = 0, tokens = (double)d->prompt_tokens + (double)v->mean[TARGET_TOKENS];
    router_path(r, now_ms, d, arm, &path);
    for (int i = 0; i < path.n; i++) {
        if (!paces(r, &path.entry[i]) || common(r, &path.entry[i]))
            continue;
        sum += multiplier(r, &path, i, POOL_NANO, own) * (double)v->cost_nano * 1e-9;
        sum += multiplier(r, &path, i, POOL_TOKENS, own) * tokens;
    }
    return sum;
}

static int best_of(const struct event_decided *d)
{
    int best = __builtin_ctzll(d->eligible);
    for (uint64_t m = d->eligible; m; m &= m - 1)
        if (decided_utility(d, __builtin_ctzll(m)) > decided_utility(d, best))
            best = __builtin_ctzll(m);
    return best;
}

static void take_tolls(const struct router *r, int64_t now_ms, const struct pace_entry *own,
                       struct event_decided *d)
{
    int before = best_of(d);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double asked = toll(r, now_ms, d, a, own);
        d->view[a].merit -= (float)asked;
        d->reasons |= asked > 0 ? REASON_BUDGET_PRESSURE : 0;
    }
    d->reasons |= best_of(d) != before ? REASON_DEGRADED : 0;
}

void router_price(const struct router *r, int64_t now_ms, struct event_decided *d)
{
    struct pace_entry own;
    struct pool_path path;
    d->multiplier = pacer_price(&r->pacer, d, &r->pool_pacers, policy_at(d->policy)->noisy);
    d->token_multiplier = 0;
    if (!d->charge.paced)
        return;
    pacer_view(d, &own);
    common_path(r, now_ms, d, &path);
    for (int i = 0; i < path.n; i++) {
        if (!paces(r, &path.entry[i]) || !common(r, &path.entry[i]))
            continue;
        d->multiplier += multiplier(r, &path, i, POOL_NANO, &own);
        d->token_multiplier += multiplier(r, &path, i, POOL_TOKENS, &own);
    }
    if (r->pools.by_model)
        take_tolls(r, now_ms, &own, d);
}

/* Under the cheapest choices; of an instance that has no solution yet as of the pool's others. */
static double least_of(const struct router *r, const struct pool_entry *e, enum pool_unit unit)
{
    const struct pool_pacer *p = &r->pool_pacers.of[e->spec];
    double own = e->at >= 0 ? r->pools.pool[e->at].pace.least[unit] : 0;
    return p->units >> unit & 1 ? own > 0 ? own : p->least[unit] : 0;
}

double router_shortage(const struct router *r, const struct pool_path *path, int i,
                       int64_t *wait_ms)
{
    const struct pool_entry *e = &path->entry[i];
    double shortage = 0;
    struct pool_prospect at = {.until[0].end_ms = path->now_ms};
    for (int u = 0; u < POOL_UNITS; u++) {
        double least = least_of(r, e, (enum pool_unit)u);
        if (!(least > 0))
            continue;
        prospect(r, path, i, (enum pool_unit)u, &at);
        double rate = pool_pacer_rate(&r->pool_pacers, e->spec, (enum pool_unit)u, &at);
        shortage = fmax(shortage, 1 - rate / least);
    }
    *wait_ms = (int64_t)(shortage * (double)(at.until[0].end_ms - path->now_ms));
    return shortage;
}

bool router_pace(const struct router *r, const struct pool_path *path, struct pace_state *out)
{
    const int last = path->n - 1;
    const struct pool_entry *e = &path->entry[last];
    struct pool_prospect at;
    int64_t wait_ms;
    bool binds = false, empty = false;
    *out = (struct pace_state){.step = PACE_FREE};
    if (!paces(r, e))
        return false;
    for (int u = 0; u < POOL_UNITS; u++) {
        if (!(r->pool_pacers.of[e->spec].units >> u & 1))
            continue;
        prospect(r, path, last, (enum pool_unit)u, &at);
        out->unit[u] = true;
        out->multiplier[u] = multiplier(r, path, last, (enum pool_unit)u, NULL);
        out->rate[u] = pool_pacer_rate(&r->pool_pacers, e->spec, (enum pool_unit)u, &at);
        out->least[u] = least_of(r, e, (enum pool_unit)u);
        out->requests =
            pool_pacer_requests(&r->pool_pacers, e->spec, &at, at.until[at.n - 1].end_ms);
        binds = binds || out->multiplier[u] > 0;
        empty = empty || at.until[0].left == 0;
    }
    out->shortage = router_shortage(r, path, last, &wait_ms);
    bool throttles = out->shortage > 0 && r->params.pools.spec[e->spec].throttle > 0;
    out->step = empty       ? PACE_REFUSING
                : throttles ? PACE_THROTTLING
                : binds     ? PACE_PACED
                            : PACE_FREE;
    return true;
}

bool router_pool_due(const struct router *r, int64_t now_ms, struct event_paced *out)
{
    int pool;
    enum pool_unit unit;
    struct pool_path path;
    struct pool_prospect at;
    const struct pace_entry *one[PACE_WINDOW];
    if (!pool_pacers_due(&r->pool_pacers, &r->pools, now_ms, &pool, &unit) ||
        !pacer_contexts(&r->pacer, one, 1) ||
        !pools_path_of(&r->pools, r->pool_pacers.of[pool].at, now_ms, &path))
        return false;
    prospect(r, &path, path.n - 1, unit, &at);
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
        !pool_pacers_adopt(&r->pool_pacers, &r->pools, &ev->paced,
                           pools_window(&r->pools, pool, ev->time_ms).start))
        return problem_set(problem, STATUS_INTERNAL, "", "pool %d is not paced", pool);
    return STATUS_OK;
}

/* The instances of the paced pools that a decision was or might have been charged to. */
void router_count_pace(struct router *r, const struct event *ev, const struct pool_hold *hold)
{
    const struct event_decided *d = &ev->decided;
    int32_t at[POOL_SPECS_MAX];
    uint64_t missing = d->charge.paced & r->pool_pacers.on;
    struct pool_path path;
    for (uint64_t m = missing; m; m &= m - 1)
        at[__builtin_ctzll(m)] = -1;
    for (int i = 0; i < hold->n; i++) {
        int spec = r->pools.pool[hold->at[i]].spec;
        at[spec] = (int32_t)hold->at[i];
        missing &= ~((uint64_t)1 << spec);
    }
    for (uint64_t m = missing ? d->eligible : 0; m; m &= m - 1) { /* of models not chosen */
        router_path(r, ev->time_ms, d, __builtin_ctzll(m), &path);
        for (int i = 0; i < path.n; i++)
            if (missing >> path.entry[i].spec & 1)
                at[path.entry[i].spec] = path.entry[i].at;
    }
    pool_pacers_count(&r->pool_pacers, &r->pools, d->charge.paced, at, ev->time_ms);
}

void router_pace_configure(struct router *r, const struct params *next)
{
    int8_t to[POOL_SPECS_MAX];
    pool_pacers_configure(&r->pool_pacers, &r->params.pools, &r->pools.config, &next->catalog, to);
    pacer_renumber(&r->pacer, to);
    pacer_configure(&r->pacer, &r->params, next);
}
