/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_OPE_OPE_INSIDE_H
#define PURSER_BANDIT_OPE_OPE_INSIDE_H

#include "bandit/ope/ope.h"

/* For the files of ope: a row as an estimator sees it, direct + weight * rest. */
struct ope_parts {
    double direct, weight, rest;
};
struct ope_parts ope_parts(const struct ope_log *rows, enum ope_estimator e,
                           const struct ope_tuning *t, size_t i);
/* ope_applies tells whether the log has what the estimator needs; ope_normalised whether it divides
 * by the sum of weights. */
bool ope_applies(const struct ope_log *rows, enum ope_estimator e);
bool ope_normalised(enum ope_estimator e);

#endif
