/* SPDX-License-Identifier: MIT */
/*
 * Optimism: choose by what an arm could be worth, mean + bonus.
 *   linucb     bonus = beta sd               (Li, Chu, Langford, Schapire 2010, eq. 4-5; their
 * alpha multiplies sqrt(x'A^-1 x) without the noise sigma) regcb_opt  bonus = beta sd sqrt(ln(K n))
 *   regcb_elim evenly over the arms that could still be best: mean + bonus >= max (mean - bonus)
 * RegCB (Foster, Agarwal, Dudik, Luo, Schapire 2018, algorithm 1) bounds an arm by the regressors
 * whose squared loss exceeds the least by at most D = c0 ln(K t). For a linear class that set is
 * the ellipsoid (theta - theta^)' A (theta - theta^) <= D, so the bound is sqrt(D x'A^-1 x) in
 * closed form; VW searches for it with a sensitivity per arm. Measuring D in units of the noise
 * variance gives the line above; beta = 1 is VW's default c0 = 0.1 at sigma^2 = 0.1. ln(K n) counts
 * as 1 until it is more, so that the bonus never is below linucb's.
 *
 * linucb and regcb_opt name one arm: without the common floor their logs are of no use off line.
 */
#include "bandit/policy/policy.h"

#include "bandit/policy/pmf.h"

#include <math.h>
#include "bandit/repro.h"

static void upper_bounds(const struct policy_view *v, double scale, double *upper)
{
    for (int i = 0; i < v->n; i++)
        upper[i] = v->mean[i] + scale * v->width * v->sd[i];
}

static double regcb_scale(const struct policy_view *v)
{
    double n = v->labels > 1 ? (double)v->labels : 1;
    return v->params.beta * sqrt(fmax(repro_log(v->n * n), 1));
}

void policy_linucb_pmf(const struct policy_view *v, double *p)
{
    double upper[PMF_MAX];
    upper_bounds(v, v->params.beta, upper);
    policy_share_best(upper, v->n, p);
}

void policy_regcb_opt_pmf(const struct policy_view *v, double *p)
{
    double upper[PMF_MAX];
    upper_bounds(v, regcb_scale(v), upper);
    policy_share_best(upper, v->n, p);
}

/* Survivors are counted before any share is given: dividing by a number found on the way is right
 * only when the survivors happen to come first. The arm with the highest lower bound always is one.
 */
void policy_regcb_elim_pmf(const struct policy_view *v, double *p)
{
    double upper[PMF_MAX], lower[PMF_MAX], scale = regcb_scale(v);
    upper_bounds(v, scale, upper);
    upper_bounds(v, -scale, lower);
    double threshold = policy_best(lower, v->n);
    int survivors = 0;
    for (int i = 0; i < v->n; i++)
        survivors += upper[i] >= threshold;
    for (int i = 0; i < v->n; i++)
        p[i] = upper[i] >= threshold ? 1.0 / survivors : 0.0;
}
