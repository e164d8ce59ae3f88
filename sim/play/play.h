/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_PLAY_PLAY_H
#define PURSER_SIM_PLAY_PLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "core/config/params.h"
#include "core/event/event.h"
#include "core/request.h"
#include "core/status.h"
#include "sim/disturb/channel.h"
#include "sim/play/flight.h"
#include "sim/replay/change.h"
#include "sim/tables/table.h"

/* Rows of a table to be played, in an order the seed decides. */
struct play_rows {
    const struct table *table;
    const uint32_t *row;
    size_t n;
};

/* A counted request as it was decided. Arrays are by the table's models. */
struct choice {
    size_t i; /* from 0, in the order of the run */
    uint32_t row;
    int model;                 /* -1 = it was refused: the rest is then without meaning */
    const struct table *table; /* with the outcomes of that time */
    double propensity;
    const double *quality, *cost_usd; /* predicted at the decision; NaN: not eligible */
};

/* One run: rows that are only learned from, then rows that count. All borrowed. */
struct play {
    struct play_rows learn, count; /* learn.n may be 0; learn.table may be another table */
    const struct params *learn_params, *count_params;
    bool full_history; /* learning rows tell every model's outcome, not only the chosen one's */
    bool reveal_all;   /* counted rows do so too, once they have been decided */
    const struct phase *phase; /* of the counted rows, n_phases >= 1 of them, in order */
    int n_phases;
    bool given_order; /* rows are played in the order given, not in one the seed decides */
    const struct value_tables *worth; /* by which outcomes count; NULL = as count_params says */
    struct delay delay;               /* of feedback */
    const uint8_t *lens;              /* of lens_len bytes; NULL = none */
    size_t lens_len;
    const struct channel *channel; /* how feedback of counted rows is carried; NULL = as it is */
    const int64_t *clock_ms;   /* [count.n] arrivals since the first; NULL = one request a second */
    int64_t max_open;          /* decisions remembered; older ones' feedback is lost; 0 = all */
    const size_t *restart;     /* counted requests before which the router is stopped and started */
    const bool *restart_keeps; /* from its snapshot; false: with nothing */
    int n_restarts;
    void (*chose)(void *ctx, const struct choice *c); /* told of each counted request, or NULL */
    /* sees its decision before that, unless it was refused: the record, with the table's model by
     * catalog slot (-1: none); may be NULL */
    void (*saw)(void *ctx, size_t i, uint32_t row, const struct event_decided *d, const int *model);
    /* sets the labels of a counted request; may be NULL */
    void (*dress)(void *ctx, size_t i, struct request *r);
    void *ctx;
};

/* A counted request, and an alarm about a model that changed (EVENT_DRIFTED). */
struct play_step {
    float quality, cost_usd;
    int16_t model;
};
struct play_alarm {
    int32_t at; /* counted request during which it was raised */
    int16_t model;
    bool up;
};
enum { ALARMS_MAX = 64 };

/* What the counted rows came to. */
struct play_result {
    double quality;                  /* mean */
    double value;                    /* mean value x quality */
    double spend_usd;                /* mean per request */
    double regret;                   /* mean quality the oracle had more */
    double accuracy;                 /* share routed to the cheapest adequate model: see play.c */
    double accuracy_last;            /* the same over the last fifth */
    double worst_window;             /* highest mean spend over WINDOW consecutive requests, USD */
    double binding;                  /* share of requests with a multiplier above 0 */
    double booked_p99, booked_worst; /* mean booked cost of WINDOW binding requests, USD: the 99th
                                        percentile of such windows and the dearest; NaN = none */
    double multiplier;               /* of the pacer at the end */
    int64_t chosen[MODELS_MAX];      /* by the counted table's models */
    int64_t refused;                 /* no budget, put off, or no model: quality 0 for nothing */
    int n_alarms;                    /* of which the first ALARMS_MAX are kept */
    struct play_alarm alarm[ALARMS_MAX];
    int n_trips;         /* times the policy was put aside for the static hull */
    int64_t trip_labels; /* quality labels that the first of them took */
    enum status status;
    struct problem problem; /* when status is not OK */
};
enum { PLAY_WINDOW = 200, PLAY_STEP_MS = 1000 };
#define PLAY_EPOCH_MS INT64_C(1700000000000) /* virtual time of the first row */

/* play_cheapest_adequate is routing accuracy, of one request: the model chosen is adequate (within
 * 0.01 of the row's best quality) and no adequate one is cheaper. Ties in price count for both. */
bool play_cheapest_adequate(const struct table *t, uint32_t row, int model);

/* play_seed plays one seed. Pure but for memory: same inputs, same result. step is [count.n] or
 * NULL. */
void play_seed(const struct play *play, uint64_t seed, struct play_result *out,
               struct play_step *step);

#endif
