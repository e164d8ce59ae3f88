/* SPDX-License-Identifier: MIT */
/* All jobs of an experiment as sheets. Per policy and seed, nothing averaged: whoever loads them
 * does that. */
#include "sim/play/steps.h"
#include "sim/run/run.h"

#include <math.h>

/* A sheet being written, a job at a time. */
struct writer {
    struct sheet sheet;
    const struct experiment *e;
    size_t from[STRETCHES_MAX + 1], end[RUN_WINDOWS_MAX];
    int n_stretches, n_windows;
};

static const char *const sums[] = {"requests", "quality", "usd_per_request", "usd_per_mtok",
                                   "accuracy", "refused", "latency_ms"};
enum { SUMS = sizeof sums / sizeof *sums };

static void put_sum(struct sheet *s, const struct run_sum *v)
{
    double n = (double)v->n, usd = (double)v->cost_nano * 1e-9;
    sheet_count(s, v->n);
    sheet_number(s, v->quality / n);
    sheet_number(s, usd / n);
    sheet_number(s, v->tokens > 0 ? usd * 1e6 / (double)v->tokens : (double)NAN);
    sheet_number(s, (double)v->right / n);
    sheet_number(s, (double)v->refused / n);
    sheet_number(s, v->timed > 0 ? v->latency_ms / (double)v->timed : (double)NAN);
}

static void whose(struct sheet *s, const struct experiment *e, int policy, int64_t seed)
{
    sheet_text(s, e->policy[policy].name);
    sheet_count(s, seed);
}

static void seeds_columns(struct writer *w)
{
    static const char *const more[] = {"accuracy_last_fifth", "utility", "hull_at_spend", "regret"};
    sheet_columns(&w->sheet, sums, SUMS);
    sheet_columns(&w->sheet, more, 4);
    for (int m = 0; m < MEASURES; m++)
        sheet_column(&w->sheet, measure_name((enum measure)m));
}

static void seeds_rows(struct writer *w, const struct run_job *j, int policy, int64_t seed)
{
    struct sheet *s = &w->sheet;
    whose(s, w->e, policy, seed);
    put_sum(s, &j->whole);
    sheet_number(s, (double)j->last.right / (double)j->last.n);
    sheet_number(s, run_utility(w->e, j));
    sheet_number(s, run_hull_at(w->e, j));
    sheet_number(s, j->oracle.quality - j->whole.quality / (double)j->whole.n);
    for (int m = 0; m < MEASURES; m++)
        sheet_number(s, j->measured.value[m]);
}

static void windows_columns(struct writer *w)
{
    sheet_column(&w->sheet, "until");
    sheet_columns(&w->sheet, sums, SUMS);
}

static void windows_rows(struct writer *w, const struct run_job *j, int policy, int64_t seed)
{
    for (int k = 0; k < w->n_windows; k++) {
        whose(&w->sheet, w->e, policy, seed);
        sheet_count(&w->sheet, (int64_t)w->end[k]);
        put_sum(&w->sheet, &j->window[k]);
    }
}

static void stretches_columns(struct writer *w)
{
    static const char *const more[] = {"stretch", "from", "until", "recovered", "adopted"};
    sheet_columns(&w->sheet, more, 5);
    sheet_columns(&w->sheet, sums, SUMS);
    for (int m = 0; m < w->e->world.table.n_models; m++)
        sheet_column(&w->sheet, w->e->world.table.model[m].engine_name);
}

static void stretches_rows(struct writer *w, const struct run_job *j, int policy, int64_t seed)
{
    struct sheet *s = &w->sheet;
    for (int k = 0; k < w->n_stretches; k++) {
        whose(s, w->e, policy, seed);
        sheet_count(s, k + 1);
        sheet_count(s, (int64_t)w->from[k] + 1);
        sheet_count(s, (int64_t)w->from[k + 1]);
        sheet_number(s, j->recovered[k]);
        sheet_number(s, j->adopted[k]);
        put_sum(s, &j->stretch[k]);
        for (int m = 0; m < w->e->world.table.n_models; m++)
            sheet_number(s, (double)j->chosen[k][m] / (double)j->stretch[k].n);
    }
}

static const struct kind {
    const char *name;
    void (*columns)(struct writer *w);
    void (*rows)(struct writer *w, const struct run_job *j, int policy, int64_t seed);
} kind[] = {{"seeds", seeds_columns, seeds_rows},
            {"windows", windows_columns, windows_rows},
            {"stretches", stretches_columns, stretches_rows}};

static enum status write_one(const struct kind *k, struct writer *w, const struct run_job *job,
                             const struct sheet_place *to, struct problem *problem)
{
    static const char *const whom[] = {"policy", "seed"};
    enum status s = sheet_begin(&w->sheet, to, k->name, problem);
    sheet_columns(&w->sheet, whom, 2);
    k->columns(w);
    for (int p = 0; s == STATUS_OK && p < w->e->n_policies; p++)
        for (int i = 0; i < w->e->seeds; i++)
            k->rows(w, &job[p * w->e->seeds + i], p, w->e->first_seed + i);
    return sheet_end(&w->sheet, s, problem);
}

static enum status write_measures(const struct experiment *e, const struct run_job *job,
                                  const struct sheet_place *to, struct problem *problem)
{
    struct measures_rows rows;
    enum status s = measures_rows_begin(&rows, to, problem);
    for (int p = 0; s == STATUS_OK && p < e->n_policies; p++)
        for (int i = 0; i < e->seeds; i++)
            measures_rows_put(&rows, e->policy[p].name, e->first_seed + i,
                              &job[p * e->seeds + i].measured);
    return measures_rows_end(&rows, s, problem);
}

enum status run_sheets(const struct experiment *e, const struct run_job *job,
                       const struct sheet_place *to, struct problem *problem)
{
    struct writer w = {.e = e};
    if (to->dir == NULL)
        return STATUS_OK;
    w.n_windows = run_windows(e->n, w.end);
    w.n_stretches = course_stretches(&e->disturbances, e->n, w.from);
    w.from[w.n_stretches] = e->n;
    enum status s = sheet_begin(&w.sheet, to, "steps", problem);
    steps_columns(&w.sheet);
    if (s == STATUS_OK)
        s = sheet_join(&w.sheet, to, "steps", e->n_policies * (int)e->seeds, problem);
    s = sheet_end(&w.sheet, s, problem);
    for (size_t k = 0; s == STATUS_OK && k < sizeof kind / sizeof *kind; k++)
        s = write_one(&kind[k], &w, job, to, problem);
    return s == STATUS_OK ? write_measures(e, job, to, problem) : s;
}
