/* SPDX-License-Identifier: MIT */
/*
 * What needs all outcomes of a row at once (regrets, oracle, curve) is summed as rows come, since
 * under changes each row has outcomes of its time; the outcomes met are kept as a table of their
 * own, to be measured by the functions that have known answers. Refused requests have quality 0 for
 * nothing and no predictions.
 * The curve: at price w of quality the model with the greatest predicted quality less w times its
 * expected cost over the unit, the mean cost of the dearest model. Nothing is decided by it.
 */
#include "sim/metrics/measure.h"

#include "sim/metrics/curve.h"
#include "sim/metrics/outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EPS = 0.01, PRICE_LOW = 0.003, PRICE_HIGH = 300;

static const struct {
    const char *name, *means;
} known[MEASURES] = {
    [MEASURE_LENIENT] = {"oracle_lenient", "share at the best quality of the request"},
    [MEASURE_STRICT] = {"oracle_strict", "and the cheapest model of these"},
    [MEASURE_NEAR] = {"oracle_near", "within 0.01 of it, and the cheapest of these"},
    [MEASURE_SELECTION] = {"optimal_selection", "cheapest best model, of requests any solves"},
    [MEASURE_COST] = {"optimal_cost", "what these would have cost / what was paid"},
    [MEASURE_ACCURACY] = {"optimal_accuracy", "quality / the oracle's"},
    [MEASURE_ARENA] = {"arena_score", "RouterArena's, of quality at that cost"},
    [MEASURE_REGRET_FIXED] = {"regret_best_fixed", "best fixed model's quality, less ours"},
    [MEASURE_REGRET_BUDGET] = {"regret_at_spend", "oracle's quality at the same spend, less ours"},
    [MEASURE_BRIER] = {"brier", "mean squared error of predicted quality"},
    [MEASURE_ECE] = {"ece", "mean |predicted - observed| over 10 bins"},
    [MEASURE_COST_MAPE] = {"cost_mape", "mean |expected - actual| / actual cost"},
    [MEASURE_WINDOW_P99] = {"window_p99", "spend / budget, 99th percentile of 200 requests"},
    [MEASURE_OVER] = {"windows_over", "share of these windows above 1.05"},
    [MEASURE_EXHAUSTED] = {"exhausted_at", "requests until the whole budget was spent"},
    [MEASURE_UNDERSPENT] = {"lost_to_underspend",
                            "hull's quality at the budget, less at the spend"},
    [MEASURE_AIQ] = {"aiq", "mean quality of the curve's hull over its costs"},
    [MEASURE_AUDC] = {"audc", "area under the curve over cost / dearest model's"},
    [MEASURE_QNC] = {"qnc", "that ratio at the best fixed model's quality"},
    [MEASURE_PEAK] = {"peak_quality", "best quality of the curve"},
    [MEASURE_APGR] = {"apgr", "mean share of the gap weak to strong recovered"},
    [MEASURE_CPT50] = {"cpt50", "strong calls that recover half of it"},
    [MEASURE_CPT80] = {"cpt80", "strong calls that recover 80% of it"},
};

const char *measure_name(enum measure m)
{
    return known[m].name;
}

const char *measure_means(enum measure m)
{
    return known[m].means;
}

struct recorder {
    size_t n, cap;
    struct table met; /* outcomes by request */
    uint32_t *row;    /* 0, 1, 2 ... */
    int *model;
    double *predicted, *expected, *score; /* of the model chosen; of the strong over the weak */
    double *quality, *cost, *work;
    int strong, weak;
    double unit;
    struct point curve[MEASURE_POINTS]; /* sums */
};

void recorder_free(struct recorder *r)
{
    if (r == NULL)
        return;
    free(r->met.q);
    free(r->met.cost_nano);
    free(r->row);
    free(r->model);
    free(r->predicted);
    free(r);
}

struct recorder *recorder_new(const struct table *table, size_t n)
{
    struct recorder *r = calloc(1, sizeof *r);
    int k = table->n_models;
    double mean[MODELS_MAX] = {0};
    if (r == NULL)
        return NULL;
    r->cap = n;
    r->met.n_models = k;
    r->met.q = calloc(n * (size_t)k, sizeof *r->met.q);
    r->met.cost_nano = calloc(n * (size_t)k, sizeof *r->met.cost_nano);
    r->row = calloc(n, sizeof *r->row);
    r->model = calloc(n, sizeof *r->model);
    r->predicted = calloc(6 * n, sizeof *r->predicted);
    if (!r->met.q || !r->met.cost_nano || !r->row || !r->model || !r->predicted) {
        recorder_free(r);
        return NULL;
    }
    r->expected = r->predicted + n;
    r->score = r->predicted + 2 * n;
    r->quality = r->predicted + 3 * n;
    r->cost = r->predicted + 4 * n;
    r->work = r->predicted + 5 * n;
    for (size_t i = 0; i < table->n; i++)
        for (int m = 0; m < k; m++)
            mean[m] += (double)table->cost_nano[table_cell(table, i, m)] * 1e-9 / (double)table->n;
    for (int m = 1; m < k; m++) {
        r->strong = mean[m] > mean[r->strong] ? m : r->strong;
        r->weak = mean[m] < mean[r->weak] ? m : r->weak;
    }
    r->unit = mean[r->strong];
    return r;
}

