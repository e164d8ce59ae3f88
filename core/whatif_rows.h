/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WHATIF_ROWS_H
#define PURSER_CORE_WHATIF_ROWS_H

/* What whatif.c gathers and whatif_estimate.c estimates from. */
#include "core/pacer.h"
#include "core/whatif.h"

enum { NOW, THEN, SIDES };
enum { NOTED = 4 }; /* quality, dollars, ms, failure: the metrics that have predictions */

struct whatif_row {
    uint64_t seq;
    int64_t time_ms;
    uint8_t arm;
    uint8_t segment;
    bool refused[SIDES];         /* no model is left */
    double value;                /* of the request */
    double weight[SIDES];        /* probability of the chosen model over the logged one */
    double price[SIDES];         /* factor of the chosen model's cost */
    double logged[NOTED];        /* predicted for the chosen model, at the logged price */
    double target[SIDES][NOTED]; /* expected over the choice */
    float tier[SIDES][TIERS_MAX];
    struct decision_row about;
    struct label_book *book; /* NULL = nobody has reported */
};

struct whatif_side {
    struct params params;
    struct pacer pacer;
    int64_t spent_nano;     /* in expectation, all rows */
    double multiplier;      /* summed */
    double unsupported;     /* summed */
    struct event_decided d; /* room for one */
};

struct whatif {
    uint64_t seed;
    int64_t labels;
    struct params logged; /* in force where the log is being read */
    struct whatif_side side[SIDES];
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
