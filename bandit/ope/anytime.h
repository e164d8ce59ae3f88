/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_OPE_ANYTIME_H
#define PURSER_BANDIT_OPE_ANYTIME_H

/*
 * A lower confidence sequence for the mean of numbers that are bounded below only: the predictable
 * plug-in empirical Bernstein bound (Waudby-Smith, Ramdas 2024, theorem 2), which is what weights
 * without a known maximum need. Unlike bandit/ope/confseq.h the order of the numbers matters, and
 * each is compared with the mean of those before it, which is worth much width when they are alike.
 *
 * What it bounds is a weighted mean of E[X_t | past]: the mean itself when that does not move.
 */
struct anytime {
    double floor; /* X_t >= floor */
    double scale; /* > 0: the means to be looked for lie below floor + scale */
    double alpha; /* probability that the bound is ever false */
    double t, sum, squares, bets, paid, won, best; /* begin as 0 */
};
void anytime_add(struct anytime *a, double x);
/* anytime_lower gives the greatest bound so far; floor before the first number. */
double anytime_lower(const struct anytime *a);

#endif
