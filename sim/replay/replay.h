/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_REPLAY_H
#define PURSER_SIM_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/config/params.h"
#include "sim/metrics/measure_sum.h"
#include "sim/play/flight.h"
#include "sim/replay/recovery.h"
#include "sim/run/crew.h"
#include "sim/tables/hull.h"
#include "sim/tables/table.h"

struct play_result;
struct trace;
struct series_report;
/* What to replay. All borrowed. */
struct replay {
    const struct table *table;
    const struct table *learn;   /* learn from this table first, NULL = see split */
    double split;                /* fraction of rows learned first, [0,1); by a hash of the id */
    const struct params *params; /* as for the counted rows, budget included */
    const struct change *change; /* what happens to models while rows are counted */
    int n_changes;
    const struct value_tables *worth; /* as in struct play */
    bool given_order;                 /* rows in the table's order, not one that the seed decides */
    bool full_history;
    bool cold;           /* the rows of the split's learned half are left out, not learned */
    bool reveal_all;     /* every model's outcome of a counted row is told, after its decision */
    struct delay delay;  /* of feedback */
    const uint8_t *lens; /* prompts are looked at through it; NULL = none */
    size_t lens_len;
    const struct trace *trace; /* arrivals and lengths of the counted requests; NULL = one a second.
                                  They are then in its order, the first seed's choice of rows */
    int64_t max_output_tokens; /* the limit each counted request has; 0 = none */
    struct sheet_place sheets; /* where every step and seed goes, in rows; {0} = nowhere */
    int seeds;                 /* >= 1 */
    uint64_t first_seed;
    struct crew crew;
    struct play_result *each;     /* [seeds], out: what each seed came to; NULL = not asked for */
    struct series_report *series; /* out: how it went, piece by piece; NULL = not asked for */
};
enum { SEEDS_MAX = 10000 };

struct replay_report {
    size_t n, learned; /* rows counted, rows learned from */
    int n_models;
    bool has_budget;
    double budget;                        /* USD per request */
    struct interval value, value_per_usd; /* mean value x quality; its sum over what was spent */
    struct interval quality, spend, budget_ratio, worst_window_ratio, hull_at_spend, gain, regret;
    struct interval booked_p99, booked_worst; /* over the budget, as in play.h, of seeds with any */
    double binding;                           /* share of requests whose budget binds */
    struct interval accuracy, accuracy_last;  /* share routed to the cheapest adequate model */
    struct interval multiplier, share[MODELS_MAX];
    struct interval refused;     /* share of the counted requests */
    double alarms;               /* that a model has changed, mean over seeds */
    double trips;                /* of the guard against the static hull, likewise */
    double tripped, trip_labels; /* share of seeds with one; median labels until the first */
    double met;                  /* share of seeds that spent at most BUDGET_MET times the budget */
    double hull_at_budget;
    struct point fixed[MODELS_MAX]; /* by model of the table */
    struct point hull[MODELS_MAX];
    int n_hull;
    struct pick best_single, oracle, largest, smallest;
    struct measures_over measures;
};

/* replay_run plays every seed and sums up. Same inputs, same report, whatever the workers. */
MUST_CHECK enum status replay_run(const struct replay *r, struct replay_report *out,
                                  struct problem *problem);
/* replay_run_shocks also tells what became of each change. With changes, fixed models, hull and
 * oracle are those of the outcomes as they change: in expectation, when the seed decides the order.
 */
MUST_CHECK enum status replay_run_shocks(const struct replay *r, struct replay_report *out,
                                         struct shocks *shocks, struct problem *problem);

/* A budget that is an average to be held, not a cap, is met with 2% to spare. */
#define BUDGET_MET 1.02

/* replay_survey fills what needs no router: counts, fixed models, hull, best single, oracle; the
 * rest is zero. */
MUST_CHECK enum status replay_survey(const struct replay *r, struct replay_report *out,
                                     struct problem *problem);
/* replay_oracle_within gives the oracle under a mean cost over the rows that replay_run counts. */
MUST_CHECK enum status replay_oracle_within(const struct replay *r, double spend_usd,
                                            struct pick *out, struct problem *problem);

/* What the counted rows come to without learning. */
struct baselines {
    struct pick largest, smallest; /* the dearest and the cheapest model by list price */
    struct pick best_single, oracle;
    bool has_rules;
    struct point rules; /* the keyword rules of params, nothing explored */
    struct point hull;  /* the best mix of fixed models at the spend asked for */
};

/* replay_baselines evaluates them over the rows that replay_run counts. */
MUST_CHECK enum status replay_baselines(const struct replay *r, double spend_usd,
                                        struct baselines *out, struct problem *problem);

/* replay_learned_first tells on which side of a split the row of this id falls. */
bool replay_learned_first(const char *id, double split);

#endif
