/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_ODDS_H
#define PURSER_SIM_OPE_ODDS_H

#include "sim/ope/rows.h"

/* odds_fill estimates the weights of the logged arms where nobody has kept their probabilities: the
 * odds of a classifier that tells the target's choices pi [n][k] from the logged ones, by features
 * (balanced inverse propensity weighting, Sondhi, Arbour, Dimmery 2020). Cross-fitted, by session.
 */
MUST_CHECK enum status odds_fill(const struct ope_rows *r, const double *pi, double *weight,
                                 struct problem *problem);

#endif
