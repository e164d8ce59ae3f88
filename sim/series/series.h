/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SERIES_SERIES_H
#define PURSER_SIM_SERIES_SERIES_H

#include "core/encoding/text.h"
#include "core/event/event.h"
#include "sim/replay/recovery.h"
#include "sim/tables/table.h"

/*
 * How a run went, step by step, in as many numbers as a picture needs: even pieces of the counted
 * requests, how well predicted qualities came true, and what off-policy estimates from the run's
 * own decisions say beside the truth, which a full-information table knows. All of it is sums or
 * functions of one seed's run, so that jobs can be played anywhere.
 */
enum { SERIES_BUCKETS = 50, SERIES_BINS = 10, SERIES_OPE_ROWS = 20000 };

struct series_bucket {
    int64_t n, refused, cost_nano;
    double quality, best; /* sums: of the model chosen; of the best model of each request */
    double multiplier;    /* sum over decisions; quality points per dollar */
    int32_t chosen[MODELS_MAX];
};
struct series_bin { /* of predicted quality, [k, k+1) / SERIES_BINS */
    int64_t n;
    double predicted, observed; /* sums */
};
enum series_estimator { SERIES_DM, SERIES_IPS, SERIES_SNIPS, SERIES_DR, SERIES_ESTIMATORS };
struct series_ope { /* always this model, judged on the run's decisions */
    int64_t rows;   /* 0 = nothing is known, all else is zero */
    double truth;
    double effective, off; /* rows left for the target; standard errors of the mean weight from 1 */
    double value[SERIES_ESTIMATORS], low[SERIES_ESTIMATORS], high[SERIES_ESTIMATORS];
};
struct series {
    struct series_bucket bucket[SERIES_BUCKETS];
    struct series_bin bin[SERIES_BINS];
    struct series_ope ope[MODELS_MAX];
};

/* series_buckets writes where the pieces of n requests end and gives their number. */
int series_buckets(size_t n, size_t end[SERIES_BUCKETS]);
const char *series_estimator_name(enum series_estimator e);
bool series_claims(const struct series_ope *o, enum series_estimator e);

/* A run being watched: see struct play. judged holds the qualities that count. */
struct series_watch {
    const struct table *judged;
    struct series *out;
    size_t n, every, n_kept; /* requests; one in `every` is kept for estimates */
    struct {
        double *p, *label;
        uint32_t *row;
        int16_t *model;
        float *q; /* [rows][models] predictions; NaN: was not eligible */
    } kept;
};
/* series_open starts it (out zeroed by it); false without memory. series_close makes the estimates
 * and frees; out is borrowed until then. */
bool series_open(struct series_watch *w, const struct table *judged, size_t n, struct series *out);
MUST_CHECK bool series_close(struct series_watch *w);
/* series_saw takes the record of the i-th request's decision, model by catalog slot (-1: none of
 * the table); series_chose what it came to, -1 = refused. */
void series_saw(struct series_watch *w, size_t i, uint32_t row, const struct event_decided *d,
                const int *model);
void series_chose(struct series_watch *w, size_t i, uint32_t row, int model);

/* Over seeds. */
struct series_report {
    int n;
    struct series_part {
        size_t end;
        struct interval quality, spend, multiplier; /* means of a request; USD; points per USD */
        struct interval regret;                     /* sum since the first request */
        double refused, share[MODELS_MAX];
    } part[SERIES_BUCKETS];
    struct {
        double n, predicted; /* mean over seeds; NaN without any */
        struct interval observed;
    } bin[SERIES_BINS];
    struct {
        double rows, truth, effective; /* 0 rows: none */
        double value[SERIES_ESTIMATORS], low[SERIES_ESTIMATORS], high[SERIES_ESTIMATORS];
        double claims[SERIES_ESTIMATORS];  /* share of seeds whose interval claims: ope_claims */
        double covered[SERIES_ESTIMATORS]; /* share of these whose interval holds the truth; NaN */
    } ope[MODELS_MAX];
};
/* series_sum_up adds up what `seeds` runs of n requests came to; work is [seeds]. at gives the
 * i-th. */
void series_sum_up(const struct series *(*at)(const void *ctx, int i), const void *ctx, int seeds,
                   size_t n, int n_models, double *work, struct series_report *out);
/* series_json writes the members "series", "calibration" and "off_policy" of an object. */
void series_json(struct text *t, const struct series_report *r, const struct table *models);

#endif
