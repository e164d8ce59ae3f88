/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HONESTY_HONESTY_H
#define PURSER_SIM_HONESTY_HONESTY_H

#include "core/config/params.h"
#include "core/encoding/text.h"
#include "sim/run/crew.h"
#include "sim/tables/table.h"

/*
 * Whether previews tell the truth. On a full-information table the shipped router decides `rows`
 * requests under random weights; a preview is asked what other random weights would do
 * (core/whatif, from the records alone); then two copies of the router go on with the same next
 * `rows` requests, one with the change and one without. What the change really did is the
 * difference of the two, in expectation over their draws, by the table's outcomes. It lies within
 * the preview's interval, or does not.
 */
struct honesty {
    const struct table *table;
    const struct params *params; /* but for the objective, which is drawn */
    size_t warm;                 /* decided first: nothing is known in the beginning */
    size_t rows;                 /* that a preview looks at, and again after the change */
    double labelled;             /* share of the decisions whose quality is ever told */
    int changes;
    uint64_t seed;
    struct crew crew;
};

enum { HONEST_QUALITY, HONEST_COST, HONEST_METRICS };
struct honest_line {
    double predicted, low, high; /* change that the preview tells, 95% */
    double realised;
    bool enough; /* the preview stands by it */
};
struct honest_change {
    double cost[2], failure[2]; /* weights before and after */
    double moved, ess;
    struct honest_line line[HONEST_METRICS];
    enum status status;
    struct problem problem;
};

/* honesty_run fills [changes]. Same inputs, same result, whatever the workers. */
MUST_CHECK enum status honesty_run(const struct honesty *h, struct honest_change *out,
                                   struct problem *problem);

/* How many of the changes that the preview stands by (all: of all) came out within the interval. */
struct honest_score {
    int n, within;
    double error, width; /* root mean square of predicted minus realised; mean width */
};
struct honest_score honesty_score(const struct honest_change *c, int n, int metric, bool all);

struct options;
/* honesty_command is `purser-sim honesty WORLD_OR_DIR`: gives the exit status. */
int honesty_command(const struct options *o, const char *where);

#endif
