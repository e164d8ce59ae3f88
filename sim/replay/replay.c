/* SPDX-License-Identifier: MIT */
/*
 * A replay: which rows are learned, which count, all seeds over them, and the sums. Hulls, oracle
 * and fixed models are of the counted rows only. Halves of a split depend on the rows' ids alone,
 * so they are the same in every run and program; seeds change order and draws.
 * Intervals are over seeds: they tell how sure we are of the router's mean on THESE rows, not of
 * other rows. Gain is taken per seed against the hull at that seed's own spend, then averaged:
 * hull(mean spend) would hide a router whose spend wanders.
 */
#include "sim/replay/replay.h"

#include "bandit/rng.h"
#include "sim/play/play.h"
#include "sim/play/steps.h"
#include "sim/replay/replay_sum.h"
#include "sim/series/series.h"
#include "sim/tables/trace.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are learned and rows that count, and what they run under. */
struct halves {
    uint32_t *learn, *count;
    struct params *learn_params;
    struct phases *phases; /* of the counted rows */
    struct play play;
    size_t measured_at; /* of the measures behind a seed's result */
    size_t series_at;   /* likewise of the series; 0 = they are not asked for */
    size_t step_at;     /* of the steps behind a seed's result; 0 = they are not asked for */
    uint64_t first_seed;
    const struct table *table; /* whose rows count: the replay's, or */
    struct table traced;       /* its rows as a trace has them */
    const struct replay *replay;
};

bool replay_learned_first(const char *id, double split)
{
    return (double)hash64(id, strlen(id), 0) < split * 0x1p64;
}

static void halves_fini(struct halves *p)
{
    free(p->learn);
    free(p->count);
    free(p->learn_params);
    if (p->phases != NULL)
        phases_free(p->phases);
    free(p->phases);
    table_free(&p->traced);
    *p = (struct halves){0};
}

/* What requests are sent with beside the rows. */
static void dress(const struct halves *p, size_t i, struct request *r)
{
    if (p->replay->trace != NULL)
        trace_tenant(p->replay->trace, i, r->labels.tenant);
    r->max_output_tokens = p->replay->max_output_tokens;
}

/* Puts the counted rows into the order, at the times and to the lengths of the trace. */
static enum status follow_trace(struct halves *p, const struct replay *r, struct problem *problem)
{
    enum status s = trace_onto(r->trace, r->table, p->count, p->play.count.n, r->first_seed,
                               &p->traced, problem);
    uint32_t *count = s == STATUS_OK ? malloc(r->trace->n * sizeof *count) : NULL;
    if (s == STATUS_OK && count == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s != STATUS_OK)
        return s;
    free(p->count);
    p->count = count;
    for (uint32_t i = 0; i < r->trace->n; i++)
        count[i] = i;
    p->table = &p->traced;
    p->play.count = (struct play_rows){p->table, count, r->trace->n};
    p->play.clock_ms = r->trace->at_ms;
    p->play.given_order = true;
    return STATUS_OK;
}

static enum status halves_init(struct halves *p, const struct replay *r, struct problem *problem)
{
    const struct table *from = r->learn != NULL ? r->learn : r->table;
    *p = (struct halves){.first_seed = r->first_seed, .table = r->table, .replay = r};
    p->learn = malloc(from->n * sizeof *p->learn);
    p->count = malloc(r->table->n * sizeof *p->count);
    p->learn_params = malloc(sizeof *p->learn_params);
    p->phases = calloc(1, sizeof *p->phases);
    if (p->learn == NULL || p->count == NULL || p->learn_params == NULL || p->phases == NULL) {
        halves_fini(p);
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    }
    p->play = (struct play){.learn = {.table = from, .row = p->learn},
                            .count = {.table = r->table, .row = p->count},
                            .learn_params = p->learn_params,
                            .count_params = r->params,
                            .full_history = r->full_history,
                            .reveal_all = r->reveal_all,
                            .given_order = r->given_order,
                            .worth = r->worth,
                            .delay = r->delay,
                            .lens = r->lens,
                            .lens_len = r->lens_len};
    for (uint32_t i = 0; r->learn != NULL && i < r->learn->n; i++)
        p->learn[p->play.learn.n++] = i;
    for (uint32_t i = 0; i < r->table->n; i++) {
        if (r->learn == NULL && replay_learned_first(table_id(r->table, i), r->split))
            p->learn[p->play.learn.n++] = i;
        else
            p->count[p->play.count.n++] = i;
    }
    if (r->cold)
        p->play.learn.n = 0;
    *p->learn_params = *r->params;
    p->learn_params->budget.usd_per_request = 0;
    enum status s = p->play.count.n > 0 ? STATUS_OK
                                        : problem_set(problem, STATUS_BAD_REQUEST, "",
                                                      "the split leaves no row to count");
    if (s == STATUS_OK && r->trace != NULL)
        s = follow_trace(p, r, problem);
    if (s == STATUS_OK)
        s = phases_build(p->phases, r->change, r->n_changes, p->table, p->count, p->play.count.n,
                         problem);
    p->play.phase = p->phases->phase;
    p->play.n_phases = p->phases->n;
    if (s != STATUS_OK)
        halves_fini(p);
    return s;
}

