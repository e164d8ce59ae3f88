/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_BRADLEY_TERRY_H
#define PURSER_BANDIT_BRADLEY_TERRY_H

#include <stdbool.h>

enum { BRADLEY_TERRY_MAX = 64 };

/*
 * Strengths from paired comparisons (Bradley and Terry 1952): i is preferred to j with probability
 * s_i / (s_i + s_j). win[i * n + j] counts how often i was preferred to j; a tie is half a win
 * each.
 *
 * prior adds that many wins and as many losses of everybody against a rival of strength 1. With 0
 * it is the maximum likelihood, which exists only if nobody, and no group, always won; 0.5 always
 * gives finite strengths.
 */
/* bradley_terry_fit writes the strengths, with geometric mean 1. False when it does not converge
 * (prior 0 and no maximum), or n is not 1 to BRADLEY_TERRY_MAX; strength is then undefined. */
bool bradley_terry_fit(const double *win, int n, double prior, double *strength);

#endif
