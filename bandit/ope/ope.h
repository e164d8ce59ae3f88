/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_OPE_OPE_H
#define PURSER_BANDIT_OPE_OPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Off-policy evaluation: what another policy would have reached on a log, from the probabilities
 * with which the log's own policy drew. Pure functions over arrays of rows; who reads logs and
 * rescores policies is the simulator's business.
 *
 * libm and GSL are used: results do not belong into folded state except as logged facts.
 */

/* One target (quality, dollars, seconds ...) of n rows. Arrays are borrowed. */
struct ope_log {
    size_t n;
    const double *weight;    /* pi(a|x) / p(a|x) of the logged action, >= 0 */
    const double *label;     /* what was observed */
    const double *q_logged;  /* a model's prediction for the logged action; NULL = no model */
    const double *q_target;  /* and its mean under the target: sum over a of pi(a|x) q(x,a) */
    const double *embed;     /* pi(e|x) / p(e|x) of the logged action's group; NULL = no groups */
    const uint32_t *cluster; /* rows that are not independent share one; NULL = all are */
    size_t n_clusters;       /* ids are below this; n without clusters */
};

enum ope_estimator {
    OPE_DM,      /* direct method: the model alone. Its bias does not show */
    OPE_IPS,     /* inverse propensity: unbiased when the propensities are exact */
    OPE_CLIPPED, /* weights at most tuning.clip */
    OPE_SNIPS,   /* self-normalised (Swaminathan, Joachims 2015) */
    OPE_SGIPS,   /* sub-Gaussian weights w / (1 - l + l w) (Metelli, Russo, Restelli 2021) */
    OPE_MIPS,    /* weights of groups of actions (Saito, Joachims 2022) */
    OPE_REPLAY,  /* rows accepted with probability w / tuning.reject (Li et al. 2011) */
    OPE_DR,      /* doubly robust (Dudik, Langford, Li 2011) */
    OPE_SNDR,    /* with the residual self-normalised */
    OPE_SWITCH,  /* residual only where w <= tuning.tau (Wang, Agarwal, Dudik 2017) */
    OPE_DROS,    /* weights l w / (w^2 + l) (Su et al. 2020) */
    OPE_SGDR,    /* DR with sub-Gaussian weights */
    OPE_ESTIMATORS
};

struct ope_tuning {
    double clip, tau, dros, sg; /* > 0; sg in [0,1] */
    double reject;              /* >= the largest weight for an unbiased replay */
    uint64_t seed;              /* of the replay's draws */
};

struct ope_estimate {
    double value;
    double variance; /* of value, with clusters as the independent units */
    double freedom;  /* degrees of freedom that the variance is known with; < 1: none */
    bool valid;      /* false: needs a model or groups, or there are no rows */
};

/* ope_name gives an estimator's name: "dm", "ips", ... */
const char *ope_name(enum ope_estimator e);
/* ope_estimate evaluates; psi (NULL or [n]) gets each row's score, whose mean is the value and
 * whose spread is its uncertainty. Scores of two targets on the same rows subtract. */
struct ope_estimate ope_estimate(const struct ope_log *rows, enum ope_estimator e,
                                 const struct ope_tuning *t, double *psi);
/* ope_difference gives b - a from their scores, with the values known. */
struct ope_estimate ope_difference(const struct ope_log *rows, const struct ope_estimate *a,
                                   const double *psi_a, const struct ope_estimate *b,
                                   const double *psi_b);
/* ope_tune chooses clip, tau, dros and sg by the smallest sum of variance and squared bound on the
 * bias (the rule of Su et al. 2020), reject from the weights. */
struct ope_tuning ope_tune(const struct ope_log *rows, uint64_t seed);

/* What must be looked at before any estimate. */
struct ope_health {
    double n, ess;                       /* effective sample size (Kish) */
    double max_weight, max_share;        /* share of the sum of weights */
    double mean_weight, mean_se, mean_z; /* must be near 1: it tests the propensities */
    double no_overlap;                   /* share of rows with weight 0 */
    double tail; /* Hill's index of the greatest 1% of weights; below 2 the variance is infinite;
                    0 = too few or all alike */
};
struct ope_health ope_health(const struct ope_log *rows);
/* ope_claims tells whether the estimator's interval claims to hold as often as it says: not where
 * bias was taken for width, nor where too little of the log is left for the target, nor where the
 * mean weight is not 1.
 * tests/coverage.c holds what is claimed against the truth. */
bool ope_claims(enum ope_estimator e, const struct ope_health *h);

struct ope_interval {
    double low, high;
};
/* ope_student: Student's t, with the estimate's degrees of freedom: those of its units, or fewer
 * when few heavy weights decide. A normal interval is too narrow then, for its width is a guess
 * too. */
struct ope_interval ope_student(const struct ope_estimate *e, double alpha);
/* ope_bootstrap resamples clusters (gathered into at most 4096 blocks) and normalises anew in each
 * draw: percentile intervals for every estimator of a, and of b and of b minus a when b is given
 * (same rows, same tuning), from the same draws. Those not valid are left as NaN. False when memory
 * is short. */
enum { OPE_DRAWS = 2000 };
struct ope_bootstrap {
    struct ope_interval a[OPE_ESTIMATORS], b[OPE_ESTIMATORS], difference[OPE_ESTIMATORS];
};
bool ope_bootstrap(const struct ope_log *a, const struct ope_log *b, const struct ope_tuning *t,
                   double alpha, uint64_t seed, struct ope_bootstrap *out);

/* What is known of weights and labels without looking at the sample. */
struct ope_bounds {
    double weight_low, weight_high; /* weight_high may be INFINITY */
    double label_low, label_high;
};
/* Of the mean of w r, each needing the bounds to be true:
 * ope_clopper_pearson takes the weighted sum as successes in n / weight_high trials;
 * ope_cressie_read is the empirical likelihood interval with E[w] = 1 (Karampatziakis, Langford,
 * Mineiro 2020); ope_bernstein is the empirical Bernstein bound (Maurer, Pontil 2009), alpha / 2 on
 * each side. Without a finite weight_high only the second says anything; others give the range. */
struct ope_interval ope_clopper_pearson(const struct ope_log *rows, const struct ope_bounds *b,
                                        double alpha);
struct ope_interval ope_cressie_read(const struct ope_log *rows, const struct ope_bounds *b,
                                     double alpha);
struct ope_interval ope_bernstein(const struct ope_log *rows, const struct ope_bounds *b,
                                  double alpha);
/* ope_anytime gives the confidence sequence of the mean of w r over rows in the order of the log:
 * see bandit/ope/anytime.h. It needs no bound on the weights and survives adaptive logging and
 * peeking. ope_anytime_difference is that of (w_b - w_a) r; a_high bounds the weights of a (1 when
 * a is the logged policy itself). */
struct ope_interval ope_anytime(const struct ope_log *rows, const struct ope_bounds *b,
                                double alpha);
struct ope_interval ope_anytime_difference(const struct ope_log *a, const struct ope_log *b,
                                           const struct ope_bounds *bounds, double a_high,
                                           double alpha);

#endif
