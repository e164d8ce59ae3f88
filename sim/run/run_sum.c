/* SPDX-License-Identifier: MIT */
/* From jobs to a report: every quantity per seed first, then its mean and interval over seeds. */
#include "sim/run/run.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const double CONVERGED = 0.99;

/* The jobs of one policy, to be summed up. */
struct sample {
    const struct experiment *e;
    const struct run_job *job;
    int seeds;
    double *work; /* [seeds] */
    int n_windows;
};

/* The sums of a job at an offset into struct run_job. */
static const struct run_sum *sum_at(const struct run_job *j, size_t offset)
{
    return (const struct run_sum *)(const void *)((const char *)j + offset);
}

#define AT(member) offsetof(struct run_job, member)

/* ---- quantities of a sum ---- */

typedef double (*quantity)(const struct run_sum *s);

static double accuracy_of(const struct run_sum *s)
{
    return (double)s->right / (double)s->n;
}

static double quality_of(const struct run_sum *s)
{
    return s->quality / (double)s->n;
}

static double spend_of(const struct run_sum *s)
{
    return (double)s->cost_nano / 1e9 / (double)s->n;
}

static double per_mtok_of(const struct run_sum *s)
{
    return s->tokens > 0 ? (double)s->cost_nano / 1e3 / (double)s->tokens : (double)NAN;
}

static double latency_of(const struct run_sum *s)
{
    return s->timed > 0 ? s->latency_ms / (double)s->timed : (double)NAN;
}

static double refused_of(const struct run_sum *s)
{
    return (double)s->refused / (double)s->n;
}

/* Over the seeds that have the quantity (a group may not occur); none: NaN. */
static struct interval over(const struct sample *s, quantity what, size_t at)
{
    int n = 0;
    for (int i = 0; i < s->seeds; i++) {
        const struct run_sum *sum = sum_at(&s->job[i], at);
        s->work[n] = sum->n > 0 ? what(sum) : (double)NAN;
        n += !isnan(s->work[n]);
    }
    return n > 0 ? interval_over(s->work, n) : (struct interval){NAN, NAN, NAN};
}

static void part(const struct sample *s, size_t at, size_t end, struct run_part *out)
{
    *out = (struct run_part){.end = end,
                             .accuracy = over(s, accuracy_of, at),
                             .quality = over(s, quality_of, at),
                             .spend = over(s, spend_of, at),
                             .usd_per_mtok = over(s, per_mtok_of, at),
                             .latency = over(s, latency_of, at),
                             .refused = over(s, refused_of, at)};
    for (int i = 0; i < s->seeds; i++)
        out->n += (double)sum_at(&s->job[i], at)->n / s->seeds;
}

/* ---- quantities of a whole job ---- */

double run_hull_at(const struct experiment *e, const struct run_job *j)
{
    struct point hull[MODELS_MAX];
    int n = hull_build(j->fixed, e->world.table.n_models, hull);
    return hull_value(hull, n, spend_of(&j->whole));
}

static double gain_at(const struct experiment *e, const struct run_job *j)
{
    return quality_of(&j->whole) - run_hull_at(e, j);
}

static double regret_at(const struct experiment *e, const struct run_job *j)
{
    (void)e;
    return j->oracle.quality - quality_of(&j->whole);
}

/* Quality less what the experiment's objective gives for the money. */
double run_utility(const struct experiment *e, const struct run_job *j)
{
    double dearest = 0;
    for (int m = 0; m < e->world.table.n_models; m++)
        dearest = fmax(dearest, j->fixed[m].cost);
    return quality_of(&j->whole) -
           (dearest > 0 ? e->cost_weight * spend_of(&j->whole) / dearest : 0);
}

static struct interval over_jobs(const struct sample *s, double (*what)(const struct experiment *e,
                                                                        const struct run_job *j))
{
    for (int i = 0; i < s->seeds; i++)
        s->work[i] = what(s->e, &s->job[i]);
    return interval_over(s->work, s->seeds);
}

