/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_NORMAL_H
#define PURSER_BANDIT_NORMAL_H

/* normal_above gives the number of deviations that a standard normal variable exceeds with
 * probability p in (0,1). From libm: for decisions, whose results are logged, not for the fold. */
double normal_above(double p);

#endif
