/* SPDX-License-Identifier: MIT */
/*
 * Metrics of curves, as the benchmarks that made them define them: RouterBench (Hu et al. 2024),
 * RouterArena (Lu et al. 2025), RouteLLM (Ong et al. 2024), UniRoute (Jitkrittum et al. 2025).
 * Differs from published code where that departs from its paper: AIQ divides by the range of costs,
 * not by the highest one; CPT looks for the first crossing of the best so far, since interpolating
 * accuracy as if it were increasing gives shares that do not reach the target.
 */
#include "sim/metrics/curve.h"

#include <math.h>
#include <stdlib.h>

/* RouterArena's constants: USD per 1000 requests, and the weight of cost. */
#define ARENA_LEAST 0.0044
#define ARENA_MOST 200.0
#define ARENA_BETA 0.1

static int by_cost(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->cost > y->cost) - (x->cost < y->cost);
}

int curve_envelope(const struct point *points, int n, struct point *out)
{
    struct point *hull = malloc((size_t)(n > 0 ? n : 1) * sizeof *hull);
    if (hull == NULL)
        return -1;
    int vertices = hull_build(points, n, hull), kept = 0;
    for (int i = 0; i < n; i++)
        if (points[i].cost <= hull[vertices - 1].cost)
            out[kept++] =
                (struct point){points[i].cost, hull_value(hull, vertices, points[i].cost)};
    free(hull);
    qsort(out, (size_t)kept, sizeof *out, by_cost);
    return kept;
}

/* Quality at a cost of points by rising cost; constant outside. */
static double value_at(const struct point *p, int n, double cost)
{
    if (cost <= p[0].cost)
        return p[0].quality;
    for (int i = 1; i < n; i++)
        if (cost < p[i].cost)
            return p[i - 1].quality + (p[i].quality - p[i - 1].quality) * (cost - p[i - 1].cost) /
                                          (p[i].cost - p[i - 1].cost);
    return p[n - 1].quality;
}

/* Area under the lines through the points, constant outside, between two costs. */
static double area_between(const struct point *p, int n, double low, double high)
{
    double area = 0, from = low, at = value_at(p, n, low);
    for (int i = 0; i < n; i++) {
        if (p[i].cost <= low || p[i].cost >= high)
            continue;
        area += (p[i].cost - from) * (at + p[i].quality) / 2;
        from = p[i].cost;
        at = p[i].quality;
    }
    return area + (high - from) * (at + value_at(p, n, high)) / 2;
}

double curve_aiq(const struct point *points, int n, double low, double high, struct point *hull)
{
    if (n <= 0 || !(high > low))
        return NAN;
    return area_between(hull, hull_build(points, n, hull), low, high) / (high - low);
}

double curve_arena(double accuracy, double usd_per_1000)
{
    double cost = fmin(fmax(usd_per_1000, ARENA_LEAST), ARENA_MOST);
    double saved = (log2(ARENA_MOST) - log2(cost)) / (log2(ARENA_MOST) - log2(ARENA_LEAST));
    double sum = ARENA_BETA * accuracy + saved;
    return sum > 0 ? (1 + ARENA_BETA) * accuracy * saved / sum : 0;
}

double curve_area(const struct point *points, int n, double unit)
{
    return n > 0 && unit > 0 ? area_between(points, n, 0, unit) / unit : (double)NAN;
}

double curve_neutral_cost(const struct point *points, int n, double quality, double unit)
{
    for (int i = 0; i < n && unit > 0; i++) {
        if (points[i].quality < quality)
            continue;
        if (i == 0)
            return points[0].cost / unit;
        double rise = points[i].quality - points[i - 1].quality;
        double part = (quality - points[i - 1].quality) / rise;
        return (points[i - 1].cost + part * (points[i].cost - points[i - 1].cost)) / unit;
    }
    return NAN;
}

/* ---- two models */

double metric_pgr(double quality, double weak, double strong)
{
    return fabs(strong - weak) > 0 ? (quality - weak) / (strong - weak) : (double)NAN;
}

/* A row in the order of scores. */
struct scored {
    double score, weak, strong;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

static double quantile(const struct scored *row, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    double part = at - (double)i;
    return part > 0 ? row[i].score + part * (row[i + 1].score - row[i].score) : row[i].score;
}

/* Everything that is at least the threshold (above it, if strictly) goes to the strong model. */
static struct deferral send(const struct scored *row, size_t n, double threshold, bool strictly)
{
    double quality = 0, strong = 0;
    for (size_t i = 0; i < n; i++) {
        bool up = strictly ? row[i].score > threshold : row[i].score >= threshold;
        quality += up ? row[i].strong : row[i].weak;
        strong += up;
    }
    return (struct deferral){strong / (double)n, quality / (double)n};
}

int deferral_curve(const double *score, const double *weak, const double *strong, size_t n,
                   struct deferral out[DEFERRAL_POINTS])
{
    double threshold[DEFERRAL_POINTS];
    int points = 0;
    struct scored *row = malloc((n > 0 ? n : 1) * sizeof *row);
    if (row == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        row[i] = (struct scored){score[i], weak[i], strong[i]};
    qsort(row, n, sizeof *row, by_score);
    for (int k = 0; n > 0 && k < DEFERRAL_POINTS; k++) {
        double v = quantile(row, n, (double)k / (DEFERRAL_POINTS - 1));
        if (points == 0 || v > threshold[points - 1])
            threshold[points++] = v;
    }
    for (int k = 0; k < points; k++)
        out[k] = send(row, n, threshold[k], k == points - 1);
    free(row);
    return points;
}

double deferral_apgr(const struct deferral *c, int n, double weak, double strong)
{
    double area = 0, width = 0;
    for (int i = 1; i < n; i++) {
        double step = c[i - 1].share - c[i].share;
        width += step;
        area +=
            step *
            (metric_pgr(c[i].quality, weak, strong) + metric_pgr(c[i - 1].quality, weak, strong)) /
            2;
    }
    return width > 0 ? area / width : (double)NAN;
}

double deferral_cpt(const struct deferral *c, int n, double weak, double strong, double pgr)
{
    for (int i = n - 1; i >= 0; i--) { /* by rising share: before i, all were below */
        double here = metric_pgr(c[i].quality, weak, strong);
        if (!(here >= pgr))
            continue;
        if (i == n - 1)
            return c[i].share;
        double before = metric_pgr(c[i + 1].quality, weak, strong);
        double part = (pgr - before) / (here - before);
        return c[i + 1].share + part * (c[i].share - c[i + 1].share);
    }
    return NAN;
}
