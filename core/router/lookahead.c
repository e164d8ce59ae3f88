/* SPDX-License-Identifier: MIT */
/*
 * Backward over the tiers: what a model is worth is what its answer is, less its cost, and, as
 * often as the answer is wanting, what the best model above is worth after it. The cost of what
 * follows goes into the merit, at the last known price of money, since the cost in a view is what
 * this attempt is booked at. That models above are asked about what those below have failed at is
 * left out: predictions are of the request, not of its history.
 */
#include "core/router/lookahead.h"

#include <math.h>

/* The best utility of an eligible model above a tier; 0 when none is worth asking. */
static double best_above(const struct params *p, const struct event_decided *d, int tier,
                         double price)
{
    double best = 0;
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        const struct arm_view *v = &d->view[a];
        if (p->catalog.model[a].tier > tier)
            best = fmax(best, (double)v->merit - price * (double)v->cost_nano * 1e-9);
    }
    return best;
}

/* unit is what a quality point is worth in this request. */
static void add(struct arm_view *v, double next, double unit)
{
    double wanting = 1 - fmin(fmax((double)v->mean[TARGET_QUALITY], 0), 1);
    v->merit = (float)((double)v->merit + wanting * next);
    if (unit > 0) /* as if the deviation were that of quality alone, as nearly all of it is */
        v->merit_sd = (float)((double)v->merit_sd * fabs(1 - next / unit));
}

void lookahead_add(const struct params *p, double multiplier, struct event_decided *d)
{
    double share = p->escalation.share, unit = d->weight_quality * d->value,
           price = fmax(d->weight_cost / d->cost_scale_usd, multiplier);
    for (int tier = p->catalog.n_tiers - 2; share > 0 && tier >= 0; tier--) {
        double next = share * best_above(p, d, tier, price);
        for (uint64_t m = d->eligible; m; m &= m - 1) {
            int a = __builtin_ctzll(m);
            if (p->catalog.model[a].tier == tier)
                add(&d->view[a], next, unit);
        }
    }
}
