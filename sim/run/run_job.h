/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_RUN_JOB_H
#define PURSER_SIM_RUN_RUN_JOB_H

#include "sim/disturb/course.h"
#include "sim/metrics/measure.h"
#include "sim/run/experiment.h"
#include "sim/series/series.h"
#include "sim/sheet.h"
#include "sim/tables/hull.h"

/* A job of an experiment: one policy under one seed. What it comes to is sums, so that jobs can be
 * played anywhere and added up later (journal.h) to the same last digit. */
enum { RUN_WINDOWS_MAX = 64 };

struct run_sum {
    int64_t n, right, refused; /* requests; to the cheapest adequate model; not served at all */
    int64_t cost_nano, tokens; /* in and out */
    int64_t timed;             /* requests whose latency is known */
    double quality, latency_ms;
};

struct run_job {
    bool known;                 /* the numbers are there */
    struct run_sum whole, last; /* last: the last fifth */
    struct run_sum window[RUN_WINDOWS_MAX];
    struct run_sum stretch[STRETCHES_MAX], group[GROUPS_MAX];
    int64_t chosen[STRETCHES_MAX][MODELS_MAX];
    struct point fixed[MODELS_MAX], oracle, adequate; /* what its course had to offer */
    struct series series;
    struct measures measured;
    /* Of each stretch but the first: requests until quality is again, and stays, at 95% of what it
     * was in the stretch before; of the model that joins with it: until its share has settled. NaN:
     * not, or there is none. */
    double recovered[STRETCHES_MAX], adopted[STRETCHES_MAX];
    enum status status;
    struct problem problem;
};

/* run_windows writes the ends of the windows of n requests (the last is n) and gives their number:
 * 10, 15, 20, 30, 40, 60, 80, 100, 150, ... */
int run_windows(size_t n, size_t end[RUN_WINDOWS_MAX]);

/* run_job_play plays a policy of e under a seed. Pure but for memory, and the rows of steps. */
void run_job_play(const struct experiment *e, int policy, uint64_t seed, struct sheet *steps,
                  struct run_job *out);

#endif
