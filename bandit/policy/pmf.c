/* SPDX-License-Identifier: MIT */
/*
 * Probabilities over a handful of arms. What is logged is what was drawn from, so nothing here
 * rescales after the floor: the bound e*share/sum holds exactly, and the sum is 1 up to rounding.
 */
#include "bandit/policy/pmf.h"

#include <math.h>
#include <stddef.h>

void pmf_normalise(double *p, int n)
{
    double top = 0;
    for (int i = 0; i < n; i++)
        top = p[i] > top ? p[i] : top;
    double sum = 0;
    for (int i = 0; i < n; i++) /* against the largest, so that the sum cannot overflow */
        sum += top > 0 ? p[i] / top : 0;
    bool usable = sum > 0 && isfinite(sum) && isfinite(top);
    for (int i = 0; i < n; i++)
        p[i] = usable ? p[i] / top / sum : 1.0 / n;
}

void pmf_floor(double *p, int n, double e, const double *share)
{
    e = e > 0 ? (e < 1 ? e : 1) : 0;
    double sum = 0;
    for (int i = 0; share != NULL && i < n; i++)
        sum += share[i];
    for (int i = 0; i < n; i++) {
        double least = sum > 0 ? e * share[i] / sum : e / n;
        p[i] = (1 - e) * p[i] + least;
    }
}

int pmf_draw(const double *p, int n, double u)
{
    double below = 0;
    int last = 0; /* the last arm that may be drawn takes what rounding left over near u = 1 */
    for (int i = 0; i < n; i++) {
        if (!(p[i] > 0))
            continue;
        last = i;
        below += p[i];
        if (u < below)
            return i;
    }
    return last;
}

bool pmf_valid(const double *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (!(p[i] >= 0) || !isfinite(p[i]))
            return false;
        sum += p[i];
    }
    return fabs(sum - 1) <= 1e-9;
}
