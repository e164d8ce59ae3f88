/* SPDX-License-Identifier: MIT */
/*
 * Metrics of choices and predictions. Each is one pass over arrays; sums are taken in the order
 * given, so the same rows in the same order give the same bits.
 */
#include "sim/metrics/outcome.h"

#include <math.h>
#include <stdlib.h>

/* ---- against every outcome */

static double best_quality(const struct table *t, uint32_t row)
{
    double best = t->q[table_cell(t, row, 0)];
    for (int m = 1; m < t->n_models; m++)
        best = fmax(best, t->q[table_cell(t, row, m)]);
    return best;
}

/* What the row got; -1: refused. */
static double got(const struct table *t, uint32_t row, int model)
{
    return model < 0 ? 0 : t->q[table_cell(t, row, model)];
}

/* Cost of the cheapest model of a row that has at least this quality. */
static int64_t cheapest_with(const struct table *t, uint32_t row, double quality)
{
    int64_t least = INT64_MAX;
    for (int m = 0; m < t->n_models; m++) {
        size_t cell = table_cell(t, row, m);
        if (t->q[cell] >= quality && t->cost_nano[cell] < least)
            least = t->cost_nano[cell];
    }
    return least;
}

struct oracle_match metric_oracle_match(const struct table *t, const uint32_t *row,
                                        const int *model, size_t n, double eps)
{
    struct oracle_match s = {0};
    double paid = 0, needed = 0, quality = 0, reachable = 0, solvable = 0;
    for (size_t i = 0; i < n; i++) {
        double best = best_quality(t, row[i]);
        int64_t least = cheapest_with(t, row[i], best);
        solvable += best > 0;
        needed += (double)least;
        reachable += best;
        if (model[i] < 0)
            continue;
        size_t cell = table_cell(t, row[i], model[i]);
        double q = t->q[cell];
        int64_t cost = t->cost_nano[cell];
        s.lenient += q >= best;
        s.strict += q >= best && cost <= least;
        s.near += q >= best - eps && cost <= cheapest_with(t, row[i], best - eps);
        s.optimal_selection += best > 0 && q >= best && cost <= least;
        paid += (double)cost;
        quality += q;
    }
    s.lenient /= (double)n;
    s.strict /= (double)n;
    s.near /= (double)n;
    s.optimal_selection /= solvable;
    s.optimal_cost = needed / paid;
    s.optimal_accuracy = quality / reachable;
    return s;
}

double metric_regret(const struct table *t, const uint32_t *row, const int *model, size_t n,
                     double *step, double *cumulative)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double r = best_quality(t, row[i]) - got(t, row[i], model[i]);
        sum += r;
        if (step != NULL)
            step[i] = r;
        if (cumulative != NULL)
            cumulative[i] = sum;
    }
    return sum / (double)n;
}

double metric_regret_fixed(const struct table *t, const uint32_t *row, const int *model, size_t n)
{
    double chosen = 0, best = -INFINITY;
    for (size_t i = 0; i < n; i++)
        chosen += got(t, row[i], model[i]);
    for (int m = 0; m < t->n_models; m++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += t->q[table_cell(t, row[i], m)];
        best = fmax(best, sum);
    }
    return (best - chosen) / (double)n;
}

/* ---- against a budget */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct compliance metric_compliance(const double *cost, size_t n, double budget, size_t window,
                                    double *work)
{
    struct compliance s = {.window_p99 = NAN, .window_most = NAN, .over = NAN, .exhausted_at = -1};
    double spent = 0, rolling = 0, over = 0;
    size_t windows = 0;
    for (size_t i = 0; i < n; i++) {
        spent += cost[i];
        rolling += cost[i] - (i >= window ? cost[i - window] : 0);
        if (s.exhausted_at < 0 && spent >= (double)n * budget)
            s.exhausted_at = (int64_t)i + 1;
        if (i + 1 < window)
            continue;
        double ratio = rolling / (double)window / budget;
        over += ratio > 1.05;
        work[windows++] = ratio;
    }
    s.ratio = spent / (double)n / budget;
    if (windows == 0)
        return s;
    qsort(work, windows, sizeof *work, by_value);
    s.window_p99 = work[(windows - 1) * 99 / 100];
    s.window_most = work[windows - 1];
    s.over = over / (double)windows;
    return s;
}

/* ---- against predictions */

struct calibration metric_calibration(const double *predicted, const double *observed, size_t n,
                                      struct reliability *bin, int bins)
{
    struct calibration s = {0};
    for (int b = 0; b < bins; b++)
        bin[b] = (struct reliability){0};
    for (size_t i = 0; i < n; i++) {
        double p = fmin(fmax(predicted[i], 0), 1), off = predicted[i] - observed[i];
        int b = (int)(p * bins);
        struct reliability *at = &bin[b < bins ? b : bins - 1];
        at->n++;
        at->predicted += predicted[i];
        at->observed += observed[i];
        s.brier += off * off / (double)n;
    }
    for (int b = 0; b < bins; b++) {
        s.ece += fabs(bin[b].predicted - bin[b].observed) / (double)n;
        bin[b].predicted /= (double)bin[b].n;
        bin[b].observed /= (double)bin[b].n;
    }
    return s;
}

double metric_mape(const double *predicted, const double *actual, size_t n, size_t *used)
{
    double sum = 0;
    *used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(actual[i] > 0))
            continue;
        sum += fabs(predicted[i] - actual[i]) / actual[i];
        ++*used;
    }
    return sum / (double)*used;
}

/* ---- over time */

int64_t metric_recovery(const double *value, size_t n, size_t at, size_t window, double level)
{
    double sum = 0;
    int64_t since = -1;
    for (size_t i = at; i < n; i++) {
        sum += value[i] - (i >= at + window ? value[i - window] : 0);
        if (i + 1 < at + window)
            continue;
        bool reached = sum / (double)window >= level - 1e-12;
        since = !reached ? -1 : since >= 0 ? since : (int64_t)(i + 1 - at);
    }
    return since;
}

int64_t metric_adoption(const int *model, size_t n, size_t at, int joined, size_t window,
                        double part, double *work)
{
    size_t third = at < n ? (n - at) / 3 : 0;
    double last = 0;
    for (size_t i = 0; i < n; i++) {
        work[i] = model[i] == joined;
        last += i >= n - third ? work[i] : 0;
    }
    return last > 0 ? metric_recovery(work, n, at, window, part * last / (double)third) : -1;
}
