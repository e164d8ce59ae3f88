/* SPDX-License-Identifier: MIT */
/*
 * On a full-information table a trial is simply played, over seeds; a row's score is the mean over
 * them. What a seed has learned by luck all its rows share, so the seeds count apart.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sim/disturb/course.h"
#include "sim/play/play.h"
#include "sim/replay/replay.h"
#include "sim/tune/tune.h"

/* Mean cost of the dearest model. */
static double dearest(const struct table *t)
{
    double most = 0;
    for (int m = 0; m < t->n_models; m++) {
        double sum = 0;
        for (size_t i = 0; i < t->n; i++)
            sum += (double)t->cost_nano[table_cell(t, i, m)] * 1e-9;
        most = fmax(most, sum / (double)t->n);
    }
    return most;
}

/* Weights that a table says nothing of: it has no failures, and perhaps no latency, or only one. */
static unsigned still_knobs(const struct table *t)
{
    bool varies = false;
    for (size_t i = 1; !varies && i < t->n * (size_t)t->n_models; i++)
        varies = t->lat_ms[i] < t->lat_ms[0] || t->lat_ms[i] > t->lat_ms[0];
    return 1u << KNOB_FAILURE | (varies ? 0 : 1u << KNOB_LATENCY);
}

enum status tune_table_init(struct tune_table *t, double split, struct problem *problem)
{
    size_t n = t->table->n, first = (size_t)((double)n * split);
    const struct objective *o = &t->current->objective;
    t->scale_usd = o->cost_scale_usd > 0 ? o->cost_scale_usd : dearest(t->table);
    t->still = still_knobs(t->table);
    t->earlier = malloc(n * sizeof *t->earlier);
    t->later = malloc(n * sizeof *t->later);
    if (t->earlier == NULL || t->later == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        bool early =
            t->given_order ? i < first : replay_learned_first(table_id(t->table, i), split);
        if (early)
            t->earlier[t->n_earlier++] = i;
        else
            t->later[t->n_later++] = i;
    }
    if (!t->given_order) /* so that the first of them are of all kinds */
        course_shuffle(t->earlier, t->n_earlier, t->first_seed, ORDER_LEARN);
    if (t->n_earlier < 8 || t->n_later < 2)
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "%zu rows to search on and %zu to hold the winner against: too few",
                           t->n_earlier, t->n_later);
    return STATUS_OK;
}

void tune_table_fini(struct tune_table *t)
{
    free(t->earlier);
    free(t->later);
}

struct sums {
    const struct tune_table *t;
    double *score, *pass;
    double seeds, rows;
};

static void add(const struct sums *s, double *score, enum tune_aim aim, double v)
{
    score[aim] += v / s->seeds;
    s->pass[aim] += v / s->rows;
}

/* The objective at hand, on what happened. */
static void chose(void *ctx, const struct choice *c)
{
    uint32_t row = c->row;
    int model = c->model;
    const struct sums *s = ctx;
    const struct table *t = s->t->table;
    const struct objective *o = &s->t->current->objective;
    double *score = s->score + (size_t)row * TUNE_AIMS;
    if (isnan(score[0]))
        memset(score, 0, TUNE_AIMS * sizeof *score);
    if (model < 0)
        return;
    size_t cell = table_cell(t, row, model);
    double usd = (double)t->cost_nano[cell] * 1e-9, ms = fmax((double)t->lat_ms[cell], 0);
    struct labels labels = {0};
    table_identifier(labels.task, table_task(t, row));
    double worth = o->quality * value_of(&s->t->current->value, &labels);
    add(s, score, TUNE_QUALITY, t->q[cell]);
    add(s, score, TUNE_COST, usd);
    add(s, score, TUNE_UTILITY,
        worth * t->q[cell] - o->cost * usd / s->t->scale_usd -
            o->latency * ms / o->latency_scale_ms);
}

enum status tune_table_score(const void *ctx, const struct params *p,
                             const struct tune_point *point, enum tune_part part, double share,
                             double *score, struct problem *problem)
{
    const struct tune_table *t = ctx;
    int seeds = t->seeds * (part == TUNE_LATER ? LATER_TIMES : 1);
    struct sums sums = {t, score, score + t->table->n * TUNE_AIMS, seeds, 1};
    struct phases *phases = calloc(1, sizeof *phases);
    struct params *learn = malloc(sizeof *learn);
    struct play play = {.learn = {t->table, t->earlier, part == TUNE_LATER ? t->n_earlier : 0},
                        .count = {t->table, t->earlier, (size_t)((double)t->n_earlier * share)},
                        .learn_params = learn,
                        .count_params = p,
                        .given_order = t->given_order,
                        .delay = t->delay,
                        .chose = chose,
                        .ctx = &sums};
    enum status s = phases != NULL && learn != NULL
                        ? STATUS_OK
                        : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    (void)point;
    if (part == TUNE_LATER)
        play.count = (struct play_rows){t->table, t->later, t->n_later};
    if (s == STATUS_OK) {
        *learn = *p;
        learn->budget.usd_per_request = 0; /* history is history */
        s = phases_build(phases, NULL, 0, t->table, play.count.row, play.count.n, problem);
        play.phase = phases->phase;
        play.n_phases = phases->n;
    }
    sums.rows = (double)play.count.n;
    for (int i = 0; s == STATUS_OK && i < seeds; i++, sums.pass += TUNE_AIMS) {
        struct play_result result;
        play_seed(&play, t->first_seed + (uint64_t)i, &result, NULL);
        s = result.status;
        if (s != STATUS_OK)
            *problem = result.problem;
    }
    if (phases != NULL)
        phases_free(phases);
    free(phases);
    free(learn);
    return s;
}