/* A seed being played. */
struct seed {
    const struct halves *halves;
    struct recorder *recorder;
    struct step_row step;
    struct series_watch series;
    int phase;
    size_t phase_end; /* requests; behind the phase in hand */
};

static void dress_seed(void *ctx, size_t i, struct request *r)
{
    const struct seed *s = ctx;
    dress(s->halves, i, r);
}

static void saw(void *ctx, size_t i, uint32_t row, const struct event_decided *d, const int *model)
{
    struct seed *s = ctx;
    const struct phases *phases = s->halves->phases;
    while (i >= s->phase_end)
        s->phase_end += phases->phase[++s->phase].n;
    s->series.judged = &phases->phase[s->phase].table;
    series_saw(&s->series, i, row, d, model);
}

static void chose(void *ctx, const struct choice *c)
{
    struct seed *s = ctx;
    if (s->halves->series_at > 0) {
        s->series.judged = c->table;
        series_chose(&s->series, c->i, c->row, c->model);
    }
    recorder_take(s->recorder, c->table, c);
    step_put(&s->step, c->table, c);
}

static enum status play_measured(struct seed *s, uint64_t seed, struct play_result *result,
                                 struct play_step *step, struct measures *measured,
                                 struct series *series)
{
    const struct halves *h = s->halves;
    struct play play = h->play;
    play.chose = chose;
    play.saw = series != NULL ? saw : NULL;
    play.dress = dress_seed;
    play.ctx = s;
    s->phase_end = h->phases->phase[0].n;
    s->recorder = recorder_new(h->table, play.count.n);
    bool ready = s->recorder != NULL &&
                 (series == NULL || series_open(&s->series, h->table, play.count.n, series));
    if (!ready) {
        recorder_free(s->recorder);
        return problem_set(&result->problem, STATUS_INTERNAL, "", "out of memory");
    }
    play_seed(&play, seed, result, step);
    bool closed = series == NULL || series_close(&s->series);
    if (series != NULL && h->phases->n > 1) /* there is no one truth for estimates to be held to */
        memset(series->ope, 0, sizeof series->ope);
    enum status status = result->status;
    double budget = h->replay->params->budget.usd_per_request;
    if (status == STATUS_OK && (!closed || !recorder_result(s->recorder, budget, measured)))
        status = problem_set(&result->problem, STATUS_INTERNAL, "", "out of memory");
    recorder_free(s->recorder);
    return status;
}

/* May run in another process: steps go into a part of their sheet. */
static void seed_job(void *ctx, int i, void *result)
{
    const struct halves *p = ctx;
    struct play_result *out = result;
    struct play_step *step = p->step_at > 0 ? (void *)((char *)result + p->step_at) : NULL;
    struct measures *measured = (void *)((char *)result + p->measured_at);
    struct series *series = p->series_at > 0 ? (void *)((char *)result + p->series_at) : NULL;
    uint64_t number = p->first_seed + (uint64_t)i;
    const struct sheet_place *to = &p->replay->sheets;
    struct sheet sheet;
    struct problem problem = {0};
    enum status s = sheet_part(&sheet, to, "steps", i, &problem);
    steps_columns(&sheet);
    struct seed seed = {.halves = p,
                        .step = {.sheet = to->dir != NULL ? &sheet : NULL,
                                 .policy = p->replay->params->policy.name,
                                 .seed = number}};
    if (s == STATUS_OK)
        s = play_measured(&seed, number, out, step, measured, series);
    else
        out->problem = problem;
    out->status = sheet_end(&sheet, s, &out->problem);
}

