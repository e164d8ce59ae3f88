/* SPDX-License-Identifier: MIT */
/*
 * The multiplier is the dual price of the budget: the smallest mu >= 0 at which the mean cost of
 *   argmax_a u_a(x) - mu c_a(x)
 * over the recent window is at most the target. Solving on the window replaces a gradient step,
 * whose size is the costliest tunable of a pacer.
 *
 * What was over- or underspent so far is carried, and worked off over two horizons. The short one
 * keeps any few hundred requests near the rate: over 200 of them the surplus is the change of the
 * carry, and that has a deviation of about sqrt(short horizon / 2) times the cost's. The long one
 * says what the budget is worth: mu may depart from its solution by SWING only, because where
 * models differ much in price a debt of one dear call would else be saved on every cheap one, at
 * any price. Bills that differ from what was booked are luck for the most part; they come into the
 * carry little by little, so that booked spending does not follow that luck.
 *
 * What is not wanted is not hoarded: while the window would cost less than the rate at no price at
 * all, what the rate leaves over only pays debts. Else a time of cheap models, in which nothing
 * needs saving, would pay for hundreds of dear calls when it ends.
 */
#include "core/pacer.h"

#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/params.h"

static const double LONG = 200; /* requests over which a carry is worked off ... */
static const double SHORT = 20;
static const double SWING = 3;          /* factor between the two solutions */
static const double SPARE_LEAST = 0.05; /* of the rate: exploration never ends */
static const double AIM = 0.99;         /* of the rate: what noise adds at the end must find room */
static const double FASTEST = 1.5;      /* most that the target may exceed the rate */
static const double SLOWEST = 0.3;      /* least, so that one dear call does not stop the service */

double pacer_share(double rate_usd, double least_usd, double cost_usd)
{
    double spare = fmax(rate_usd - least_usd, SPARE_LEAST * rate_usd);
    return cost_usd > spare && cost_usd > least_usd ? spare / cost_usd : 1;
}

/* Nearly normal (sum of 12 uniforms - 6), by additions only: it reaches state. */
static double noise(uint64_t seq, int arm)
{
    struct rng g = rng_stream(0x70616365, seq, (uint64_t)arm);
    double z = -6;
    for (int i = 0; i < 12; i++)
        z += rng_uniform(&g);
    return z;
}

/* Expected cost of an exploring draw from what an entry holds. */
static double explored_usd(const struct pacer *p, const struct pace_entry *e)
{
    double explored = 0, shares = 0, least = INFINITY;
    for (uint64_t m = e->eligible & p->active; m; m &= m - 1)
        least = fmin(least, (double)e->cost_usd[__builtin_ctzll(m)]);
    for (uint64_t m = e->eligible & p->active; m; m &= m - 1) {
        double cost = (double)e->cost_usd[__builtin_ctzll(m)];
        double share = p->rate_usd > 0 ? pacer_share(p->rate_usd, least, cost) : 1;
        explored += share * cost;
        shares += share;
    }
    return shares > 0 ? explored / shares : 0;
}

static void derive(const struct pacer *p, const struct params *params, struct pace_entry *e)
{
    const struct objective *w = &params->objective;
    double quality = w->quality * (double)e->value, latency = w->latency / w->latency_scale_ms;
    for (uint64_t m = e->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        e->merit[a] = (float)(quality * (double)e->quality[a] - latency * (double)e->latency_ms[a] -
                              w->failure * (double)e->failure[a]);
    }
    e->explored_usd = (float)explored_usd(p, e);
}

void pacer_derive(struct pacer *p, const struct params *params)
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (int64_t i = 0; i < n; i++)
        derive(p, params, &p->window[i]);
}

/* Picodollars of a call's tokens by list price. */
static double list_price(const struct model *m, const struct pace_entry *e, int a)
{
    return (double)m->price_in * (double)e->fresh + (double)m->price_cached * (double)e->cached +
           (double)m->price_out * (double)e->tokens[a];
}

/* Costs are linear in prices. A model that had no price is taken at its list price; one that has
 * none any more goes on costing what it did. */
static void reprice(struct pacer *p, const struct model *was, const struct model *now, int a)
{
    int64_t n = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    for (int64_t i = 0; i < n; i++) {
        struct pace_entry *e = &p->window[i];
        double before = list_price(was, e, a), after = list_price(now, e, a);
        if (!(e->eligible >> a & 1) || !(after > 0))
            continue;
        e->cost_usd[a] =
            (float)(before > 0 ? (double)e->cost_usd[a] * (after / before) : after * 1e-12);
    }
    p->dirty = 3;
}

