/* SPDX-License-Identifier: MIT */
#include "core/budget/pool_pacer.h"

#include <math.h>
#include <string.h>
#include "core/config/catalog.h"

enum { WEEK_MS = 7 * 24 * 3600 * 1000, WEEKS_MOST = 60, MEAN_OF = 16 };
/* Requests that a new member is taken to have had, with the pool's that go with them. */
static const double USUAL = 8;
/* Of the cap. What is reserved for requests under way must fit as well. */
static const double AIM = 0.99;

/* A share has the units of what it is a share of. */
static uint8_t units_of(const struct pool_config *c, int i)
{
    const struct pool_spec *s = &c->spec[i];
    while ((s->has & POOL_HAS_SHARE) && s->parent >= 0)
        s = &c->spec[s->parent];
    return (uint8_t)(s->has & (POOL_HAS_USD | POOL_HAS_TOKENS));
}

static int index_of(const struct pool_config *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->spec[i].name, name) == 0)
            return i;
    return -1;
}

void pool_pacers_init(struct pool_pacers *p)
{
    *p = (struct pool_pacers){.on = 0};
    forecast_init(&p->all);
}

static const struct zone *zone_in(const struct pool_config *c, const char *name)
{
    for (int z = 0; z < c->n_zones; z++)
        if (strcmp(c->zone[z].name, name) == 0)
            return &c->zone[z];
    return NULL;
}

/* The models that a pool counts. */
static uint64_t counted_of(const struct pool_config *c, const struct catalog *catalog, int i)
{
    for (; i >= 0; i = c->spec[i].parent) {
        const char *name = c->spec[i].match[POOL_MODEL];
        int arm = name[0] ? catalog_find(catalog, name) : -1;
        if (name[0])
            return arm >= 0 ? (uint64_t)1 << arm : 0;
    }
    return UINT64_MAX;
}

static bool many_of(const struct pool_config *c, int i)
{
    while (i >= 0 && c->spec[i].each < 0)
        i = c->spec[i].parent;
    return i >= 0;
}

static void begin(struct pool_pacers *p, int i)
{
    p->of[i] = (struct pool_pacer){.begun = p->round};
    forecast_init(&p->of[i].forecast);
}

void pool_pacers_configure(struct pool_pacers *p, const struct pool_config *was,
                           const struct pool_config *now, const struct catalog *catalog,
                           int8_t to[POOL_SPECS_MAX])
{
    struct pool_pacers next = {.all = p->all, .round = p->round + 1};
    for (int i = 0; i < POOL_SPECS_MAX; i++)
        to[i] = -1;
    for (int i = 0; i < now->n; i++) {
        int before = index_of(was, now->spec[i].name);
        if (before >= 0)
            to[before] = (int8_t)i;
        if (!now->spec[i].pace)
            continue;
        begin(&next, i);
        if (before >= 0 && (p->on >> before & 1))
            next.of[i] = p->of[before];
        struct pool_pacer *one = &next.of[i];
        one->units = units_of(now, i);
        one->many = many_of(now, i);
        one->counted = counted_of(now, catalog, i);
        one->forecast.zone = zone_in(now, now->spec[i].zone);
        one->at = -1;
        for (int u = 0; u < POOL_UNITS; u++)
            if (!(one->units >> u & 1)) /* what is no longer paced asks for nothing */
                one->mu[u] = one->least[u] = 0;
        next.on |= (uint64_t)1 << i;
    }
    *p = next;
}

/* ---- requests, and whose they are ---- */

/* What is left of a count after so many weeks. */
static double halved(double count, int64_t weeks)
{
    if (weeks > WEEKS_MOST)
        return 0;
    for (; weeks > 0; weeks--)
        count *= 0.5;
    return count;
}

/* Whether what stands with an instance is of this pacing. */
static bool joined(const struct pool_pacer *one, const struct pool_pace *a)
{
    return a->joined >= one->begun && a->joined > 0;
}

static void count_member(const struct pool_pacers *p, struct pool_pacer *one, struct pool_pace *a)
{
    if (!joined(one, a)) /* the request in hand is no base of its own */
        *a = (struct pool_pace){.joined = p->round, .base = one->count - 1, .week = one->week};
    a->count = halved(a->count, one->week - a->week) + 1;
    a->base = halved(a->base, one->week - a->week);
    a->week = one->week;
    for (int u = 0; u < POOL_UNITS; u++)
        a->since[u]++;
}

