/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_METRICS_OUTCOME_H
#define PURSER_SIM_METRICS_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sim/tables/table.h"

/*
 * What choices came to: against every outcome of the same rows, against a budget, against what was
 * predicted, and over time. Pure functions over arrays; what is not defined is NaN, or -1 for a
 * number of requests.
 */

/* Choices against the outcomes of a full-information table; model -1 = refused: quality 0, for
 * nothing, and neither best nor cheapest. */
struct oracle_match {
    double lenient; /* share at the row's best quality */
    double strict;  /* and the cheapest of these; equal costs count for both */
    double near;    /* within `eps` of the best quality, and the cheapest of these */
    /* RouterArena: selection = share routed to the cheapest of best quality, where that is above 0;
     * cost = what these cheapest cost over what was paid; accuracy = mean quality over the oracle's
     */
    double optimal_selection, optimal_cost, optimal_accuracy;
};
struct oracle_match metric_oracle_match(const struct table *t, const uint32_t *row,
                                        const int *model, size_t n, double eps);

/* metric_regret writes what each choice fell short of its row's best quality, and the sum so far
 * (either may be NULL); gives the mean. metric_regret_fixed gives the mean against the best fixed
 * model in hindsight: negative when the router is better. */
double metric_regret(const struct table *t, const uint32_t *row, const int *model, size_t n,
                     double *step, double *cumulative);
double metric_regret_fixed(const struct table *t, const uint32_t *row, const int *model, size_t n);

/* n costs (USD, in order) against a budget per request, over windows of `window` requests. */
struct compliance {
    double ratio;                   /* spent / budget */
    double window_p99, window_most; /* of window means / budget; NaN when n < window */
    double over;                    /* share of windows above 1.05 */
    int64_t exhausted_at;           /* requests after which n x budget was spent; -1 = never */
};
/* metric_compliance needs n doubles of work. */
struct compliance metric_compliance(const double *cost, size_t n, double budget, size_t window,
                                    double *work);

/* Predicted probabilities (or means in [0,1]) against outcomes in [0,1]. */
struct reliability {
    size_t n;
    double predicted, observed; /* means; NaN when the bin is empty */
};
struct calibration {
    double brier; /* mean squared error */
    double ece;   /* mean |predicted - observed| over bins, by their number */
};
/* metric_calibration fills bins of equal width over [0,1]; 1 belongs to the last. */
struct calibration metric_calibration(const double *predicted, const double *observed, size_t n,
                                      struct reliability *bin, int bins);
/* metric_mape is the mean |predicted - actual| / actual over rows with actual > 0; *used is their
 * number. */
double metric_mape(const double *predicted, const double *actual, size_t n, size_t *used);

/* metric_recovery gives the requests after `at` until the mean of the latest `window` values since
 * then is at least `level`, and stays so to the end; -1 = not. */
int64_t metric_recovery(const double *value, size_t n, size_t at, size_t window, double level);
/* metric_adoption does so for a model that joined at `at`: until its share of the latest `window`
 * choices is, and stays, at least `part` of its share of the last third after `at`. -1 = never
 * chosen there. work is [n]. */
int64_t metric_adoption(const int *model, size_t n, size_t at, int joined, size_t window,
                        double part, double *work);

#endif
