/* SPDX-License-Identifier: MIT */
#include "core/budget/pace_search.h"

#include <math.h>
#include <string.h>

static const double SPARE_LEAST = 0.05; /* of the rate: exploration never ends */

void pace_search_begin(struct pace_search *s, enum pool_unit unit, uint64_t active,
                       uint64_t counted)
{
    s->counted = counted;
    s->unit = unit;
    s->active = active;
    s->n = 0;
}

void pace_search_add(struct pace_search *s, const struct pace_entry *e, struct pace_price other,
                     double explored)
{
    s->entry[s->n] = e;
    s->other[s->n] = other;
    s->explored[s->n++] = explored;
}

static double tokens_of(const struct pace_entry *e, int arm)
{
    return (double)e->fresh + (double)e->cached + (double)e->tokens[arm];
}

double pace_entry_use(const struct pace_entry *e, enum pool_unit unit, int arm)
{
    return unit == POOL_NANO ? (double)e->cost_usd[arm] : tokens_of(e, arm);
}

double pacer_share(double rate_usd, double least_usd, double cost_usd)
{
    double spare = fmax(rate_usd - least_usd, SPARE_LEAST * rate_usd);
    return cost_usd > spare && cost_usd > least_usd ? spare / cost_usd : 1;
}

static double counted_use(const struct pace_entry *e, uint64_t counted, enum pool_unit unit,
                          int arm)
{
    return counted >> arm & 1 ? pace_entry_use(e, unit, arm) : 0;
}

double pace_entry_explored(const struct pace_entry *e, uint64_t active, uint64_t counted,
                           enum pool_unit unit, double rate_usd)
{
    double explored = 0, shares = 0, least = INFINITY;
    for (uint64_t m = e->eligible & active; m; m &= m - 1)
        least = fmin(least, (double)e->cost_usd[__builtin_ctzll(m)]);
    for (uint64_t m = e->eligible & active; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double share = rate_usd > 0 ? pacer_share(rate_usd, least, (double)e->cost_usd[a]) : 1;
        explored += share * counted_use(e, counted, unit, a);
        shares += share;
    }
    return shares > 0 ? explored / shares : 0;
}

static double with_exploration(const struct pace_search *s, int k, double use)
{
    double floor = (double)s->entry[k]->floor;
    return floor * s->explored[k] + (1 - floor) * use;
}

static double choice_use(const struct pace_search *s, int k, double mu)
{
    const struct pace_entry *e = s->entry[k];
    struct pace_price priced[2] = {s->other[k], s->other[k]}; /* [1]: models that count */
    double best = -INFINITY;
    int chosen = -1;
    *(s->unit == POOL_NANO ? &priced[1].usd : &priced[1].token) += mu;
    for (uint64_t m = e->eligible & s->active; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        const struct pace_price *price = &priced[s->counted >> a & 1];
        double u = (double)e->merit[a] - price->usd * (double)e->cost_usd[a];
        if (price->token > 0)
            u -= price->token * tokens_of(e, a);
        if (u > best) {
            best = u;
            chosen = a;
        }
    }
    return with_exploration(s, k, chosen < 0 ? 0 : counted_use(e, s->counted, s->unit, chosen));
}

/* Mean use of the contexts at a multiplier within the bracket. */
static double try(struct pace_search *s, double mu)
{
    double sum = s->settled;
    for (int k = 0; k < s->n_open; k++)
        sum += s->at[k] = choice_use(s, s->open[k], mu);
    return sum / s->n;
}

/* Makes the multiplier last tried one end of the bracket. */
static void narrow(struct pace_search *s, double mu, bool low)
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

double pace_search_least(const struct pace_search *s)
{
    double sum = 0;
    for (int k = 0; k < s->n; k++) {
        const struct pace_entry *e = s->entry[k];
        double least = INFINITY;
        for (uint64_t m = e->eligible & s->active; m; m &= m - 1)
            least = fmin(least, counted_use(e, s->counted, s->unit, __builtin_ctzll(m)));
        sum += with_exploration(s, k, isinf(least) ? 0 : least);
    }
    return sum / s->n;
}

/* The least multiplier in the bracket, of which hi is known or taken to do, that meets a target. */
static double least_multiplier(struct pace_search *s, double meet)
{
    for (int i = 0; i < 24 && s->hi - s->lo > 1e-3 * s->hi && s->n_open > 0; i++) {
        double mid = s->lo + (s->hi - s->lo) / 2;
        narrow(s, mid, try(s, mid) > meet);
    }
    return s->hi;
}

/* Makes the bracket one from lo up to hi, and gives the mean use at lo. False: that meets the
 * target already. hi stays 0 when it does not. */
static bool bracket(struct pace_search *s, double lo, double hi, double meet, double *at_lo)
{
    s->hi = s->settled = 0;
    s->n_open = s->n;
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

double pace_search_find(struct pace_search *s, double base, double meet, double guess, double most,
                        double *wanted)
{
    double hi = guess;
    if (!bracket(s, base, hi, meet, wanted))
        return 0;
    while (!(s->hi > 0) && hi < most) {
        hi *= 4;
        double use = try(s, hi);
        narrow(s, hi, use > meet);
    }
    return s->hi > 0 ? least_multiplier(s, meet) : hi;
}

double pace_search_between(struct pace_search *s, double lo, double hi, double meet)
{
    double use;
    if (!bracket(s, lo, hi, meet, &use))
        return lo;
    return s->hi > 0 ? least_multiplier(s, meet) : hi;
}
