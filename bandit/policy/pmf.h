/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_POLICY_PMF_H
#define PURSER_BANDIT_POLICY_PMF_H

#include <stdbool.h>

enum { PMF_MAX = 64 }; /* arms at most */

/* pmf_normalise scales p (n entries >= 0) to sum 1; all-zero becomes uniform. */
void pmf_normalise(double *p, int n);
/* pmf_floor mixes in exploration: p = (1-e) p + e * share, e in [0,1]. share (n entries >= 0) is
 * how the exploration mass is split, NULL = evenly. Afterwards every p[i] >= e*share[i]/sum(share).
 */
void pmf_floor(double *p, int n, double e, const double *share);
/* pmf_draw gives the index drawn by inverse CDF with u in [0,1); never an entry of probability 0.
 */
int pmf_draw(const double *p, int n, double u);
/* pmf_valid tells whether p is finite, non-negative and sums to 1 within 1e-9. */
bool pmf_valid(const double *p, int n);

#endif
