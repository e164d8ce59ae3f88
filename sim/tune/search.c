/* SPDX-License-Identifier: MIT */
#include "sim/tune/tune.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sim/tables/hull.h"

static const double share_of[RUNGS] = {0.25, 0.5, 1};

/* A stage: some trials on one part. */
struct stage {
    const struct tune_source *source;
    const struct tune_trial *trial;
    const int *which;
    enum tune_part part;
    double share;
    size_t size; /* of a result */
};
struct graded {
    enum status status;
    struct problem problem;
    double score[]; /* as tune_source has it */
};

struct clock {
    const struct tune_ask *ask;
    double total, before, each; /* work, in passes over the earlier part */
    struct timespec start;
};

static void tick(void *ctx, int done, int jobs)
{
    struct clock *c = ctx;
    struct timespec now;
    (void)jobs;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double passed =
        (double)(now.tv_sec - c->start.tv_sec) + (double)(now.tv_nsec - c->start.tv_nsec) / 1e9;
    double part = fmin((c->before + done * c->each) / c->total, 1);
    c->ask->progress(part, part > 0 ? passed / part * (1 - part) : 0);
}

static void job(void *ctx, int i, void *result)
{
    const struct stage *s = ctx;
    struct graded *out = result;
    const struct tune_point *point = &s->trial[s->which[i]].point;
    struct params *p = malloc(sizeof *p);
    for (size_t k = 0; k < s->source->rows * TUNE_AIMS; k++)
        out->score[k] = NAN; /* results are zeroed beforehand: passes are */
    if (p == NULL) {
        out->status = problem_set(&out->problem, STATUS_INTERNAL, "", "out of memory");
        return;
    }
    *p = *s->source->current;
    tune_point_apply(point, p);
    out->status =
        s->source->score(s->source->ctx, p, point, s->part, s->share, out->score, &out->problem);
    free(p);
}

/* Squared half of a 95% interval of a mean of n values with this sum of squared differences. */
static double half_squared(double squares, double n)
{
    double t = gsl_cdf_tdist_Pinv(0.975, n - 1);
    return t * t * squares / (n - 1) / n;
}

/* What the luck of learning adds: rows of one pass share it. */
static double of_passes(const double *a, const double *b, int passes, int aim)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < passes; i++)
        mean += (a[i * TUNE_AIMS + aim] - (b ? b[i * TUNE_AIMS + aim] : 0)) / passes;
    for (int i = 0; i < passes; i++) {
        double off = a[i * TUNE_AIMS + aim] - (b ? b[i * TUNE_AIMS + aim] : 0) - mean;
        squares += off * off;
    }
    return passes > 1 ? half_squared(squares, passes) : 0;
}

/* Mean of a - b over the rows that have both; b NULL: of a. */
static struct tune_number number(const struct stage *s, const double *a, const double *b, int aim)
{
    size_t rows = s->source->rows, behind = rows * TUNE_AIMS;
    double n = 0, mean = 0, squares = 0;
    for (size_t i = 0; i < rows; i++) {
        double v = a[i * TUNE_AIMS + (size_t)aim] - (b ? b[i * TUNE_AIMS + (size_t)aim] : 0);
        if (isnan(v))
            continue;
        double off = v - mean; /* Welford 1962 */
        mean += off / ++n;
        squares += off * (v - mean);
    }
    if (n < 2)
        return (struct tune_number){n, n > 0 ? mean : (double)NAN, NAN, NAN};
    double half = sqrt(half_squared(squares, n) + of_passes(a + behind, b ? b + behind : NULL,
                                                            s->source->passes[s->part], aim));
    return (struct tune_number){n, mean, mean - half, mean + half};
}

static struct graded *graded_at(char *results, const struct stage *s, int i)
{
    return (struct graded *)(void *)(results + (size_t)i * s->size);
}

/* A pass over the later part learns from the earlier one first. */
static double later_work(const struct tune_source *s)
{
    return s->passes[TUNE_EARLIER] > 0 ? (double)s->passes[TUNE_LATER] / s->passes[TUNE_EARLIER]
                                       : 1;
}

