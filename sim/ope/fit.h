/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_FIT_H
#define PURSER_SIM_OPE_FIT_H

#include "sim/ope/rows.h"

/* fit_crossed predicts every arm's label in every row, by ridge regressions on the row's features
 * (the arm's mean without) over the other four of five folds, which units are never split by: so a
 * prediction knows nothing of its own row, which doubly robust estimates need. Replaces q of the
 * aims that have labels. */
MUST_CHECK enum status fit_crossed(struct ope_rows *r, struct problem *problem);

/* fit_fold gives the fold of a row, the same for all of a unit. */
enum { FIT_FOLDS = 5 };
size_t fit_fold(const struct ope_rows *r, size_t i);

#endif