/* The price of quality at a point of the curve: none at the first, all that counts at the last. */
static double price_at(int point)
{
    double step = (double)(point - 1) / (MEASURE_POINTS - 3);
    return point == 0 ? 0 : PRICE_LOW * pow(PRICE_HIGH / PRICE_LOW, step);
}

static void sweep(struct recorder *r, const struct table *t, const struct choice *c)
{
    for (int k = 0; k < MEASURE_POINTS; k++) {
        int best = -1;
        double top = -INFINITY, price = k < MEASURE_POINTS - 1 ? price_at(k) : 0;
        for (int m = 0; m < t->n_models; m++) {
            double merit = k < MEASURE_POINTS - 1 ? c->quality[m] - price * c->cost_usd[m] / r->unit
                                                  : -c->cost_usd[m];
            if (merit > top) { /* false for NaN */
                top = merit;
                best = m;
            }
        }
        size_t cell = table_cell(t, c->row, best >= 0 ? best : 0);
        if (best >= 0) {
            r->curve[k].quality += t->q[cell];
            r->curve[k].cost += (double)t->cost_nano[cell] * 1e-9;
        }
    }
}

void recorder_take(struct recorder *r, const struct table *judged, const struct choice *c)
{
    size_t i = r->n++, from = table_cell(judged, c->row, 0), k = (size_t)judged->n_models;
    memcpy(r->met.q + i * k, judged->q + from, k * sizeof *judged->q);
    memcpy(r->met.cost_nano + i * k, judged->cost_nano + from, k * sizeof *judged->cost_nano);
    r->met.n = r->n;
    r->row[i] = (uint32_t)i;
    r->model[i] = c->model;
    r->predicted[i] = r->expected[i] = r->score[i] = NAN;
    if (c->model < 0)
        return;
    size_t cell = table_cell(judged, c->row, c->model);
    r->quality[i] = judged->q[cell];
    r->cost[i] = (double)judged->cost_nano[cell] * 1e-9;
    r->predicted[i] = fmin(fmax(c->quality[c->model], 0), 1);
    r->expected[i] = c->cost_usd[c->model];
    r->score[i] = c->quality[r->strong] - c->quality[r->weak];
    sweep(r, judged, c);
}

/* Moves what was not refused to the front of three arrays of work and gives their number. */
static size_t served(const struct recorder *r, const double *said, const double *was, double *a,
                     double *b)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->model[i] < 0)
            continue;
        a[n] = said[i];
        b[n++] = was[i];
    }
    return n;
}

static bool predictions(struct recorder *r, struct measures *out)
{
    struct reliability bin[MEASURE_BINS];
    double *a = malloc((2 * r->n + 1) * sizeof *a), *b = a != NULL ? a + r->n : NULL;
    size_t used;
    if (a == NULL)
        return false;
    size_t n = served(r, r->predicted, r->quality, a, b);
    struct calibration c = metric_calibration(a, b, n, bin, MEASURE_BINS);
    out->value[MEASURE_BRIER] = n > 0 ? c.brier : (double)NAN;
    out->value[MEASURE_ECE] = n > 0 ? c.ece : (double)NAN;
    for (int k = 0; k < MEASURE_BINS; k++)
        out->bin[k] = (struct reliability_bin){(double)bin[k].n, bin[k].predicted, bin[k].observed};
    n = served(r, r->expected, r->cost, a, b);
    double mape = metric_mape(a, b, n, &used);
    out->value[MEASURE_COST_MAPE] = used > 0 ? mape : (double)NAN;
    free(a);
    return true;
}

/* Two models only: the rows that were refused are left out. */
static bool deferral(const struct recorder *r, struct measures *out)
{
    struct deferral curve[DEFERRAL_POINTS];
    double *score = malloc((3 * r->n + 1) * sizeof *score), mean[2] = {0};
    size_t n = 0;
    if (score == NULL)
        return false;
    double *weak = score + r->n, *strong = weak + r->n;
    for (size_t i = 0; i < r->n; i++) {
        if (isnan(r->score[i]))
            continue;
        score[n] = r->score[i];
        weak[n] = r->met.q[2 * i + (size_t)r->weak];
        strong[n] = r->met.q[2 * i + (size_t)r->strong];
        mean[0] += weak[n];
        mean[1] += strong[n++];
    }
    int points = n > 0 ? deferral_curve(score, weak, strong, n, curve) : 0;
    mean[0] /= (double)n;
    mean[1] /= (double)n;
    if (points > 0) {
        out->value[MEASURE_APGR] = deferral_apgr(curve, points, mean[0], mean[1]);
        out->value[MEASURE_CPT50] = deferral_cpt(curve, points, mean[0], mean[1], 0.5);
        out->value[MEASURE_CPT80] = deferral_cpt(curve, points, mean[0], mean[1], 0.8);
    }
    free(score);
    return points >= 0;
}

