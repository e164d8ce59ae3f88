/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_WORTH_WORTH_H
#define PURSER_SIM_WORTH_WORTH_H

#include "core/encoding/text.h"
#include "sim/replay/replay.h"
#include "sim/worth/worth_cap.h"

/*
 * What it is worth to know what requests are worth: the router with the configured values against
 * the same router without them, at the same budget, on the same requests in the same order, both
 * counted by the values. Limits beside them: mixes that do not look at requests, and oracles that
 * know every outcome.
 */

/* Per request: cost in USD, mean quality, mean value x quality. */
struct worth_point {
    double cost, quality, value;
};

/* One router over the seeds. extra_per_usd is what it delivers beyond the cheapest model, for the
 * dollars it spends beyond that. */
struct worth_side {
    struct interval spend, quality, value, per_usd, extra_per_usd;
};

/* The budget as a cap, and the same share of what the smallest model alone would cost: too little
 * for everybody. */
enum { WORTH_CAP_BUDGET, WORTH_CAP_SMALLEST, WORTH_CAPS };

struct worth_report {
    size_t n;
    int seeds;
    double budget, mean_value;
    struct worth_side aware, blind;
    struct interval gain, extra_gain; /* aware / blind, seed by seed: per_usd, extra_per_usd */
    struct worth_point largest, smallest,
        mix;                                 /* mix: the best static one in value, at the budget */
    struct worth_point oracle, blind_oracle; /* at the budget, choosing with and without values */
    struct worth_cap cap[WORTH_CAPS];
};

/* worth_measure plays r twice under the budget of its params, with their values and without, and
 * three times under each cap. */
MUST_CHECK enum status worth_measure(const struct replay *r, struct worth_report *out,
                                     struct problem *problem);
/* worth_budget gives a share of what the dearest model costs per request. */
double worth_budget(const struct table *t, double share);
void worth_table(struct text *t, const struct replay *r, const struct worth_report *w);
void worth_json(struct text *t, const struct replay *r, const struct worth_report *w);

#endif