/* The dearest (sign 1) or cheapest (sign -1) model by list price; on ties the better one. */
static struct pick by_price(const struct table *t, const struct point *fixed, double sign)
{
    int best = 0;
    for (int m = 1; m < t->n_models; m++) {
        double more = sign * (t->model[m].usd_in + t->model[m].usd_out - t->model[best].usd_in -
                              t->model[best].usd_out);
        if (more > 0 || (more >= 0 && fixed[m].quality > fixed[best].quality))
            best = m;
    }
    return (struct pick){best, fixed[best]};
}

/* The oracle, phase by phase; rows as in phases_fixed. */
static struct pick survey_oracle(const struct halves *h, bool given)
{
    struct pick out = {.model = -1};
    size_t n = h->play.count.n;
    for (int i = 0; i < h->phases->n; i++) {
        const struct phase *p = &h->phases->phase[i];
        double weight = (double)p->n / (double)n;
        struct point at =
            hull_oracle(&p->table, given ? h->count + p->from : h->count, given ? p->n : n).at;
        out.at.cost += weight * at.cost;
        out.at.quality += weight * at.quality;
    }
    return out;
}

/* Everything of the report that needs no router. */
static void survey(struct replay_report *out, const struct replay *r, const struct halves *h)
{
    const struct play *play = &h->play;
    const struct table *t = h->table;
    bool given = play->given_order;
    *out = (struct replay_report){.n = play->count.n,
                                  .learned = play->learn.n,
                                  .n_models = t->n_models,
                                  .has_budget = r->params->budget.usd_per_request > 0,
                                  .budget = r->params->budget.usd_per_request};
    phases_fixed(h->phases, h->count, given, 0, play->count.n, out->fixed);
    out->oracle = survey_oracle(h, given);
    out->n_hull = hull_build(out->fixed, t->n_models, out->hull);
    out->best_single = hull_best_single(out->fixed, t->n_models);
    out->largest = by_price(t, out->fixed, 1);
    out->smallest = by_price(t, out->fixed, -1);
}

static enum status first_failure(const struct play_result *result, int seeds,
                                 struct problem *problem)
{
    for (int i = 0; i < seeds; i++) {
        if (result[i].status == STATUS_OK)
            continue;
        if (problem != NULL)
            *problem = result[i].problem;
        return result[i].status;
    }
    return STATUS_OK;
}

/* What lies at one offset of each seed's result. */
struct column {
    const char *all;
    size_t size, at;
};

static const struct series *series_of(const void *ctx, int i)
{
    const struct column *c = ctx;
    return (const void *)(c->all + (size_t)i * c->size + c->at);
}

static size_t aligned(size_t size)
{
    size_t align = _Alignof(max_align_t);
    return (size + align - 1) / align * align;
}

/* Plays all seeds: results, the steps behind one another when they are asked for, series over all
 * seeds when these are. */