void pool_pacers_count(struct pool_pacers *p, struct pools *pools, uint64_t mask,
                       const int32_t at[POOL_SPECS_MAX], int64_t now_ms)
{
    forecast_count(&p->all, now_ms);
    for (uint64_t m = mask & p->on; m; m &= m - 1) {
        int i = __builtin_ctzll(m);
        struct pool_pacer *one = &p->of[i];
        forecast_count(&one->forecast, now_ms);
        one->count = halved(one->count, now_ms / WEEK_MS - one->week) + 1;
        one->week = now_ms / WEEK_MS;
        one->at = at[i];
        if (at[i] >= 0)
            count_member(p, one, pools_pace(pools, at[i]));
    }
}

double pool_pacer_part(const struct pool_pacers *p, const struct pools *pools, int pool, int32_t at,
                       int64_t now_ms)
{
    const struct pool_pacer *one = &p->of[pool];
    double mine = 0, all = 0, members = pools->instances[pool] + (at < 0);
    if (!one->many)
        return 1;
    if (at >= 0 && joined(one, &pools->pool[at].pace)) {
        const struct pool_pace *a = &pools->pool[at].pace;
        int64_t week = now_ms / WEEK_MS;
        mine = halved(a->count, week - a->week);
        all = halved(one->count, week - one->week) - halved(a->base, week - a->week);
    }
    return fmin((mine + USUAL) / (fmax(all, mine) + USUAL * fmax(members, 1)), 1);
}

double pool_pacer_requests(const struct pool_pacers *p, int pool, const struct pool_prospect *at,
                           int64_t until_ms)
{
    return at->part * forecast_requests(&p->of[pool].forecast, &p->all, at->now_ms, until_ms);
}

double pool_pacer_rate(const struct pool_pacers *p, int pool, enum pool_unit unit,
                       const struct pool_prospect *at)
{
    double one = unit == POOL_NANO ? 1e-9 : 1;
    double rate = INFINITY;
    for (int i = 0; i < at->n; i++) {
        double left = fmax((double)at->until[i].left - (1 - AIM) * (double)at->cap, 0) * one;
        double requests = pool_pacer_requests(p, pool, at, at->until[i].end_ms);
        rate = fmin(rate, left / fmax(requests, 1));
    }
    return rate;
}

/* ---- multipliers ---- */

struct pace_price pool_pacers_price(const struct pool_pacers *p, uint64_t mask)
{
    struct pace_price sum = {0};
    for (uint64_t m = mask & p->on; m; m &= m - 1) {
        const struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        if (one->counted != UINT64_MAX)
            continue;
        sum.usd += one->mu[POOL_NANO];
        sum.token += one->mu[POOL_TOKENS];
    }
    return sum;
}

double pool_pacers_known(const struct pool_pacers *p, const struct pools *pools, int32_t at,
                         enum pool_unit unit, int64_t start_ms)
{
    const struct pool_pace *a = at < 0 ? NULL : &pools->pool[at].pace;
    bool holds = a && a->joined > 0 && a->round[unit] == p->round && a->start_ms[unit] == start_ms;
    return holds ? a->mu[unit] : -1;
}

/* The latest instance, NULL if it is not there any more. */
static const struct pool *latest(const struct pool_pacers *p, const struct pools *pools, int pool)
{
    int32_t at = p->of[pool].at;
    const struct pool *one = at >= 0 && at < pools->cap ? &pools->pool[at] : NULL;
    return one && one->born > 0 && one->spec == pool && joined(&p->of[pool], &one->pace) ? one
                                                                                         : NULL;
}

/* With a decision since, so that an idle service has nothing to do when windows pass. */
bool pool_pacers_due(const struct pool_pacers *p, const struct pools *pools, int64_t now_ms,
                     int *pool, enum pool_unit *unit)
{
    for (uint64_t m = p->on; m; m &= m - 1) {
        int i = __builtin_ctzll(m);
        const struct pool *one = latest(p, pools, i);
        for (int u = 0; one && u < POOL_UNITS; u++) {
            const struct pool_pace *a = &one->pace;
            if (!(p->of[i].units >> u & 1) || a->since[u] == 0 ||
                (a->since[u] < POOL_PACE_EVERY &&
                 pool_pacers_known(p, pools, p->of[i].at, (enum pool_unit)u,
                                   pools_window(pools, i, now_ms).start) >= 0))
                continue;
            *pool = i;
            *unit = (enum pool_unit)u;
            return true;
        }
    }
    return false;
}

