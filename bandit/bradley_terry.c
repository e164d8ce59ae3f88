/* SPDX-License-Identifier: MIT */
/*
 * The MM algorithm of Hunter, MM algorithms for generalized Bradley-Terry models, Annals of
 * Statistics 32 (2004), equation 3: s_i <- W_i / sum_j N_ij / (s_i + s_j), each step raises the
 * likelihood. The rival of the prior is one more player whose strength stays 1. Newton's method
 * would need fewer steps, and a safeguard; at 64 players neither is worth it.
 */
#include "bandit/bradley_terry.h"

#include <math.h>

enum { STEPS_MAX = 100000 };
static const double tolerance = 1e-12;

/* The next strength of i, given all of now. */
static double improved(const double *win, int n, double prior, const double *now, int i)
{
    double wins = prior, weight = 2 * prior / (now[i] + 1);
    for (int j = 0; j < n; j++) {
        if (j == i)
            continue;
        wins += win[i * n + j];
        weight += (win[i * n + j] + win[j * n + i]) / (now[i] + now[j]);
    }
    return weight > 0 ? wins / weight : now[i];
}

static void centre(double *strength, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += log(strength[i]);
    for (int i = 0; i < n; i++)
        strength[i] = exp(log(strength[i]) - sum / n);
}

bool bradley_terry_fit(const double *win, int n, double prior, double *strength)
{
    if (n < 1 || n > BRADLEY_TERRY_MAX)
        return false;
    for (int i = 0; i < n; i++)
        strength[i] = 1;
    for (int step = 0; step < STEPS_MAX; step++) {
        double moved = 0;
        for (int i = 0; i < n; i++) {
            double was = strength[i];
            strength[i] = improved(win, n, prior, strength, i);
            if (!(strength[i] > 0 && isfinite(strength[i])))
                return false;
            moved = fmax(moved, fabs(log(strength[i] / was)));
        }
        if (prior <= 0)
            centre(strength, n); /* only ratios are determined */
        if (moved < tolerance) {
            centre(strength, n);
            return true;
        }
    }
    return false;
}
