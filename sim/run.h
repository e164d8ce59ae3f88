/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_H
#define PURSER_SIM_RUN_H

#include "core/text.h"
#include "sim/crew.h"
#include "sim/experiment.h"
#include "sim/replay.h"

/*
 * An experiment played: every policy under every seed, summed up over seeds, and how it went over
 * time in windows that grow with the number of requests.
 */
enum { RUN_WINDOWS_MAX = 64 };

/* A window: the requests after the previous window's end, up to `end`. */
struct run_window {
    size_t end;
    struct interval accuracy, quality, spend; /* share; mean; USD per request */
};

struct run_policy {
    struct interval quality, spend, hull_at_spend, gain, regret, accuracy, accuracy_last;
    struct interval share[MODELS_MAX];
    struct run_window window[RUN_WINDOWS_MAX];
    long long converged_at; /* requests from which on accuracy stays >= 0.99; -1 = never */
};

struct run_report {
    int n_windows;
    struct point fixed[MODELS_MAX], hull[MODELS_MAX];
    int n_hull;
    struct pick oracle;    /* best quality row by row, the cheapest on ties */
    struct point adequate; /* the cheapest adequate model row by row: accuracy 1 */
    struct run_policy policy[EXPERIMENT_POLICIES_MAX];
};

/* run_experiment plays it all. Same inputs, same report, whatever the workers. */
MUST_CHECK enum status run_experiment(const struct experiment *e, const struct crew *crew,
                                      struct run_report *out, struct problem *problem);

/* run_windows writes the ends of the windows of n requests (the last is n) and gives their number:
 * 10, 15, 20, 30, 40, 60, 80 and ten times, a hundred times ... these. */
int run_windows(size_t n, size_t end[RUN_WINDOWS_MAX]);

/* The report for programs (keys: docs/man/purser-sim.1), for people, and the windows as CSV. */
void run_json(struct text *t, const struct experiment *e, const struct run_report *r);
void run_table(struct text *t, const struct experiment *e, const struct run_report *r);
void run_csv(struct text *t, const struct experiment *e, const struct run_report *r);

/* What the command is told besides the experiment; strings are borrowed. */
struct run_command {
    const char *experiment, *csv; /* csv NULL = none */
    int seeds;                    /* 0 = as the experiment says */
    long long first_seed;         /* -1 = likewise */
    bool json;
    struct crew crew;
};
/* run_command_run does all of `purser-sim run`: results go to stdout. */
MUST_CHECK enum status run_command_run(const struct run_command *c, struct problem *problem);

#endif