static enum status play_all(const struct replay *r, struct halves *h, struct play_result *result,
                            struct measures *measured, struct play_step *step, double *work,
                            struct problem *problem)
{
    size_t n = h->play.count.n, size = aligned(sizeof *result);
    h->measured_at = size;
    size += aligned(sizeof *measured);
    h->series_at = r->series != NULL ? size : 0;
    size += r->series != NULL ? aligned(sizeof(struct series)) : 0;
    h->step_at = step != NULL ? size : 0;
    size += step != NULL ? aligned(n * sizeof *step) : 0;
    char *all = malloc((size_t)r->seeds * size);
    if (all == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    enum status s = crew_run(&r->crew, r->seeds, seed_job, h, all, size, problem);
    for (int i = 0; s == STATUS_OK && i < r->seeds; i++) {
        const char *one = all + (size_t)i * size;
        memcpy(&result[i], one, sizeof *result);
        memcpy(&measured[i], one + h->measured_at, sizeof *measured);
        if (step != NULL)
            memcpy(&step[(size_t)i * n], one + h->step_at, n * sizeof *step);
    }
    s = s == STATUS_OK ? first_failure(result, r->seeds, problem) : s;
    if (s == STATUS_OK && r->series != NULL)
        series_sum_up(series_of, &(struct column){all, size, h->series_at}, r->seeds, n,
                      h->table->n_models, work, r->series);
    free(all);
    return s;
}

enum status replay_run_shocks(const struct replay *r, struct replay_report *out,
                              struct shocks *shocks, struct problem *problem)
{
    struct halves halves;
    assert(r->seeds >= 1 && r->seeds <= SEEDS_MAX);
    enum status s = halves_init(&halves, r, problem);
    if (s != STATUS_OK)
        return s;
    size_t seeds = (size_t)r->seeds, n = halves.play.count.n;
    struct play_result *result = calloc(seeds, sizeof *result);
    struct measures *measured = calloc(seeds, sizeof *measured);
    struct play_step *step = shocks == NULL ? NULL : calloc(seeds * n, sizeof *step);
    double *work = calloc(seeds, sizeof *work);
    if (result == NULL || work == NULL || measured == NULL || (shocks != NULL && step == NULL))
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = sheet_place_ready(&r->sheets, problem);
    if (s == STATUS_OK)
        s = play_all(r, &halves, result, measured, step, work, problem);
    if (s == STATUS_OK) {
        if (r->each != NULL)
            memcpy(r->each, result, seeds * sizeof *result);
        survey(out, r, &halves);
        replay_sum_up(out, result, r->seeds, work);
        measures_sum(measured, sizeof *measured, r->seeds, work, &out->measures);
        s = replay_sheets(r, out, result, measured, problem);
    }
    sheet_clear(&r->sheets, "steps", r->seeds);
    if (s == STATUS_OK && shocks != NULL) {
        struct traces t = {.change = r->change,
                           .n_changes = r->n_changes,
                           .phases = halves.phases,
                           .row = halves.count,
                           .given_order = halves.play.given_order,
                           .step = step,
                           .result = result,
                           .seeds = r->seeds,
                           .n = n,
                           .budget_usd = r->params->budget.usd_per_request};
        s = recovery_measure(&t, shocks, problem);
    }
    free(work);
    free(step);
    free(measured);
    free(result);
    halves_fini(&halves);
    return s;
}

enum status replay_run(const struct replay *r, struct replay_report *out, struct problem *problem)
{
    return replay_run_shocks(r, out, NULL, problem);
}

enum status replay_survey(const struct replay *r, struct replay_report *out,
                          struct problem *problem)
{
    struct halves halves;
    enum status s = halves_init(&halves, r, problem);
    if (s != STATUS_OK)
        return s;
    survey(out, r, &halves);
    halves_fini(&halves);
    return STATUS_OK;
}

enum status replay_oracle_within(const struct replay *r, double spend_usd, struct pick *out,
                                 struct problem *problem)
{
    struct halves halves;
    enum status s = halves_init(&halves, r, problem);
    if (s != STATUS_OK)
        return s;
    *out = hull_oracle_within(halves.table, halves.count, halves.play.count.n, spend_usd);
    halves_fini(&halves);
    return STATUS_OK;
}

/* Plays the declared rules alone: one seed is enough, since nothing is drawn. */
static enum status play_rules(const struct replay *r, struct halves *halves, struct point *out,
                              struct problem *problem)
{
    struct params *rules = malloc(sizeof *rules);
    struct play_result *result = malloc(sizeof *result);
    enum status s = STATUS_OK;
    if (rules == NULL || result == NULL) {
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        goto out;
    }
    *rules = *r->params;
    strcpy(rules->policy.name, "rules");
    rules->policy.floor = rules->policy.floor_min = 0;
    rules->budget.usd_per_request = 0;
    halves->play.count_params = rules;
    halves->play.learn.n = 0;
    play_seed(&halves->play, r->first_seed, result, NULL);
    s = first_failure(result, 1, problem);
    if (s == STATUS_OK)
        *out = (struct point){result->spend_usd, result->quality};
out:
    free(rules);
    free(result);
    return s;
}

enum status replay_baselines(const struct replay *r, double spend_usd, struct baselines *out,
                             struct problem *problem)
{
    struct halves halves;
    struct replay_report report;
    struct baselines b = {.has_rules = r->params->n_rules > 0};
    enum status s = halves_init(&halves, r, problem);
    if (s != STATUS_OK)
        return s;
    survey(&report, r, &halves);
    b.largest = report.largest;
    b.smallest = report.smallest;
    b.best_single = report.best_single;
    b.oracle = report.oracle;
    b.hull = (struct point){spend_usd, hull_value(report.hull, report.n_hull, spend_usd)};
    if (b.has_rules)
        s = play_rules(r, &halves, &b.rules, problem);
    if (s == STATUS_OK)
        *out = b;
    halves_fini(&halves);
    return s;
}
