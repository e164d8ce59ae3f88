/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_DRIFT_H
#define PURSER_BANDIT_DRIFT_H

#include <stdbool.h>

/*
 * Change detection on a stream of standardised residuals: two-sided Page-Hinkley (Page 1954,
 * Hinkley 1971) in its CUSUM form. up = max(0, up + z - slack), down = max(0, down - z - slack);
 * alarm when either passes the threshold. For independent unit normals the mean time between false
 * alarms is about exp(2 slack threshold) / (2 slack^2) on each side: 65 thousand at slack 0.25,
 * threshold 18; a shift of 0.6 deviations is found after about 18 / (0.6 - 0.25) = 50 labels.
 */
struct drift {
    double up, down;
};

/* drift_add takes one residual, clipped to +-4 so that no single outlier raises an alarm, that
 * counts as weight in (0,1] of one; true = alarm. drift_reset forgets. */
bool drift_add(struct drift *d, double z, double weight, double slack, double threshold);
void drift_reset(struct drift *d);

#endif
