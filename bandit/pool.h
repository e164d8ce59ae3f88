/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_POOL_H
#define PURSER_BANDIT_POOL_H

#include "bandit/ridge/ridge.h"

/*
 * What n ridges have in common (empirical Bayes): theta_a ~ N(theta_0 + level_a e_0, Lambda^-1)
 * around theta_0 ~ N(0, Lambda_0^-1). Everything is computed from the ridges' sums, so it is
 * additive over replicas too.
 */
struct pool_prior {
    const double *level; /* [n] known height of each ridge (entry 0 is the bias); NULL = zeros */
    const double *precision; /* [d] diagonal of Lambda: how far a ridge may lie from the others */
    const double *shared;    /* [d] diagonal of Lambda_0: how far theta_0 may lie from 0 */
    double sigma2_0, nu_0;   /* guess of the noise variance, worth nu_0 rows */
};

/* ridge_pool writes the posterior mean of theta_0 to mean (d values) and, when evidence is not
 * NULL, the log marginal likelihood of all labels up to a constant: larger for priors that fit
 * better. Data as of now_ms; noise counts as equal in all ridges, which have one d. Ridges without
 * rows add nothing. False when a matrix is not positive definite; the outputs are then untouched.
 * room: ridge_pool_room(d) doubles to work in, so that the outcome does not depend on memory. */
size_t ridge_pool_room(int d);
bool ridge_pool(struct ridge *const *ridges, int n, const struct pool_prior *prior, int64_t now_ms,
                double *room, double *mean, double *evidence);

#endif
