/* SPDX-License-Identifier: MIT */
/*
 * Inverse gap weighting, SquareCB (Foster and Rakhlin 2020, algorithm 1; Abe and Long 1999):
 *     p_a = 1 / (K + g (U_b - U_a)) for a != b,   p_b = 1 - sum of these
 * with b the best arm and g = gamma0 sqrt(n). It needs no deviations, so it is robust where those
 * are wrong. n counts labels learned, not requests: under delay it slows down by itself.
 */
#include "bandit/policy/policy.h"

#include <math.h>

void policy_igw_pmf(const struct policy_view *v, double *p)
{
    double best = policy_best(v->mean, v->n), rest = 1;
    double n = v->labels > 0 ? (double)v->labels : 0;
    double g = v->params.gamma0 * sqrt(n) / policy_unit(v);
    int ties = 0;
    for (int i = 0; i < v->n; i++) {
        if (v->mean[i] >= best) {
            ties++;
            continue;
        }
        p[i] = 1 / (v->n + g * (best - v->mean[i]));
        rest -= p[i];
    }
    for (int i = 0; i < v->n; i++) {
        if (v->mean[i] >= best)
            p[i] = rest / ties; /* each at least 1/K, as every other has at most that */
    }
}
