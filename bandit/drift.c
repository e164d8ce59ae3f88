/* SPDX-License-Identifier: MIT */
/* Additions and comparisons only: alarms are the same wherever the log is replayed. */
#include "bandit/drift.h"

static const double OUTLIER = 4;

bool drift_add(struct drift *d, double z, double weight, double slack, double threshold)
{
    if (!(z >= -OUTLIER)) /* also catches what is not a number */
        z = -OUTLIER;
    if (z > OUTLIER)
        z = OUTLIER;
    d->up += weight * (z - slack);
    d->down += weight * (-z - slack);
    if (d->up < 0)
        d->up = 0;
    if (d->down < 0)
        d->down = 0;
    return d->up > threshold || d->down > threshold;
}

void drift_reset(struct drift *d)
{
    d->up = d->down = 0;
}
