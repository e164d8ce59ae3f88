/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WHATIF_WHATIF_H
#define PURSER_CORE_WHATIF_WHATIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/config/params.h"
#include "core/encoding/text.h"
#include "core/event/event.h"
#include "core/learn/learner.h"

/*
 * What a change of settings would do, from the log: every decision is chosen anew under the
 * settings in force (`now`) and under others (`then`), by the code that chose it
 * (core/router/choose.h), and outcomes are estimated off-policy from the logged probabilities and
 * labels (bandit/ope/ope.h). Pure; libm and GSL are used, so nothing of this belongs into folded
 * state.
 *
 * Both sides choose by what is known today (`known`): what a decision of last week would be if it
 * were made now, not what it would have been. Without it, and for decisions of tenants' learners or
 * other features, they choose by the predictions of the record.
 *
 * The estimator is doubly robust. The logged predictions are its model: each was made before its
 * label was known, so no row teaches the model that judges it. Rows without a label contribute what
 * is predicted; those with one are weighted up by the share of their model's rows that have one.
 * Under a budget each side is paced anew on these rows, so that its spending meets the budget.
 *
 * Not followed, because the log does not hold what they depend on: keyword rules (no prompts),
 * requests that were refused, models that were not eligible, the pacing of pools, the exploration
 * quota of new models and the guards. Caps and kill switches of pools are (whatif_pools.h). A
 * request of a session stays with its model.
 */
struct whatif;

enum { WHATIF_SEGMENTS = 16, WHATIF_ROWS = 50000 };

struct whatif_query {
    const struct params *now, *then; /* borrowed */
    uint64_t seed;                   /* of the store: router_init */
    int64_t labels;                  /* quality labels that the engine has learned from, all told */
    size_t rows;                     /* decisions at most, the newest count; 0 = WHATIF_ROWS */
    const struct learner *known;     /* what is known today, borrowed; NULL = what was then */
};

/* whatif_new refuses (BAD_REQUEST) what no log can tell: the policies rules and beta_ts. */
MUST_CHECK enum status whatif_new(const struct whatif_query *q, struct whatif **out,
                                  struct problem *problem);
void whatif_free(struct whatif *w);
/* whatif_take takes the next record: in the order of the log, the configuration in force at the
 * first decision ahead of it. Kinds that say nothing here are passed over. */
MUST_CHECK enum status whatif_take(struct whatif *w, const struct event *e,
                                   struct problem *problem);

/* 95% intervals of what as many requests to come would show: wide enough for theirs being another
 * sample, and for learning to move the answer on by as much as it has moved it since the decisions
 * looked at were made. */
struct whatif_number {
    double value, low, high; /* NaN = not known */
};
struct whatif_line {
    struct whatif_number now, then, change;
    bool enough; /* the evidence carries it */
};
enum whatif_metric {
    WHATIF_QUALITY,       /* of requests that are answered, [0,1] */
    WHATIF_COST,          /* US dollars a request */
    WHATIF_LATENCY,       /* ms */
    WHATIF_FAILURE,       /* share */
    WHATIF_VALUE,         /* value x quality a request */
    WHATIF_VALUE_PER_USD, /* value x quality a dollar */
    WHATIF_METRICS
};
/* whatif_metric_name gives a metric's key in JSON. */
const char *whatif_metric_name(enum whatif_metric m);

/* Of the requests that declared one value of fairness.dimension, or of all. */
struct whatif_segment {
    char name[NAME_CAP]; /* "" = none declared */
    size_t rows, labels; /* decisions; with a quality label */
    struct whatif_line metric[WHATIF_METRICS], tier[TIERS_MAX], refused; /* shares of requests */
};

enum whatif_floor { WHATIF_NONE, WHATIF_HELD, WHATIF_BROKEN, WHATIF_UNKNOWN };
struct whatif_report {
    size_t rows, passed_over; /* decisions: looked at; of another layout of models */
    uint64_t from_seq, to_seq;
    int64_t from_ms, to_ms;
    double ess;           /* effective sample of `then` among the labelled rows */
    double unsupported;   /* share of what `then` chooses that the log hardly ever tried */
    double moved;         /* share of the requests that would go to another model */
    double multiplier[2]; /* mean price of a dollar in quality points: now, then */
    int n_tiers;
    char tier[TIERS_MAX][NAME_CAP];
    struct whatif_segment all;
    int n_segments;
    struct whatif_segment segment[WHATIF_SEGMENTS];
    double gap[2];           /* largest difference of two segments' quality: now, then */
    enum whatif_floor floor; /* whether `then` keeps what fairness of `then` declares */
    char why[160];           /* which segment breaks it */
};
/* whatif_report estimates from the rows taken so far. UNAVAILABLE: no memory. */
MUST_CHECK enum status whatif_report(struct whatif *w, struct whatif_report *out,
                                     struct problem *problem);

/* whatif_json writes the report as one JSON object, whatif_table for people. */
void whatif_json(struct text *t, const struct whatif_report *r);
void whatif_table(struct text *t, const struct whatif_report *r);

#endif
