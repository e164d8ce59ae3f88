/* SPDX-License-Identifier: MIT */
/* Bounds are two posterior deviations wide and stay within quality's range. Additions,
 * multiplications and comparisons only: the ledger is state. */
#include "core/guard/guard.h"

static const double DEVIATIONS = 2;

static double bound(const struct event_decided *d, int arm, double sign)
{
    const struct arm_view *v = &d->view[arm];
    double q = (double)v->mean[TARGET_QUALITY] + sign * DEVIATIONS * (double)v->sd[TARGET_QUALITY];
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

bool guard_applies(const struct event_decided *d, double alpha)
{
    return alpha > 0 && (d->eligible >> d->baseline & 1);
}

double guard_gain(const struct event_decided *d, int arm, double alpha)
{
    if (arm == d->baseline)
        return alpha * bound(d, arm, -1);
    return bound(d, arm, -1) - (1 - alpha) * bound(d, d->baseline, 1);
}