static void set_rate(struct pacer *p, double rate_usd)
{
    if (p->rate_usd != rate_usd)
        p->carry_usd = p->owed_usd = 0;
    p->rate_usd = rate_usd;
    p->due = rate_usd > 0;
    if (rate_usd <= 0)
        p->mu = 0;
}

void pacer_configure(struct pacer *p, const struct params *was, const struct params *now)
{
    p->active = 0;
    for (int a = 0; a < now->catalog.n; a++) {
        const struct model *before = &was->catalog.model[a], *after = &now->catalog.model[a];
        p->active |= (uint64_t)after->active << a;
        if (a < was->catalog.n &&
            (before->price_in != after->price_in || before->price_cached != after->price_cached ||
             before->price_out != after->price_out))
            reprice(p, before, after, a);
    }
    set_rate(p, now->budget.usd_per_request);
    pacer_derive(p, now);
}

/* What the pacer keeps of a decision, without the policy's noise. */
static void view_entry(const struct event_decided *d, struct pace_entry *e)
{
    e->eligible = d->eligible;
    e->floor = (float)d->floor;
    e->value = (float)d->value;
    e->fresh = (float)(d->prompt_tokens - d->cached_tokens);
    e->cached = (float)d->cached_tokens;
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        const struct arm_view *v = &d->view[a];
        e->quality[a] = v->mean[TARGET_QUALITY];
        e->latency_ms[a] = v->mean[TARGET_LATENCY];
        e->failure[a] = v->mean[TARGET_FAILURE];
        e->tokens[a] = v->mean[TARGET_TOKENS];
        e->cost_usd[a] = (float)((double)v->cost_nano * 1e-9);
        e->merit[a] = v->merit;
    }
}

/* The noise of a merit, whatever it stems from, stands with the quality. */
static void push(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                 const struct params *params)
{
    struct pace_entry *e = &p->window[p->total % PACE_WINDOW];
    double unit = params->objective.quality * d->value;
    view_entry(d, e);
    for (uint64_t m = noisy && unit > 0 ? d->eligible : 0; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        e->quality[a] =
            (float)((double)e->quality[a] + noise(seq, a) * (double)d->view[a].merit_sd / unit);
    }
    derive(p, params, e);
    p->total++;
    p->dirty = 3;
}

void pacer_book(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy,
                const struct params *params)
{
    if (d->eligible & (d->eligible - 1)) /* where there was a choice */
        push(p, d, seq, noisy, params);
    p->since++;
    if (!(p->rate_usd > 0))
        return;
    double part = p->owed_usd / LONG;
    p->owed_usd -= part;
    double most = p->wanted_usd < AIM * p->rate_usd ? fmax((1 - 1 / LONG) * p->carry_usd, 0)
                                                    : LONG * p->rate_usd;
    p->carry_usd += AIM * p->rate_usd - (double)d->booked_nano * 1e-9 + part;
    p->carry_usd = fmin(p->carry_usd, most);
}

void pacer_settle(struct pacer *p, int64_t before_nano, int64_t after_nano)
{
    if (p->rate_usd > 0)
        p->owed_usd -= ((double)after_nano - (double)before_nano) * 1e-9;
}

bool pacer_due(const struct pacer *p)
{
    return p->rate_usd > 0 && p->total > 0 && (p->due || p->since >= PACE_EVERY);
}

/* Recent contexts to solve on: the cost of each at the multiplier last tried, and at the ends of
 * the bracket that is being narrowed. */
struct search {
    const struct pace_entry *entry;
    int64_t n;
    uint64_t active;
    double lo, hi;  /* multipliers: too low, high enough */
    double settled; /* cost of the entries that lo and hi agree on, USD */
    int n_open;     /* the others, */
    int16_t open[PACE_WINDOW];
    double at_lo[PACE_WINDOW], at_hi[PACE_WINDOW], at[PACE_WINDOW]; /* and their costs */
};

static double choice_cost(const struct pace_entry *e, uint64_t active, double mu)
{
    double best = -INFINITY, cost = 0;
    for (uint64_t m = e->eligible & active; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double u = (double)e->merit[a] - mu * (double)e->cost_usd[a];
        if (u > best) {
            best = u;
            cost = (double)e->cost_usd[a];
        }
    }
    return (double)e->floor * (double)e->explored_usd + (1 - (double)e->floor) * cost;
}

/* Mean cost of the window at a multiplier within the bracket. */
static double try(struct search *s, double mu)
{
    double sum = s->settled;
    for (int k = 0; k < s->n_open; k++)
        sum += s->at[k] = choice_cost(&s->entry[s->open[k]], s->active, mu);
    return sum / (double)s->n;
}

/* Makes the multiplier last tried one end of the bracket. Costs never rise with the multiplier, so
 * where the ends agree nothing lies between. */
