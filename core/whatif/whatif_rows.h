/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WHATIF_WHATIF_ROWS_H
#define PURSER_CORE_WHATIF_WHATIF_ROWS_H

/* What whatif.c gathers and whatif_estimate.c estimates from. */
#include "core/budget/pacer.h"
#include "core/budget/pools.h"
#include "core/whatif/whatif.h"

/* Two sides, by what is known today; and the same two by what was known when each decision was
 * made. Without anything known today there are only the first, by the record. */
enum { NOW, THEN, SIDES, BEFORE = SIDES, ALL_SIDES = 2 * SIDES };
enum { NOTED = 4 }; /* quality, dollars, ms, failure: the metrics that have predictions */

struct whatif_row {
    uint64_t seq;
    int64_t time_ms;
    uint8_t arm;
    uint8_t segment;
    bool refused[ALL_SIDES];         /* no model is left */
    double value;                    /* of the request */
    double weight[ALL_SIDES];        /* probability of the chosen model over the logged one */
    double price[ALL_SIDES];         /* factor of the chosen model's cost */
    double logged[NOTED];            /* predicted for the chosen model, at the logged price */
    double target[ALL_SIDES][NOTED]; /* expected over the choice */
    float tier[ALL_SIDES][TIERS_MAX];
    struct decision_row about;
    struct label_book *book; /* NULL = nobody has reported */
};

struct whatif_side {
    struct params params;
    struct pacer pacer;
    struct pools pools;          /* of params.pools, if there are any: whatif_pools.h */
    const struct learner *known; /* NULL = what the record says */
    int64_t spent_nano;          /* in expectation, all rows */
    double multiplier;           /* summed */
    double unsupported;          /* summed */
    struct event_decided d;      /* room for one */
};

struct whatif {
    uint64_t seed;
    int64_t labels;
    const struct learner *known;
    struct params logged; /* in force where the log is being read */
    int sides;            /* SIDES or ALL_SIDES */
    struct whatif_side side[ALL_SIDES];
    struct whatif_row *row; /* ring of cap; the newest n */
    size_t cap, first, n;
    int64_t taken, passed_over;
    double moved; /* summed */
    int n_segments;
    char segment[WHATIF_SEGMENTS][NAME_CAP];
};

static inline struct whatif_row *whatif_row_at(const struct whatif *w, size_t i)
{
    return &w->row[(w->first + i) % w->cap];
}

#endif
