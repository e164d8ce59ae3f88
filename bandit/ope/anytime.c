/* SPDX-License-Identifier: MIT */
/*
 * In units of scale from floor: with m the mean so far, at most 1, X - m >= -1, so that
 * exp(L (X - mean) - (X - m)^2 (-ln(1-L) - L)) is a supermartingale for each L in [0,1) chosen
 * before X is seen (Fan, Grama, Liu 2015). L follows the variance so far.
 */
#include "bandit/ope/anytime.h"

#include <math.h>

void anytime_add(struct anytime *a, double x)
{
    double z = (x - a->floor) / a->scale;
    double m = fmin((a->sum + 0.5) / (a->t + 1), 1), variance = (a->squares + 0.25) / (a->t + 1);
    a->t++;
    double bet = fmin(0.5, sqrt(2 * log(1 / a->alpha) / (variance * a->t * log1p(a->t))));
    a->bets += bet;
    a->won += bet * z;
    a->paid += (z - m) * (z - m) * (-log1p(-bet) - bet);
    a->sum += z;
    double after = fmin((a->sum + 0.5) / (a->t + 1), 1);
    a->squares += (z - after) * (z - after);
    double low = (a->won - a->paid - log(1 / a->alpha)) / a->bets;
    a->best = fmax(a->best, low);
}

double anytime_lower(const struct anytime *a)
{
    return a->floor + a->scale * a->best;
}
