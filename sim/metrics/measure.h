/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_METRICS_MEASURE_H
#define PURSER_SIM_METRICS_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include "sim/play/play.h"
#include "sim/tables/hull.h"

/*
 * The field's numbers of one seed, gathered while it is played: choices against every outcome,
 * predictions against what came of them, spending against a budget, and the curve that the
 * predictions made before each request would have given at every price of quality.
 */
enum measure {
    MEASURE_LENIENT, /* struct oracle_match, eps 0.01; a refusal counts as wrong */
    MEASURE_STRICT,
    MEASURE_NEAR,
    MEASURE_SELECTION,
    MEASURE_COST,
    MEASURE_ACCURACY,
    MEASURE_ARENA,         /* RouterArena's score of mean quality at the cost paid */
    MEASURE_REGRET_FIXED,  /* against the best fixed model in hindsight */
    MEASURE_REGRET_BUDGET, /* against the oracle that spends as much */
    MEASURE_BRIER,         /* of the quality predicted for the model chosen */
    MEASURE_ECE,           /* over MEASURE_BINS bins */
    MEASURE_COST_MAPE,     /* of its expected cost */
    MEASURE_WINDOW_P99,    /* struct compliance over PLAY_WINDOW requests; NaN without a budget */
    MEASURE_OVER,
    MEASURE_EXHAUSTED,
    MEASURE_UNDERSPENT, /* quality the static hull has more at the budget than at the spend */
    MEASURE_AIQ,        /* of the curve: over its range of costs; */
    MEASURE_AUDC,       /* over cost / that of the dearest model; */
    MEASURE_QNC,        /* that ratio at the quality of the best fixed model */
    MEASURE_PEAK,       /* its best quality */
    MEASURE_APGR,       /* two models: of the predicted difference as a score; else NaN */
    MEASURE_CPT50,
    MEASURE_CPT80,
    MEASURES
};
enum { MEASURE_BINS = 10, MEASURE_POINTS = 24 };

struct measures {
    double value[MEASURES]; /* NaN: not defined here */
    struct point curve[MEASURE_POINTS];
    struct reliability_bin {
        double n, predicted, observed; /* means; NaN when the bin is empty */
    } bin[MEASURE_BINS];
};

/* measure_name is its name in JSON and CSV, measure_means says it in a few words. */
const char *measure_name(enum measure m);
const char *measure_means(enum measure m);

/* Gathers: opaque, n requests over the models of a table. */
struct recorder;
/* recorder_new gives NULL when memory is short. table must outlive it; its rows' mean costs are the
 * unit of the curve. */
struct recorder *recorder_new(const struct table *table, size_t n);
void recorder_free(struct recorder *r);
/* recorder_take takes the next choice, judged by the outcomes of a table. */
void recorder_take(struct recorder *r, const struct table *judged, const struct choice *c);
/* recorder_after measures what follows a change at request `at`, until `end`: requests until the
 * mean of the latest RECOVERY_LATEST is, and stays, at 95% of the mean since `before`; and of a
 * model that joins (-1: none) until its share has settled. NaN: not within it. */
enum { RECOVERY_LATEST = 100 };
void recorder_after(struct recorder *r, size_t before, size_t at, size_t end, int joins,
                    double *recovered, double *adopted);
/* recorder_result sums up. budget_usd is per request, 0 = none; false when memory is short. */
bool recorder_result(struct recorder *r, double budget_usd, struct measures *out);

#endif
