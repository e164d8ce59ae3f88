/* SPDX-License-Identifier: MIT */
/*
 * Playing an experiment. A job is one policy under one seed; orders and draws are keyed by the seed
 * alone, so policies that are compared meet the same requests in the same order. What is counted is
 * taken down per window while it is played; everything else is sums over these.
 *
 * Judged by realised outcomes, a request's adequate models are those that did well on it; by true
 * means, those that are expected to. With outcomes that are partly luck only the latter can be
 * learned, and quality, hull, oracle and regret are then those of the means as well.
 */
#include "sim/run.h"

#include "sim/change.h"
#include "sim/play.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CONVERGED = 0.99;

struct window_sum {
    int64_t n, right;
    double quality;
    int64_t cost_nano;
};

/* What one job gives; windows add up to the whole. */
struct job_result {
    struct play_result play;
    struct window_sum window[RUN_WINDOWS_MAX], last; /* last: the last fifth */
};

struct jobs {
    const struct experiment *e;
    struct params *learn_params; /* by policy: as its own, without pacing */
    struct phases *phases;       /* one: nothing changes on the way */
    size_t end[RUN_WINDOWS_MAX];
    int n_windows;
};

/* A game being watched. */
struct watch {
    const struct jobs *jobs;
    struct job_result *out;
    int window;
};

int run_windows(size_t n, size_t end[RUN_WINDOWS_MAX])
{
    static const double step[] = {1, 1.5, 2, 3, 4, 6, 8};
    int k = 0;
    for (double scale = 10; k < RUN_WINDOWS_MAX - 8; scale *= 10) {
        for (int i = 0; i < 7; i++) {
            size_t at = (size_t)(scale * step[i]);
            if (at >= n) {
                end[k++] = n;
                return k;
            }
            end[k++] = at;
        }
    }
    end[k++] = n;
    return k;
}

static void add(struct window_sum *w, bool right, double quality, int64_t cost_nano)
{
    w->n++;
    w->right += right;
    w->quality += quality;
    w->cost_nano += cost_nano;
}

static void chose(void *ctx, size_t i, uint32_t row, int model)
{
    struct watch *w = ctx;
    const struct jobs *j = w->jobs;
    const struct table *t = &j->e->judged;
    size_t cell = table_cell(t, row, model), n = j->e->n;
    bool right = play_cheapest_adequate(t, row, model);
    while (i >= j->end[w->window])
        w->window++;
    add(&w->out->window[w->window], right, t->q[cell], t->cost_nano[cell]);
    if (n < 5 || i >= n - n / 5)
        add(&w->out->last, right, t->q[cell], t->cost_nano[cell]);
}

static void job(void *ctx, int i, void *result)
{
    struct jobs *j = ctx;
    const struct experiment *e = j->e;
    int p = i / (int)e->seeds;
    struct watch watch = {.jobs = j, .out = result};
    struct play play = {
        .learn = {&e->world.table, e->reserve, (size_t)e->policy[p].labelled},
        .count = {&e->world.table, e->count, e->n},
        .learn_params = &j->learn_params[p],
        .count_params = e->policy[p].params,
        .phase = j->phases->phase,
        .n_phases = j->phases->n,
        .full_history = true,
        .delay = {.mean = e->delay},
        .chose = chose,
        .chose_ctx = &watch,
    };
    play_seed(&play, (uint64_t)(e->first_seed + i % e->seeds), &watch.out->play, NULL);
}

/* ---- sums over seeds ---- */

/* A quantity of one job. */
typedef double (*quantity)(const struct job_result *r, const struct run_report *report, int k);

static struct window_sum whole(const struct job_result *r, int n_windows)
{
    struct window_sum sum = {0};
    for (int k = 0; k < n_windows; k++) {
        sum.n += r->window[k].n;
        sum.right += r->window[k].right;
        sum.quality += r->window[k].quality;
        sum.cost_nano += r->window[k].cost_nano;
    }
    return sum;
}

static double accuracy_of(const struct job_result *r, const struct run_report *p, int k)
{
    struct window_sum w = k >= 0 ? r->window[k] : whole(r, p->n_windows);
    return (double)w.right / (double)w.n;
}

static double accuracy_last_of(const struct job_result *r, const struct run_report *p, int k)
{
    (void)p, (void)k;
    return (double)r->last.right / (double)r->last.n;
}

static double quality_of(const struct job_result *r, const struct run_report *p, int k)
{
    struct window_sum w = k >= 0 ? r->window[k] : whole(r, p->n_windows);
    return w.quality / (double)w.n;
}

static double spend_of(const struct job_result *r, const struct run_report *p, int k)
{
    struct window_sum w = k >= 0 ? r->window[k] : whole(r, p->n_windows);
    return (double)w.cost_nano / 1e9 / (double)w.n;
}

static double hull_of(const struct job_result *r, const struct run_report *p, int k)
{
    return hull_value(p->hull, p->n_hull, spend_of(r, p, k));
}

static double gain_of(const struct job_result *r, const struct run_report *p, int k)
{
    return quality_of(r, p, k) - hull_of(r, p, k);
}