static int by_cost(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->cost < y->cost || x->cost > y->cost)
        return x->cost < y->cost ? -1 : 1;
    return (x->quality > y->quality) - (x->quality < y->quality);
}

static void curve(const struct recorder *r, const struct point *fixed, struct measures *out)
{
    struct point p[MEASURE_POINTS], hull[MEASURE_POINTS];
    double best = 0, peak = 0;
    for (int k = 0; k < MEASURE_POINTS; k++) {
        p[k] = (struct point){r->curve[k].cost / (double)r->n, r->curve[k].quality / (double)r->n};
        out->curve[k] = p[k];
        peak = fmax(peak, p[k].quality);
    }
    for (int m = 0; m < r->met.n_models; m++)
        best = fmax(best, fixed[m].quality);
    qsort(p, MEASURE_POINTS, sizeof *p, by_cost);
    out->value[MEASURE_AIQ] =
        curve_aiq(p, MEASURE_POINTS, p[0].cost, p[MEASURE_POINTS - 1].cost, hull);
    out->value[MEASURE_AUDC] = curve_area(p, MEASURE_POINTS, r->unit);
    out->value[MEASURE_QNC] = curve_neutral_cost(p, MEASURE_POINTS, best, r->unit);
    out->value[MEASURE_PEAK] = peak;
}

static void budget(struct recorder *r, double usd, double spend, const struct point *fixed,
                   struct measures *out)
{
    struct point hull[MODELS_MAX];
    struct compliance c = metric_compliance(r->cost, r->n, usd, PLAY_WINDOW, r->work);
    int n = hull_build(fixed, r->met.n_models, hull);
    out->value[MEASURE_WINDOW_P99] = c.window_p99;
    out->value[MEASURE_OVER] = c.over;
    out->value[MEASURE_EXHAUSTED] = c.exhausted_at < 0 ? (double)NAN : (double)c.exhausted_at;
    out->value[MEASURE_UNDERSPENT] = fmax(hull_value(hull, n, usd) - hull_value(hull, n, spend), 0);
}

void recorder_after(struct recorder *r, size_t before, size_t at, size_t end, int joins,
                    double *recovered, double *adopted)
{
    double level = 0;
    for (size_t i = before; i < at; i++)
        level += 0.95 * r->quality[i] / (double)(at - before);
    int64_t back = metric_recovery(r->quality, end, at, RECOVERY_LATEST, level);
    int64_t taken =
        joins < 0 ? -1 : metric_adoption(r->model, end, at, joins, RECOVERY_LATEST, 0.9, r->work);
    *recovered = back < 0 ? (double)NAN : (double)back;
    *adopted = taken < 0 ? (double)NAN : (double)taken;
}

bool recorder_result(struct recorder *r, double budget_usd, struct measures *out)
{
    struct point fixed[MODELS_MAX];
    double n = (double)r->n, quality = 0, spend = 0;
    for (int m = 0; m < MEASURES; m++)
        out->value[m] = NAN;
    for (size_t i = 0; i < r->n; i++) {
        quality += r->quality[i] / n;
        spend += r->cost[i] / n;
    }
    struct oracle_match match = metric_oracle_match(&r->met, r->row, r->model, r->n, EPS);
    out->value[MEASURE_LENIENT] = match.lenient;
    out->value[MEASURE_STRICT] = match.strict;
    out->value[MEASURE_NEAR] = match.near;
    out->value[MEASURE_SELECTION] = match.optimal_selection;
    out->value[MEASURE_COST] = match.optimal_cost;
    out->value[MEASURE_ACCURACY] = match.optimal_accuracy;
    out->value[MEASURE_ARENA] = curve_arena(quality, spend * 1000);
    out->value[MEASURE_REGRET_FIXED] = metric_regret_fixed(&r->met, r->row, r->model, r->n);
    out->value[MEASURE_REGRET_BUDGET] =
        hull_oracle_within(&r->met, r->row, r->n, spend).at.quality - quality;
    hull_fixed(&r->met, r->row, r->n, fixed);
    curve(r, fixed, out);
    if (budget_usd > 0)
        budget(r, budget_usd, spend, fixed, out);
    return predictions(r, out) && (r->met.n_models != 2 || deferral(r, out));
}
