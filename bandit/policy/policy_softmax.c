/* SPDX-License-Identifier: MIT */
/*
 * Boltzmann exploration: p_a = exp((U_a - U_b) / tau) normalised. A fixed tau means nothing before
 * one knows how far apart arms lie (VW's lambda = 1 on utilities in [0,1] is nearly uniform), so
 * unless told otherwise tau is chosen for each decision such that the arms below the best get 5%
 * together: with m arms at the best, gaps d_a > 0 and s = 1/tau,
 *     sum_a exp(-s d_a) = m 0.05 / 0.95.
 * Its logarithm is convex and falls in s, so Newton's method from the left never overshoots.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"

#include <math.h>
#include "bandit/repro.h"

static const double lesser_mass = 0.05;
static const double sharpest = 1e290; /* times any gap is finite */

/* ln sum exp(-s d) and minus its derivative; the least gap is taken out, so nothing underflows. */
static double log_sum(const double *gap, int n, double least, double s, double *slope)
{
    double sum = 0, weighted = 0;
    for (int i = 0; i < n; i++) {
        double e = repro_exp(-s * (gap[i] - least));
        sum += e;
        weighted += e * gap[i];
    }
    *slope = weighted / sum;
    return repro_log(sum) - s * least;
}

/* 1/tau for n gaps > 0 below `ties` best arms. 0 (uniform) when even that gives them less than 5%.
 */
static double sharpness(const double *gap, int n, int ties)
{
    double target = repro_log(ties * lesser_mass / (1 - lesser_mass));
    double least = gap[0], most = gap[0], slope;
    for (int i = 1; i < n; i++) {
        least = fmin(least, gap[i]);
        most = fmax(most, gap[i]);
    }
    if (repro_log(n) <= target)
        return 0;
    double s = (repro_log(n) - target) / most; /* n exp(-s most) <= sum: left of the root */
    for (int i = 0; i < 100 && s < sharpest; i++) {
        double excess = log_sum(gap, n, least, s, &slope) - target;
        if (!(excess > 1e-12))
            break;
        s += excess / slope;
    }
    return s;
}

void policy_softmax_pmf(const struct policy_view *v, double *p)
{
    double best = policy_best(v->mean, v->n), gap[PMF_MAX];
    int lesser = 0;
    for (int i = 0; i < v->n; i++) {
        if (v->mean[i] < best)
            gap[lesser++] = best - v->mean[i];
    }
    double tau = v->params.temperature * policy_unit(v), s = 0;
    if (tau > 0)
        s = 1 / tau;
    else if (lesser > 0)
        s = sharpness(gap, lesser, v->n - lesser);
    s = fmin(s, sharpest);
    for (int i = 0; i < v->n; i++)
        p[i] = repro_exp(-s * (best - v->mean[i]));
    pmf_normalise(p, v->n);
}
