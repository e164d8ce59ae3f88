/* SPDX-License-Identifier: MIT */
#include "core/pool_pacer.h"

#include <math.h>
#include <string.h>

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

static void begin(struct pool_pacer *p)
{
    *p = (struct pool_pacer){.start_ms = INT64_MIN};
    forecast_init(&p->forecast);
}

/* The zone of a name in c, where c will stand. */
static const struct zone *zone_in(const struct pool_config *c, const struct pool_config *place,
                                  const char *name)
{
    for (int z = 0; z < c->n_zones; z++)
        if (strcmp(c->zone[z].name, name) == 0)
            return &place->zone[z];
    return NULL;
}

/* What is no longer paced in a unit asks for nothing in it. */
static void set_units(struct pool_pacer *p, uint8_t units)
{
    p->units = units;
    for (int u = 0; u < POOL_UNITS; u++) {
        p->since[u] = POOL_PACE_EVERY;
        if (!(units >> u & 1))
            p->mu[u] = p->rate[u] = p->least[u] = 0;
    }
}

void pool_pacers_configure(struct pool_pacers *p, const struct pool_config *was,
                           const struct pool_config *now, int8_t to[POOL_SPECS_MAX])
{
    struct pool_pacers next = {.all = p->all};
    for (int i = 0; i < POOL_SPECS_MAX; i++)
        to[i] = -1;
    for (int i = 0; i < now->n; i++) {
        int before = index_of(was, now->spec[i].name);
        if (before >= 0)
            to[before] = (int8_t)i;
        if (!now->spec[i].pace)
            continue;
        if (before >= 0 && (p->on >> before & 1))
            next.of[i] = p->of[before];
        else
            begin(&next.of[i]);
        set_units(&next.of[i], units_of(now, i));
        next.of[i].forecast.zone = zone_in(now, was, now->spec[i].zone);
        next.on |= (uint64_t)1 << i;
    }
    *p = next;
}

void pool_pacers_count(struct pool_pacers *p, uint64_t mask, int64_t now_ms)
{
    forecast_count(&p->all, now_ms);
    for (uint64_t m = mask & p->on; m; m &= m - 1) {
        struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        forecast_count(&one->forecast, now_ms);
        for (int u = 0; u < POOL_UNITS; u++)
            one->since[u]++;
    }
}

struct pace_price pool_pacers_price(const struct pool_pacers *p, uint64_t mask)
{
    struct pace_price sum = {0};
    for (uint64_t m = mask & p->on; m; m &= m - 1) {
        const struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        sum.usd += one->mu[POOL_NANO];
        sum.token += one->mu[POOL_TOKENS];
    }
    return sum;
}

bool pool_pacers_due(const struct pool_pacers *p, int *pool, enum pool_unit *unit)
{
    for (uint64_t m = p->on; m; m &= m - 1) {
        const struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        for (int u = 0; u < POOL_UNITS; u++) {
            if (!(one->units >> u & 1) || one->since[u] < POOL_PACE_EVERY)
                continue;
            *pool = __builtin_ctzll(m);
            *unit = (enum pool_unit)u;
            return true;
        }
    }
    return false;
}

double pool_pacer_requests(const struct pool_pacers *p, int pool, int64_t now_ms, int64_t until_ms)
{
    return forecast_requests(&p->of[pool].forecast, &p->all, now_ms, until_ms);
}

double pool_pacer_rate(const struct pool_pacers *p, int pool, enum pool_unit unit,
                       const struct pool_prospect *at)
{
    double one = unit == POOL_NANO ? 1e-9 : 1;
    double rate = INFINITY;
    for (int i = 0; i < at->n; i++) {
        double left = fmax((double)at->until[i].left - (1 - AIM) * (double)at->cap, 0) * one;
        double requests = pool_pacer_requests(p, pool, at->now_ms, at->until[i].end_ms);
        rate = fmin(rate, left / fmax(requests, 1));
    }
    return rate;
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
                        pace_entry_explored(entry[i], s->active, s->unit, rate_usd));
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
    if (unit == POOL_NANO && out.rate > 0)
        rate_usd = rate_usd > 0 ? fmin(rate_usd, out.rate) : out.rate;
    pace_search_begin(&s, unit, pacer->active);
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

bool pool_pacers_adopt(struct pool_pacers *p, const struct event_paced *s, int64_t start_ms)
{
    if (!(p->on >> s->pool & 1) || !(p->of[s->pool].units >> s->unit & 1))
        return false;
    struct pool_pacer *one = &p->of[s->pool];
    one->mu[s->unit] = s->multiplier;
    one->rate[s->unit] = s->rate;
    one->least[s->unit] = s->least;
    one->since[s->unit] = 0;
    one->start_ms = start_ms;
    return true;
}

void pool_pacers_put(struct filler *w, const struct pool_pacers *p)
{
    forecast_put(w, &p->all);
    for (uint64_t m = p->on; m; m &= m - 1) {
        const struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        put_i64(w, one->start_ms);
        for (int u = 0; u < POOL_UNITS; u++) {
            put_i64(w, one->since[u]);
            put_f64(w, one->mu[u]);
            put_f64(w, one->rate[u]);
            put_f64(w, one->least[u]);
        }
        forecast_put(w, &one->forecast);
    }
}

void pool_pacers_get(struct reader *r, struct pool_pacers *p)
{
    forecast_get(r, &p->all);
    for (uint64_t m = p->on; m; m &= m - 1) {
        struct pool_pacer *one = &p->of[__builtin_ctzll(m)];
        one->start_ms = get_i64(r);
        for (int u = 0; u < POOL_UNITS; u++) {
            one->since[u] = get_i64(r);
            one->mu[u] = get_f64(r);
            one->rate[u] = get_f64(r);
            one->least[u] = get_f64(r);
        }
        forecast_get(r, &one->forecast);
    }
}
