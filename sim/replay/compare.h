/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_COMPARE_H
#define PURSER_SIM_REPLAY_COMPARE_H

#include <stdbool.h>
#include <stdio.h>
#include "core/encoding/text.h"
#include "sim/replay/replay.h"

/*
 * A grid of replays: tables x histories x budgets x policies, each cell over all seeds, and beside
 * the cells of a table and budget what no policy is: the best fixed model, the static hull, the
 * oracle, and the ceiling (the same regressions, greedy, told every model's outcome of every row).
 */
enum { GRID_BUDGETS_MAX = 16, GRID_POLICIES_MAX = 32 };

enum history { HISTORY_COLD, HISTORY_BANDIT, HISTORY_FULL, HISTORIES };

/* A budget as asked for: an amount, a share of the best fixed model's mean cost, or none (both 0).
 */
struct grid_budget {
    char text[24];
    double usd, share;
};

/* One policy under one history and budget on one table. */
struct cell {
    uint64_t digest; /* of all that the result depends on */
    const char *table, *policy;
    const char *history; /* or "all", of the ceiling */
    const char *asked;   /* the budget's text */
    bool done;           /* numbers below are filled; false: the budget does not count */
    size_t n, learned;
    double budget, least; /* USD per request; 0 = none. Mean cost of the cheapest model */
    struct interval quality, spend, gain, ratio; /* ratio of spend to budget */
    double met;                                  /* share of seeds within BUDGET_MET */
    struct point single, oracle;                 /* best that fit the budget */
    double hull;                                 /* quality of the hull at the budget */
};

/* What to compare. All borrowed. */
struct grid {
    char *const *dir;
    int n_dirs;
    const char *policy[GRID_POLICIES_MAX];
    int n_policies;
    struct grid_budget budget[GRID_BUDGETS_MAX];
    int n_budgets;
    enum history history[HISTORIES];
    int n_histories;
    struct replay replay; /* split, delay, lens, seeds, crew: as for all cells */
    /* set_up loads a table and makes its params; on OK the caller frees the table. */
    enum status (*set_up)(void *ctx, const char *dir, struct table *t, struct params *p,
                          struct problem *problem);
    void *ctx;
    bool json;          /* a JSON object a cell on out, as they come; else tables */
    FILE *out;          /* borrowed */
    const char *csv;    /* written at the end; NULL = no */
    const char *resume; /* cells are appended as they come, known ones not played again */
    /* progress may be NULL; done 0..1 */
    void (*progress)(void *ctx, double done, double seconds_left);
    void *progress_ctx;
};

/* grid_policies, grid_budgets, grid_histories read comma lists; false when one is not allowed or
 * there are too many. "all" are all policies. Borrow list. */
bool grid_policies(struct grid *g, const char *list);
bool grid_budgets(struct grid *g, const char *list);
bool grid_histories(struct grid *g, const char *list);

/* grid_run plays what is not known yet and tells. */
MUST_CHECK enum status grid_run(const struct grid *g, struct problem *problem);

/* How far below the hull is a fault: from experience, and without any. */
#define BELOW_WARM 0.002
#define BELOW_COLD 0.005
/* cell_below tells whether the whole interval of the gain lies further below the hull. */
bool cell_below(const struct cell *c);

/* cell_json writes a cell as one JSON object; cell_csv as one line, header first when c is NULL.
 * cell_read takes the numbers of a line that cell_json wrote; false when it is not whole or of
 * another digest. */
void cell_json(struct text *t, const struct cell *c);
void cell_csv(struct text *t, const struct cell *c);
bool cell_read(struct cell *c, const char *line);

/* cells_table writes the cells of one table and history for people: n_policies rows of n_budgets
 * columns, row by row, then the ceilings (one a budget). */
void cells_table(struct text *t, const struct cell *cell, int n_policies, int n_budgets,
                 const struct cell *ceiling, const struct replay *r);

#endif