/* The contexts of the pool; of everybody while it has few. */
static void add_contexts(struct pace_search *s, const struct pool_pacers *p,
                         const struct pacer *pacer, int pool, double rate_usd,
                         const struct pace_entry *own)
{
    const struct pace_entry *entry[PACE_WINDOW];
    int n = pacer_contexts(pacer, entry, PACE_WINDOW), mine = 0;
    const uint64_t bit = (uint64_t)1 << pool;
    for (int i = 0; i < n; i++)
        mine += (entry[i]->pools & bit) != 0;
    if (n == 0 && own)
        entry[n++] = own;
    for (int i = 0; i < n; i++) {
        if (mine >= POOL_CONTEXTS_LEAST && !(entry[i]->pools & bit))
            continue;
        pace_search_add(s, entry[i], pool_pacers_price(p, entry[i]->pools & ~bit),
                        pace_entry_explored(entry[i], s->active, s->counted, s->unit, rate_usd));
    }
}

struct event_paced pool_pacers_solve(const struct pool_pacers *p, const struct pacer *pacer,
                                     int pool, enum pool_unit unit, const struct pool_prospect *at,
                                     const struct pace_entry *own, double rate_usd)
{
    struct pace_search s;
    struct event_paced out = {.pool = (int8_t)pool, .unit = (uint8_t)unit};
    const struct pool_pacer *one = &p->of[pool];
    out.rate = pool_pacer_rate(p, pool, unit, at);
    if (unit == POOL_NANO && out.rate > 0 && one->counted == UINT64_MAX)
        rate_usd = rate_usd > 0 ? fmin(rate_usd, out.rate) : out.rate;
    pace_search_begin(&s, unit, pacer->active, one->counted);
    add_contexts(&s, p, pacer, pool, rate_usd, own);
    if (s.n == 0)
        return out;
    for (int k = 0; k < s.n; k++)
        s.other[k].usd += pacer->mu;
    double truth = unit == POOL_NANO ? pacer_truth(pacer) : 1; /* the window has predictions */
    out.least = truth * pace_search_least(&s);
    double meet = fmax(out.rate, 1.001 * out.least) / truth;
    if (!(meet > 0)) /* nothing costs anything */
        return out;
    double guess = one->mu[unit] > 0 ? 2 * one->mu[unit] : 0.01 / meet;
    out.multiplier = pace_search_find(&s, 0, meet, guess, 1e6 / meet, &out.wanted);
    out.wanted *= truth;
    return out;
}

/* One instance has its own solution; of many, what other budgets are to expect is the mean. */
static void blend(double *mean, double v, int members)
{
    double weight = members < 1 ? 1 : members < MEAN_OF ? members : MEAN_OF;
    *mean += (v - *mean) / weight;
}

bool pool_pacers_adopt(struct pool_pacers *p, struct pools *pools, const struct event_paced *s,
                       int64_t start_ms)
{
    const int u = s->unit;
    if (!(p->on >> s->pool & 1) || !(p->of[s->pool].units >> u & 1) || !latest(p, pools, s->pool))
        return false;
    struct pool_pacer *one = &p->of[s->pool];
    struct pool_pace *a = pools_pace(pools, one->at);
    a->mu[u] = s->multiplier;
    a->rate[u] = s->rate;
    a->least[u] = s->least;
    a->since[u] = 0;
    a->round[u] = p->round;
    a->start_ms[u] = start_ms;
    blend(&one->mu[u], s->multiplier, pools->instances[s->pool]);
    blend(&one->least[u], s->least, pools->instances[s->pool]);
    return true;
}

void pool_pacers_put(struct filler *w, const struct pool_pacers *p)
{
    forecast_put(w, &p->all);
    put_u32(w, p->round);
    for (uint64_t m = p->on; m; m &= m - 1) {
        const struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        put_u32(w, one->begun);
        put_u32(w, (uint32_t)one->at);
        for (int u = 0; u < POOL_UNITS; u++) {
            put_f64(w, one->mu[u]);
            put_f64(w, one->least[u]);
        }
        put_f64(w, one->count);
        put_i64(w, one->week);
        forecast_put(w, &one->forecast);
    }
}

void pool_pacers_get(struct reader *r, struct pool_pacers *p)
{
    forecast_get(r, &p->all);
    p->round = get_u32(r);
    for (uint64_t m = p->on; m; m &= m - 1) {
        struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        one->begun = get_u32(r);
        one->at = (int32_t)get_u32(r);
        for (int u = 0; u < POOL_UNITS; u++) {
            one->mu[u] = get_f64(r);
            one->least[u] = get_f64(r);
        }
        one->count = get_f64(r);
        one->week = get_i64(r);
        forecast_get(r, &one->forecast);
    }
}
