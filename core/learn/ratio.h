/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_RATIO_H
#define PURSER_CORE_LEARN_RATIO_H

#include <stdint.h>
#include "bandit/forgetting.h"

/* A running quotient of two sums that are forgotten as the regressions are. Zeros are an empty one.
 */
struct ratio {
    double num, den, weight;
    int64_t epoch_ms;
};

/* ratio_add adds (sign 1) or takes back (-1) an observation of time t_ms; sign may be any weight.
 */
void ratio_add(struct ratio *r, const struct forgetting *f, double num, double den, int64_t t_ms,
               double sign);
/* ratio_value gives the quotient as of now_ms, within [0.01, 100], drawn to toward by ten average
 * observations of today; toward itself when there is none. */
double ratio_value(const struct ratio *r, const struct forgetting *f, double toward,
                   int64_t now_ms);
/* ratio_age gives the x with which 2^x is what an observation of the sums' epoch counts as of
 * now_ms, and ratio_value_at the quotient where that is known. */
double ratio_age(const struct ratio *r, const struct forgetting *f, int64_t now_ms);
double ratio_value_at(const struct ratio *r, double toward, double today);
/* ratio_block gives the sums as of now_ms; ratio_block_add adds (v > 0) or takes back sums that
 * were so as of as_of_ms, v times. */
struct ratio ratio_block(const struct ratio *r, const struct forgetting *f, int64_t now_ms);
void ratio_block_add(struct ratio *r, const struct forgetting *f, const struct ratio *block,
                     int64_t as_of_ms, double v);
/* ratio_rebase has the sums as of now_ms; needed before the forgetting changes. */
void ratio_rebase(struct ratio *r, const struct forgetting *f, int64_t now_ms);

#endif
