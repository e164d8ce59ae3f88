/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_WORTH_WORTH_CAP_H
#define PURSER_SIM_WORTH_WORTH_CAP_H

#include "sim/replay/replay.h"

/*
 * What it is worth to know what requests are worth when the budget is a cap on them all: a pool
 * that is spent is spent. Three routers under the same pool, on the same requests, all counted by
 * the values: one that paces and, when even the cheapest models are too dear, puts off what is
 * worth least; the same one blind to values, so that nothing can be put off before it is refused;
 * and one that is blind and does not pace: whoever comes first is served as if there were no cap.
 */
struct worth_capped {
    struct interval spend, value, per_usd, served; /* per request asked; served: share of them */
};
struct worth_cap {
    double budget; /* USD per request asked */
    struct worth_capped aware, blind, wall;
    struct interval over_blind, over_wall; /* value per dollar, aware over the other */
};

/* worth_cap_measure plays r under a pool of budget times its rows. */
MUST_CHECK enum status worth_cap_measure(const struct replay *r, double budget,
                                         struct worth_cap *out, struct problem *problem);

#endif