/* Share of model m among the requests of stretches from .. to-1. */
static struct interval share(const struct sample *s, int from, int to, int m)
{
    int n = 0;
    for (int i = 0; i < s->seeds; i++) {
        double mine = 0, all = 0;
        for (int k = from; k < to; k++) {
            mine += (double)s->job[i].chosen[k][m];
            all += (double)s->job[i].stretch[k].n;
        }
        s->work[n] = mine / all;
        n += all > 0;
    }
    return n > 0 ? interval_over(s->work, n) : (struct interval){NAN, NAN, NAN};
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

/* Over the seeds that have it. at: of a double in struct run_job. */
static struct interval over_known(const struct sample *s, size_t at, double *share)
{
    int n = 0;
    for (int i = 0; i < s->seeds; i++) {
        memcpy(&s->work[n], (const char *)&s->job[i] + at, sizeof(double));
        n += !isnan(s->work[n]);
    }
    if (share != NULL)
        *share = (double)n / s->seeds;
    return n > 0 ? interval_over(s->work, n) : (struct interval){NAN, NAN, NAN};
}

static void sum_up(const struct sample *s, const struct run_report *r, struct run_policy *out)
{
    size_t end[RUN_WINDOWS_MAX], from[STRETCHES_MAX + 1];
    int n_models = s->e->world.table.n_models;
    run_windows(s->e->n, end);
    from[course_stretches(&s->e->disturbances, s->e->n, from)] = s->e->n;
    part(s, AT(whole), s->e->n, &out->whole);
    out->hull_at_spend = over_jobs(s, run_hull_at);
    out->gain = over_jobs(s, gain_at);
    out->regret = over_jobs(s, regret_at);
    out->utility = over_jobs(s, run_utility);
    out->accuracy_last = over(s, accuracy_of, AT(last));
    for (int m = 0; m < n_models; m++)
        out->share[m] = share(s, 0, r->n_stretches, m);
    for (int k = 0; k < r->n_windows; k++)
        part(s, AT(window) + (size_t)k * sizeof(struct run_sum), end[k], &out->window[k]);
    for (int k = 0; k < r->n_stretches; k++) {
        part(s, AT(stretch) + (size_t)k * sizeof(struct run_sum), from[k + 1], &out->stretch[k]);
        for (int m = 0; m < n_models; m++)
            out->stretch_share[k][m] = share(s, k, k + 1, m);
        out->recovered[k] =
            over_known(s, AT(recovered) + (size_t)k * sizeof(double), &out->recovered_share[k]);
        out->adopted[k] = over_known(s, AT(adopted) + (size_t)k * sizeof(double), NULL);
    }
    for (int k = 0; k < s->e->n_groups; k++)
        part(s, AT(group) + (size_t)k * sizeof(struct run_sum), s->e->n, &out->group[k]);
    measures_sum(&s->job[0].measured, sizeof s->job[0], s->seeds, s->work, &out->measures);
    out->converged_at = converged_at(out, r->n_windows);
}

static const struct series *series_at(const void *ctx, int i)
{
    return &((const struct run_job *)ctx)[i].series;
}

static void add_point(struct point *to, struct point p, double weight)
{
    to->cost += weight * p.cost;
    to->quality += weight * p.quality;
}

/* What the courses had to offer; every policy met the same, so those of the first do. */
static void survey(const struct experiment *e, const struct run_job *job, struct run_report *out)
{
    double weight = 1 / (double)e->seeds;
    out->oracle.model = -1;
    for (int i = 0; i < e->seeds; i++) {
        for (int m = 0; m < e->world.table.n_models; m++)
            add_point(&out->fixed[m], job[i].fixed[m], weight);
        add_point(&out->oracle.at, job[i].oracle, weight);
        add_point(&out->adequate, job[i].adequate, weight);
    }
    out->n_hull = hull_build(out->fixed, e->world.table.n_models, out->hull);
}

enum status run_sum_up(const struct experiment *e, const struct run_job *job,
                       struct run_report *out, struct problem *problem)
{
    size_t end[RUN_WINDOWS_MAX], from[STRETCHES_MAX];
    int seeds = (int)e->seeds;
    double *work = calloc((size_t)seeds, sizeof *work);
    double *utility = calloc((size_t)(seeds * e->n_policies), sizeof *utility);
    struct series_report *series = calloc((size_t)e->n_policies, sizeof *series);
    if (work == NULL || utility == NULL || series == NULL) {
        free(work);
        free(utility);
        free(series);
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    }
    *out = (struct run_report){.n_windows = run_windows(e->n, end),
                               .n_stretches = course_stretches(&e->disturbances, e->n, from),
                               .utility = utility,
                               .series = series};
    survey(e, job, out);
    for (int p = 0; p < e->n_policies; p++) {
        struct sample sample = {e, job + p * seeds, seeds, work, out->n_windows};
        sum_up(&sample, out, &out->policy[p]);
        series_sum_up(series_at, job + p * seeds, seeds, e->n, e->world.table.n_models, work,
                      &series[p]);
        for (int i = 0; i < seeds; i++)
            utility[p * seeds + i] = run_utility(e, &job[p * seeds + i]);
    }
    free(work);
    return STATUS_OK;
}

void run_free(struct run_report *r)
{
    free(r->utility);
    free(r->series);
    r->utility = NULL;
    r->series = NULL;
}
