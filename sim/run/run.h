/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_RUN_H
#define PURSER_SIM_RUN_RUN_H

#include "core/encoding/text.h"
#include "sim/metrics/measure_sum.h"
#include "sim/replay/replay.h"
#include "sim/run/crew.h"
#include "sim/run/experiment.h"
#include "sim/run/run_job.h"

/*
 * An experiment played: every policy under every seed, summed up over seeds, and how it went over
 * time in windows that grow with the number of requests, between disturbances, and by group.
 */

/* Some of the requests: up to `end` of a window or stretch, or those of a group. */
struct run_part {
    size_t end;
    double n;                                 /* requests, mean over seeds */
    struct interval accuracy, quality, spend; /* share; mean; USD per request */
    struct interval usd_per_mtok, latency;    /* of tokens in and out; ms, NaN = not told */
    struct interval refused;                  /* share */
};

struct run_policy {
    struct run_part whole, window[RUN_WINDOWS_MAX], stretch[STRETCHES_MAX], group[GROUPS_MAX];
    struct interval hull_at_spend, gain, regret, accuracy_last, utility;
    struct measures_over measures;
    struct interval recovered[STRETCHES_MAX], adopted[STRETCHES_MAX];
    double recovered_share[STRETCHES_MAX]; /* of the seeds */
    struct interval share[MODELS_MAX], stretch_share[STRETCHES_MAX][MODELS_MAX];
    long long converged_at; /* requests from which on accuracy stays >= 0.99; -1 = never */
};

struct run_report {
    int n_windows, n_stretches;
    struct point fixed[MODELS_MAX], hull[MODELS_MAX]; /* means over seeds, as all below */
    int n_hull;
    struct pick oracle;    /* best quality row by row, the cheapest on ties */
    struct point adequate; /* the cheapest adequate model row by row: accuracy 1 */
    struct run_policy policy[EXPERIMENT_POLICIES_MAX];
    double *utility;              /* [policies * seeds], owned: see run_free */
    struct series_report *series; /* [policies], owned */
};

/* What of an experiment is played here, and where the rest comes from. */
struct run_plan {
    struct crew crew;
    int shard, shards;   /* of all jobs those with number % shards == shard; 0, 1 = all */
    const char *journal; /* jobs are appended to this file and known ones not played; or NULL */
    char *const *also;   /* journals of others, read only */
    int n_also;
    bool read_only;            /* nothing is played: what is missing is an error */
    struct sheet_place sheets; /* where everything goes, in rows; steps only of what is played */
};

/* run_plan_play plays what the plan says. *complete tells whether all jobs are known: only then is
 * the report filled, and it depends neither on workers nor on shards. Free it with run_free. */
MUST_CHECK enum status run_plan_play(const struct experiment *e, const struct run_plan *plan,
                                     struct run_report *out, bool *complete,
                                     struct problem *problem);
/* run_experiment plays it all. Same inputs, same report, whatever the workers. */
MUST_CHECK enum status run_experiment(const struct experiment *e, const struct crew *crew,
                                      struct run_report *out, struct problem *problem);
void run_free(struct run_report *r);

/* run_sum_up fills the report from all jobs, [policies * seeds] policy by policy. */
MUST_CHECK enum status run_sum_up(const struct experiment *e, const struct run_job *job,
                                  struct run_report *out, struct problem *problem);

/* run_sheets writes all jobs as sheets: steps (joined), seeds, windows, stretches, curve, bins. */
MUST_CHECK enum status run_sheets(const struct experiment *e, const struct run_job *job,
                                  const struct sheet_place *to, struct problem *problem);

/* Of a job: what a report averages. */
double run_hull_at(const struct experiment *e, const struct run_job *j);
double run_utility(const struct experiment *e, const struct run_job *j);

/* run_json writes the report as one object, run_csv a line per policy and window, run_table both
 * for people. */
void run_json(struct text *t, const struct experiment *e, const struct run_report *r);
void run_csv(struct text *t, const struct experiment *e, const struct run_report *r);
void run_table(struct text *t, const struct experiment *e, const struct run_report *r);

/* The commands run and merge. */
struct run_command {
    const char *experiment, *csv; /* csv may be NULL */
    int seeds;                    /* 0 = as the experiment says */
    int64_t first_seed;           /* -1 = as the experiment says */
    bool json, check;             /* check: nothing is played */
    struct run_plan plan;
};
MUST_CHECK enum status run_command_run(const struct run_command *c, struct problem *problem);

#endif