static void narrow(struct search *s, double mu, bool low)
{
    int n = 0;
    *(low ? &s->lo : &s->hi) = mu;
    memcpy(low ? s->at_lo : s->at_hi, s->at, (size_t)s->n_open * sizeof *s->at);
    for (int k = 0; k < s->n_open; k++) {
        if (!(s->at_lo[k] > s->at_hi[k])) {
            s->settled += s->at_hi[k];
            continue;
        }
        s->open[n] = s->open[k];
        s->at_lo[n] = s->at_lo[k];
        s->at_hi[n++] = s->at_hi[k];
    }
    s->n_open = n;
}

/* What the window costs when price is everything. */
static double least_cost(const struct search *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const struct pace_entry *e = &s->entry[i];
        double least = INFINITY;
        for (uint64_t m = e->eligible & s->active; m; m &= m - 1)
            least = fmin(least, (double)e->cost_usd[__builtin_ctzll(m)]);
        least = isinf(least) ? 0 : least;
        sum += (double)e->floor * (double)e->explored_usd + (1 - (double)e->floor) * least;
    }
    return sum / (double)s->n;
}

/* A target below what the cheapest models cost cannot be met: then aim a hair above that, so that
 * the multiplier stays finite and still tells models apart. */
static double target(const struct pacer *p, double horizon, double least)
{
    double t = AIM * p->rate_usd + p->carry_usd / horizon;
    t = fmax(fmin(t, FASTEST * p->rate_usd), SLOWEST * p->rate_usd);
    return fmax(t, 1.001 * least);
}

/* The least multiplier in the bracket, of which hi is known or taken to do, that meets a target. */
static double least_multiplier(struct search *s, double meet)
{
    for (int i = 0; i < 24 && s->hi - s->lo > 1e-3 * s->hi && s->n_open > 0; i++) {
        double mid = s->lo + (s->hi - s->lo) / 2;
        narrow(s, mid, try(s, mid) > meet);
    }
    return s->hi;
}

/* Gives the search the bracket from lo up to hi, and what the window costs at lo. False: that meets
 * the target already. */
static bool bracket(struct search *s, double lo, double hi, double meet, double *at_lo)
{
    s->settled = 0;
    s->n_open = (int)s->n;
    for (int k = 0; k < s->n_open; k++) {
        s->open[k] = (int16_t)k;
        s->at_hi[k] = -1; /* unknown: never agreed on */
    }
    *at_lo = try(s, lo);
    if (*at_lo <= meet)
        return false;
    narrow(s, lo, true);
    double far = try(s, hi);
    narrow(s, hi, far > meet);
    return true;
}

static double long_solution(const struct pacer *p, struct search *s, double meet, double *wanted)
{
    double hi = p->mu > 0 ? 2 * p->mu : 0.01 / p->rate_usd, most = 1e6 / p->rate_usd;
    if (!bracket(s, 0, hi, meet, wanted))
        return 0;
    while (!(s->hi > 0) && hi < most) {
        hi *= 4;
        double cost = try(s, hi);
        narrow(s, hi, cost > meet);
    }
    if (!(s->hi > 0))
        return hi;
    return least_multiplier(s, meet);
}

/* Between the bounds that the long solution sets. */
static double short_solution(struct search *s, double mu, double meet)
{
    double cost;
    s->hi = 0;
    if (!bracket(s, mu / SWING, mu * SWING, meet, &cost))
        return mu / SWING;
    return s->hi > 0 ? least_multiplier(s, meet) : mu * SWING;
}

static struct event_paced solve(const struct pacer *p, const struct pace_entry *entry, int64_t n)
{
    struct search s = {.entry = entry, .n = n, .active = p->active};
    struct event_paced out = {.pool = -1, .unit = POOL_NANO, .rate = p->rate_usd};
    out.least = least_cost(&s);
    out.multiplier = long_solution(p, &s, target(p, LONG, out.least), &out.wanted);
    if (out.multiplier > 0)
        out.multiplier = short_solution(&s, out.multiplier, target(p, SHORT, out.least));
    return out;
}

struct event_paced pacer_solve(const struct pacer *p)
{
    return solve(p, p->window, p->total < PACE_WINDOW ? p->total : PACE_WINDOW);
}

double pacer_price(const struct pacer *p, const struct event_decided *d)
{
    struct pace_entry own;
    if (!(p->rate_usd > 0) || !p->due)
        return p->mu;
    if (p->total > 0)
        return pacer_solve(p).multiplier;
    view_entry(d, &own);
    own.explored_usd = (float)explored_usd(p, &own);
    return solve(p, &own, 1).multiplier;
}

void pacer_adopt(struct pacer *p, const struct event_paced *s)
{
    p->mu = s->multiplier;
    p->wanted_usd = s->wanted;
    p->since = 0;
    p->due = false;
}