/* Plays a stage; results are given, to be freed. */
static enum status play(struct stage *s, int n, const struct tune_ask *ask, struct clock *clock,
                        char **results, struct problem *problem)
{
    struct crew crew = {.workers = ask->crew.workers,
                        .progress = ask->progress ? tick : NULL,
                        .progress_ctx = clock};
    size_t values = (s->source->rows + (size_t)s->source->passes[s->part]) * TUNE_AIMS;
    s->size = (sizeof(struct graded) + values * sizeof(double) + 63) / 64 * 64;
    *results = malloc((size_t)n * s->size);
    if (*results == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    clock->each = s->part == TUNE_LATER ? later_work(s->source) : s->share;
    enum status status = crew_run(&crew, n, job, s, *results, s->size, problem);
    clock->before += n * clock->each;
    for (int i = 0; status == STATUS_OK && i < n; i++) {
        status = graded_at(*results, s, i)->status;
        if (status != STATUS_OK)
            *problem = graded_at(*results, s, i)->problem;
    }
    return status;
}

static double utility(const struct tune_trial *t)
{
    double u = t->aim[TUNE_UTILITY].mean;
    return isnan(u) ? (double)-INFINITY : u;
}

/* Marks the trials on the upper hull of cost and quality. */
static void mark_hull(struct tune_report *r, const int *alive, int n)
{
    struct point at[TRIALS_MAX], hull[TRIALS_MAX];
    int points = 0;
    for (int i = 0; i < n; i++) {
        const struct tune_number *aim = r->trial[alive[i]].aim;
        if (!isnan(aim[TUNE_COST].mean) && !isnan(aim[TUNE_QUALITY].mean))
            at[points++] = (struct point){aim[TUNE_COST].mean, aim[TUNE_QUALITY].mean};
    }
    int vertices = points > 0 ? hull_build(at, points, hull) : 0;
    for (int i = 0; i < n; i++) {
        struct tune_trial *t = &r->trial[alive[i]];
        t->hull = false;
        for (int k = 0; k < vertices; k++)
            t->hull = t->hull || (t->aim[TUNE_COST].mean <= hull[k].cost &&
                                  t->aim[TUNE_QUALITY].mean >= hull[k].quality);
    }
}

/* Best first, the earlier trial on ties. */
static void rank(const struct tune_report *r, int *alive, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0; k--) {
            double before = utility(&r->trial[alive[k - 1]]), here = utility(&r->trial[alive[k]]);
            if (before > here || (before >= here && alive[k - 1] < alive[k]))
                break;
            int swap = alive[k];
            alive[k] = alive[k - 1];
            alive[k - 1] = swap;
        }
}

/* The better half goes on, the hull, and always the configuration at hand. */
static int survivors(const struct tune_report *r, int *alive, int n, int most)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (i < most || alive[i] == 0 || r->trial[alive[i]].hull)
            alive[kept++] = alive[i];
    return kept;
}

static enum status climb(const struct tune_source *source, const struct tune_ask *ask,
                         struct clock *clock, struct tune_report *r, int *alive, int *n,
                         struct problem *problem)
{
    for (int rung = 0; rung < RUNGS; rung++) {
        struct stage s = {source, r->trial, alive, TUNE_EARLIER, share_of[rung], 0};
        char *results = NULL;
        enum status status = play(&s, *n, ask, clock, &results, problem);
        for (int i = 0; status == STATUS_OK && i < *n; i++) {
            struct tune_trial *t = &r->trial[alive[i]];
            t->rungs = rung + 1;
            for (int a = 0; a < TUNE_AIMS; a++)
                t->aim[a] = number(&s, graded_at(results, &s, i)->score, NULL, a);
        }
        free(results);
        if (status != STATUS_OK)
            return status;
        mark_hull(r, alive, *n);
        rank(r, alive, *n);
        if (rung < RUNGS - 1)
            *n = survivors(r, alive, *n, (*n + 1) / 2);
    }
    return STATUS_OK;
}

static enum status decide_later(const struct tune_source *source, const struct tune_ask *ask,
                                struct clock *clock, struct tune_report *r, const int *alive, int n,
                                struct problem *problem)
{
    int final[FINALISTS_MAX] = {0}, m = 1; /* the configuration at hand comes first */
    r->best = alive[0];
    for (int i = 0; i < n && m < FINALISTS_MAX; i++)
        if (alive[i] != 0 && (i == 0 || r->trial[alive[i]].hull))
            final[m++] = alive[i];
    struct stage s = {source, r->trial, final, TUNE_LATER, 1, 0};
    char *results = NULL;
    enum status status = play(&s, m, ask, clock, &results, problem);
    for (int i = 0; status == STATUS_OK && i < m; i++) {
        struct tune_trial *t = &r->trial[final[i]];
        const double *mine = graded_at(results, &s, i)->score;
        t->final = true;
        for (int a = 0; a < TUNE_AIMS; a++) {
            t->later[a] = number(&s, mine, NULL, a);
            t->gain[a] = number(&s, mine, graded_at(results, &s, 0)->score, a);
        }
    }
    free(results);
    r->better = status == STATUS_OK && r->best != 0 && r->trial[r->best].gain[TUNE_UTILITY].low > 0;
    return status;
}

enum status tune_search(const struct tune_source *s, const struct tune_ask *ask,
                        struct tune_report *out, struct problem *problem)
{
    int alive[TRIALS_MAX], n = ask->trials;
    struct tune_point from;
    struct clock clock = {.ask = ask};
    *out = (struct tune_report){.trials = n, .trial = calloc((size_t)n, sizeof *out->trial)};
    if (out->trial == NULL)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    tune_point_of(s->current, &from);
    for (int i = 0; i < n; i++) {
        alive[i] = i;
        tune_point_draw(&from, s->still, ask->seed, (uint64_t)i, &out->trial[i].point);
    }
    clock_gettime(CLOCK_MONOTONIC, &clock.start);
    clock.total = n * 0.25 + (n + 1) / 2 * 0.5 + (n + 3) / 4 + fmin(n, 4) * later_work(s);
    enum status status = climb(s, ask, &clock, out, alive, &n, problem);
    if (status == STATUS_OK)
        status = decide_later(s, ask, &clock, out, alive, n, problem);
    if (ask->progress)
        ask->progress(1, 0);
    if (status != STATUS_OK)
        tune_free(out);
    return status;
}

void tune_free(struct tune_report *r)
{
    free(r->trial);
    *r = (struct tune_report){0};
}
