/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_LEARNER_H
#define PURSER_CORE_LEARN_LEARNER_H

#include <stdbool.h>
#include <stdint.h>
#include "bandit/drift.h"
#include "bandit/ridge/ridge.h"
#include "core/config/params.h"
#include "core/event/event.h"
#include "core/features/features.h"
#include "core/learn/ratio.h"
#include "core/router/generations.h"

/*
 * What is learned about the models: per model one regression for each target (a Gram matrix each,
 * so that any subset of labels may be reported), the smearing ratios that turn a mean of logarithms
 * into a mean, and the ratio of reported to computed cost.
 */
struct learner {
    /* A tenant's learner looks up to the shared one: it has the prior from there, and as many rows
     * as it may borrow; decisions after seq shares_since teach that one too, if any do. The first
     * three are set by learner_attach; all are 0 in the shared learner itself. */
    const struct learner *parent;
    double borrows;
    int index;
    uint64_t shares_since;
    int d;
    int n_arms;
    uint64_t schema;      /* of the layout since it was last changed; 0 = not shaped yet */
    struct layout layout; /* of x */
    struct ridge *ridge[MODELS_MAX][TARGETS];
    double *room;                            /* that the shared prior is estimated in */
    struct ratio smear[MODELS_MAX][TARGETS]; /* TOKENS and LATENCY only */
    struct ratio cost[MODELS_MAX];           /* reported / computed */
    struct forgetting forgets;               /* of the quotients; regressions have their own */
    int64_t now_ms; /* the fold's clock, set by the router with each event; 0 in a child */
    struct drift drift[MODELS_MAX][TARGETS];
    int alarm; /* 1 + arm * TARGETS + target of a change found, not yet acted on; 0 = none */
    bool alarm_up;
    int64_t
        since_ms[MODELS_MAX]; /* decisions up to then no longer teach it: core/learn/learned.c */
    int64_t arm_labels[MODELS_MAX]; /* quality labels learned of each model */
    int64_t
        quota_until[MODELS_MAX]; /* quality labels at which a new or changed model's quota ends */
    double label_rate;       /* running share of decisions, by weight, that get a quality label */
    int64_t labels[TARGETS]; /* learned, all models, removals subtracted */
    int64_t since_pool[TARGETS];        /* label changes since the shared prior was estimated */
    struct precision_scale scale;       /* of the quality priors, chosen by marginal likelihood */
    int64_t tuned_at;                   /* labels when it was last chosen */
    double pooled[TARGETS][DIM_MAX];    /* shared prior mean, above each model's typical level */
    uint8_t dirty[MODELS_MAX][TARGETS]; /* bit per snapshot generation */
};

/* A model's prediction for one request. */
struct prediction {
    double quality, quality_sd; /* mean in [0,1]; posterior sd of the mean */
    double tokens, tokens_sd;   /* output tokens, smeared, clipped to the request's limit */
    double latency_ms, latency_sd;
    double failure, failure_sd;     /* probability */
    double cost_usd, cost_sd;       /* at the model's current prices, times the learned ratio */
    double tokens_raw, latency_raw; /* before smearing: kept with the decision */
};

/* learner_shape makes the learner fit the parameters and the lens (NULL: none): creates regressions
 * for new models, sets priors and half-life. When the feature schema changed, what was learned of
 * entries that both schemas have is carried over, the others start from their prior; open decisions
 * no longer wait. A parent is shaped before its children. False when memory is short. */
bool learner_shape(struct learner *l, const struct params *p, const struct lens *lens,
                   int64_t now_ms);
/* learner_forget sets the half-life; that of a learner without rows has none before it. */
void learner_forget(struct learner *l, const struct params *p, bool first, int64_t now_ms);
/* learner_room makes room for estimating the shared prior of d entries; false when memory is short.
 */
bool learner_room(struct learner *l, int d);
void learner_free(struct learner *l);
/* learner_copy gives a learner that predicts the same, on its own, and is good for nothing else;
 * NULL when memory is short. The caller frees with learner_drop (NULL is fine). */
struct learner *learner_copy(const struct learner *l);
void learner_drop(struct learner *l);
/* learner_attach makes l, before it is shaped, the learner of spec, whose index is given; parent is
 * borrowed as long as l lives. */
void learner_attach(struct learner *l, const struct learner *parent,
                    const struct learner_spec *spec, int index);

/* learner_predict predicts model `arm` at x (d doubles). Pure. */
void learner_predict(const struct learner *l, const struct model *m, int arm, const double *x,
                     const struct event_decided *request, struct prediction *out);

/* learner_pend notes that a decision awaits its quality label (rows 1) or no longer does (-1):
 * labelled, or gone from memory without one. */
void learner_pend(struct learner *l, const struct params *p, const struct decision_row *row,
                  const float *x, int rows);

/* learner_change moves labels of a decision, each from `before` (if had) to `after` (if has). A new
 * label is held against the decision's prediction, to find drift, only in the learner that made it.
 */
struct label_change {
    bool had, has;
    double before, after;
};
void learner_change(struct learner *l, const struct params *p, const struct decision_row *row,
                    const float *x, const struct label_change change[TARGETS], int64_t now_ms);
/* learner_cost moves the cost sums of a model likewise; amounts in nanodollars. */
void learner_cost(struct learner *l, const struct decision_row *row, bool had,
                  int64_t reported_before, int64_t priced_before, bool has, int64_t reported,
                  int64_t priced);
/* learner_drifted acts on an alarm: the target's evidence fades, the model gets an exploration
 * quota. */
void learner_drifted(struct learner *l, const struct params *p, int arm, enum target t,
                     int64_t now_ms);
/* learner_quota tells whether a model is new or changed and still under quota. */
bool learner_quota(const struct learner *l, int arm);
/* learner_refresh renews every regression that has unseen rows, in the learner itself or in what it
 * borrows from, but at most `room` of them; gives the room left. */
int learner_refresh(struct learner *l, const struct params *p, int room, int64_t now_ms);
/* learner_renew renews one regression and its prior. */
void learner_renew(struct learner *l, const struct params *p, int arm, enum target t,
                   int64_t now_ms);
/* learner_knows tells whether a model has at least so many quality labels here or where l borrows.
 */
bool learner_knows(const struct learner *l, int arm, int64_t labels);

/* learner_put writes all but the regressions; learner_get reads it into a learner of the same
 * shape, false when the shape is another. */
struct filler;
struct reader;
void learner_put(struct filler *w, const struct learner *l);
bool learner_get(struct reader *r, struct learner *l);

/* learner_average gives the features of the average judged request (d doubles; the bias alone when
 * there is none), learner_quality what is predicted of a model there. */
void learner_average(const struct learner *l, int64_t now_ms, double *x);
double learner_quality(const struct learner *l, int arm, const double *x);

double learner_cost_ratio(const struct learner *l, int arm);

#endif
