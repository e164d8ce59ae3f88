/* SPDX-License-Identifier: MIT */
/*
 * The multiplier is the dual price of the budget: the smallest mu >= 0 at which the mean cost of
 *   argmax_a u_a(x) - mu c_a(x)
 * over the recent window is at most the target. Solving on the window replaces a gradient step,
 * whose size is the costliest tunable of a pacer. What was over- or underspent so far is carried
 * over a horizon, which also absorbs what the window cannot see: exploration and the draw itself.
 */
#include "core/pacer.h"

#include <math.h>
#include "bandit/rng.h"

static const double HORIZON = 200;      /* requests over which a carry is worked off */
static const double SPARE_LEAST = 0.05; /* of the rate: exploration never ends */
static const double AIM = 0.99;         /* of the rate: what noise adds at the end must find room */
static const double FASTEST = 1.5;      /* most that the target may exceed the rate */
static const double SLOWEST = 0.3;      /* least, so that one dear call does not stop the service */

void pacer_set(struct pacer *p, double rate_usd)
{
    if (p->rate_usd != rate_usd)
        p->carry_usd = 0;
    p->rate_usd = rate_usd;
    p->due = rate_usd > 0;
    if (rate_usd <= 0)
        p->mu = 0;
}

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

/* What the pacer keeps of a decision, without the policy's noise. */
static void view_entry(const struct pacer *p, const struct event_decided *d, struct pace_entry *e)
{
    double explored = 0, shares = 0, least = INFINITY;
    e->eligible = d->eligible;
    e->floor = (float)d->floor;
    for (uint64_t m = d->eligible; m; m &= m - 1)
        least = fmin(least, (double)d->view[__builtin_ctzll(m)].cost_nano * 1e-9);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double cost = (double)d->view[a].cost_nano * 1e-9;
        double share = p->rate_usd > 0 ? pacer_share(p->rate_usd, least, cost) : 1;
        e->cost_usd[a] = (float)cost;
        e->merit[a] = d->view[a].merit;
        explored += share * cost;
        shares += share;
    }
    e->explored_usd = (float)(explored / shares);
}

static void push(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy)
{
    struct pace_entry *e = &p->window[p->total % PACE_WINDOW];
    view_entry(p, d, e);
    for (uint64_t m = noisy ? d->eligible : 0; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        e->merit[a] = (float)((double)e->merit[a] + noise(seq, a) * (double)d->view[a].merit_sd);
    }
    p->total++;
    p->dirty = 3;
}

void pacer_book(struct pacer *p, const struct event_decided *d, uint64_t seq, bool noisy)
{
    if (d->eligible & (d->eligible - 1)) /* where there was a choice */
        push(p, d, seq, noisy);
    p->since++;
    if (p->rate_usd > 0)
        p->carry_usd += AIM * p->rate_usd - (double)d->booked_nano * 1e-9;
    if (p->carry_usd > HORIZON * p->rate_usd) /* what was not wanted is not hoarded */
        p->carry_usd = HORIZON * p->rate_usd;
}

void pacer_settle(struct pacer *p, int64_t before_nano, int64_t after_nano)
{
    if (p->rate_usd > 0)
        p->carry_usd -= ((double)after_nano - (double)before_nano) * 1e-9;
}

bool pacer_due(const struct pacer *p)
{
    return p->rate_usd > 0 && p->total > 0 && (p->due || p->since >= PACE_EVERY);
}

static double choice_cost(const struct pace_entry *e, double mu)
{
    double best = -INFINITY, cost = 0;
    for (uint64_t m = e->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double u = (double)e->merit[a] - mu * (double)e->cost_usd[a];
        if (u > best) {
            best = u;
            cost = (double)e->cost_usd[a];
        }
    }
    return (double)e->floor * (double)e->explored_usd + (1 - (double)e->floor) * cost;
}

/* Recent contexts to solve on. */
struct recent {
    const struct pace_entry *entry;
    int64_t n;
};

static double mean_cost(struct recent w, double mu)
{
    double sum = 0;
    for (int64_t i = 0; i < w.n; i++)
        sum += choice_cost(&w.entry[i], mu);
    return sum / (double)w.n;
}

/* What the window costs when price is everything. */
static double least_cost(struct recent w)
{
    double sum = 0;
    for (int64_t i = 0; i < w.n; i++) {
        const struct pace_entry *e = &w.entry[i];
        double least = INFINITY;
        for (uint64_t m = e->eligible; m; m &= m - 1)
            least = fmin(least, (double)e->cost_usd[__builtin_ctzll(m)]);
        sum += (double)e->floor * (double)e->explored_usd + (1 - (double)e->floor) * least;
    }
    return sum / (double)w.n;
}

/* A target below what the cheapest models cost cannot be met: then aim a hair above that, so that
 * the multiplier stays finite and still tells models apart. */
static double reachable_target(const struct pacer *p, struct recent w)
{
    double target = AIM * p->rate_usd + p->carry_usd / HORIZON;
    target = fmax(fmin(target, FASTEST * p->rate_usd), SLOWEST * p->rate_usd);
    return fmax(target, 1.001 * least_cost(w));
}

static double solve(const struct pacer *p, struct recent w)
{
    double target = reachable_target(p, w);
    if (mean_cost(w, 0) <= target)
        return 0;
    double lo = 0, hi = p->mu > 0 ? 2 * p->mu : 0.01 / p->rate_usd, most = 1e6 / p->rate_usd;
    while (hi < most && mean_cost(w, hi) > target) {
        lo = hi;
        hi *= 4;
    }
    for (int i = 0; i < 24 && hi - lo > 1e-4 * hi; i++) {
        double mid = lo + (hi - lo) / 2;
        if (mean_cost(w, mid) > target)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

double pacer_solve(const struct pacer *p)
{
    return solve(p, (struct recent){p->window, p->total < PACE_WINDOW ? p->total : PACE_WINDOW});
}

double pacer_price(const struct pacer *p, const struct event_decided *d)
{
    struct pace_entry own;
    if (!(p->rate_usd > 0) || !p->due)
        return p->mu;
    if (p->total > 0)
        return pacer_solve(p);
    view_entry(p, d, &own);
    return solve(p, (struct recent){&own, 1});
}

void pacer_adopt(struct pacer *p, double mu)
{
    p->mu = mu;
    p->since = 0;
    p->due = false;
}