static double regret_of(const struct job_result *r, const struct run_report *p, int k)
{
    return p->oracle.at.quality - quality_of(r, p, k);
}

static double share_of(const struct job_result *r, const struct run_report *p, int k)
{
    double n = 0;
    (void)p;
    for (int m = 0; m < MODELS_MAX; m++)
        n += (double)r->play.chosen[m];
    return (double)r->play.chosen[k] / n;
}

/* The jobs of one policy, to be summed up. */
struct sample {
    const struct job_result *result;
    int seeds;
    double *work; /* [seeds] */
    const struct run_report *report;
};

static struct interval over(const struct sample *s, quantity what, int k)
{
    for (int i = 0; i < s->seeds; i++)
        s->work[i] = what(&s->result[i], s->report, k);
    return interval_over(s->work, s->seeds);
}

static long long converged_at(const struct run_policy *p, int n_windows)
{
    int k = n_windows;
    while (k > 0 && p->window[k - 1].accuracy.mean >= CONVERGED)
        k--;
    if (k == n_windows)
        return -1;
    return k == 0 ? 0 : (long long)p->window[k - 1].end;
}

static void sum_up(const struct sample *s, const struct jobs *j, struct run_policy *out)
{
    const int all = -1;
    out->quality = over(s, quality_of, all);
    out->spend = over(s, spend_of, all);
    out->hull_at_spend = over(s, hull_of, all);
    out->gain = over(s, gain_of, all);
    out->regret = over(s, regret_of, all);
    out->accuracy = over(s, accuracy_of, all);
    out->accuracy_last = over(s, accuracy_last_of, all);
    for (int m = 0; m < j->e->judged.n_models; m++)
        out->share[m] = over(s, share_of, m);
    for (int k = 0; k < j->n_windows; k++)
        out->window[k] = (struct run_window){.end = j->end[k],
                                             .accuracy = over(s, accuracy_of, k),
                                             .quality = over(s, quality_of, k),
                                             .spend = over(s, spend_of, k)};
    out->converged_at = converged_at(out, j->n_windows);
}

/* What choosing the cheapest adequate model every time comes to. */
static struct point adequate_point(const struct table *t, const uint32_t *rows, size_t n)
{
    double quality = 0;
    int64_t cost_nano = 0;
    for (size_t i = 0; i < n; i++) {
        int m = 0;
        while (m < t->n_models - 1 && !play_cheapest_adequate(t, rows[i], m))
            m++;
        quality += t->q[table_cell(t, rows[i], m)];
        cost_nano += t->cost_nano[table_cell(t, rows[i], m)];
    }
    return (struct point){(double)cost_nano / 1e9 / (double)n, quality / (double)n};
}

static void survey(const struct experiment *e, struct run_report *out)
{
    hull_fixed(&e->judged, e->count, e->n, out->fixed);
    out->n_hull = hull_build(out->fixed, e->judged.n_models, out->hull);
    out->oracle = hull_oracle(&e->judged, e->count, e->n);
    out->adequate = adequate_point(&e->judged, e->count, e->n);
}

static enum status first_failure(const struct job_result *result, int n, struct problem *problem)
{
    for (int i = 0; i < n; i++) {
        if (result[i].play.status == STATUS_OK)
            continue;
        if (problem != NULL)
            *problem = result[i].play.problem;
        return result[i].play.status;
    }
    return STATUS_OK;
}

static struct params *learning_params(const struct experiment *e)
{
    struct params *p = malloc((size_t)e->n_policies * sizeof *p);
    for (int i = 0; p != NULL && i < e->n_policies; i++) {
        p[i] = *e->policy[i].params;
        p[i].budget.usd_per_request = 0;
    }
    return p;
}

enum status run_experiment(const struct experiment *e, const struct crew *crew,
                           struct run_report *out, struct problem *problem)
{
    int seeds = (int)e->seeds, n = seeds * e->n_policies;
    struct jobs jobs = {
        .e = e, .learn_params = learning_params(e), .phases = calloc(1, sizeof *jobs.phases)};
    struct job_result *result = calloc((size_t)n, sizeof *result);
    double *work = calloc((size_t)seeds, sizeof *work);
    enum status s = STATUS_OK;
    assert(n > 0 && e->n > 0);
    jobs.n_windows = run_windows(e->n, jobs.end);
    if (jobs.learn_params == NULL || jobs.phases == NULL || result == NULL || work == NULL)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    if (s == STATUS_OK)
        s = phases_build(jobs.phases, NULL, 0, &e->world.table, e->count, e->n, problem);
    if (s == STATUS_OK)
        s = crew_run(crew, n, job, &jobs, result, sizeof *result, problem);
    if (s == STATUS_OK)
        s = first_failure(result, n, problem);
    if (s == STATUS_OK) {
        *out = (struct run_report){.n_windows = jobs.n_windows};
        survey(e, out);
        for (int p = 0; p < e->n_policies; p++) {
            struct sample sample = {result + p * seeds, seeds, work, out};
            sum_up(&sample, &jobs, &out->policy[p]);
        }
    }
    if (jobs.phases != NULL)
        phases_free(jobs.phases);
    free(jobs.phases);
    free(work);
    free(result);
    free(jobs.learn_params);
    return s;
}
