/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_OPE_CONFSEQ_H
#define PURSER_BANDIT_OPE_CONFSEQ_H

#include <stdbool.h>

/*
 * Confidence sequences for a mean of bounded numbers: bounds that hold at every sample size at
 * once, so that one may look after each number and stop when one likes. They depend on three sums
 * only, so numbers may come in any order and be taken out again.
 *
 * For X_t >= -1 and any L in [0,1) (Fan, Grama, Liu 2015; Howard, Ramdas, McAuliffe, Sekhon 2021)
 *     exp(L sum (X_t - E[X_t | past]) - psi(L) sum X_t^2),   psi(L) = -ln(1-L) - L
 * is a supermartingale from 1. Mixed over L with the conjugate density it has a closed form (their
 * proposition 9, gamma-exponential mixture), and by Ville's inequality it ever exceeds 1/alpha with
 * probability alpha at most. L mixed instead of predicted from the past (Waudby-Smith, Ramdas 2024)
 * costs little width and buys the independence of order.
 *
 * libm and GSL are used: results do not belong into folded state except as logged facts.
 */
/* confseq_log_mixture gives the logarithm of the mixture at deviation s >= 0 and variance process
 * v >= 0, on the scale c > 0 (c = 1 above), tuned to be tightest near v_opt > 0 at alpha. */
double confseq_log_mixture(double s, double v, double v_opt, double alpha, double c);
/* confseq_boundary gives the s at which the mixture reaches 1/alpha. */
double confseq_boundary(double v, double alpha, double v_opt, double c);

/* Numbers X_t with |X_t| <= reach. */
struct confseq_sums {
    double n, sum, squares, reach;
};
/* confseq_lower and confseq_upper bound the mean of E[X_t | past] over the n numbers so far, each
 * false at any time with probability alpha at most; -reach and reach before the first. */
double confseq_lower(const struct confseq_sums *x, double alpha);
double confseq_upper(const struct confseq_sums *x, double alpha);
/* confseq_above and confseq_below tell whether these bounds have passed bar; quicker. */
bool confseq_above(const struct confseq_sums *x, double alpha, double bar);
bool confseq_below(const struct confseq_sums *x, double alpha, double bar);

#endif
