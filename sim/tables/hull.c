/* SPDX-License-Identifier: MIT */
/*
 * The bar to clear and the ceiling. The static hull is what the best random mix of fixed models
 * reaches at a spend without looking at the request (RouterBench's non-decreasing convex hull;
 * its "zero router"). Collinear points are dropped: they change no value. The oracle sees every
 * outcome, luck included, so no share of "hull to oracle" is ever reported.
 * Costs are summed in whole nanodollars: the same rows in another order give the same point.
 */
#include "sim/tables/hull.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* By cost, the better first at the same cost, so that the worse one is seen to add nothing. */
static int by_cost(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return (x->quality < y->quality) - (x->quality > y->quality);
}

/* True when b lies on or below the line from a to c. */
static bool below(struct point a, struct point b, struct point c)
{
    return (b.quality - a.quality) * (c.cost - a.cost) <=
           (c.quality - a.quality) * (b.cost - a.cost);
}

int hull_build(const struct point *points, int n, struct point *out)
{
    struct point sorted[MODELS_MAX];
    assert(n >= 1 && n <= MODELS_MAX);
    memcpy(sorted, points, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_cost);
    int len = 0;
    for (int i = 0; i < n; i++) {
        if (len > 0 && sorted[i].quality <= out[len - 1].quality)
            continue; /* dearer and no better: the decreasing tail, and ties */
        while (len >= 2 && below(out[len - 2], out[len - 1], sorted[i]))
            len--;
        out[len++] = sorted[i];
    }
    return len;
}

double hull_value(const struct point *hull, int n, double spend)
{
    assert(n >= 1);
    if (spend <= hull[0].cost)
        return hull[0].quality;
    for (int i = 1; i < n; i++) {
        if (spend > hull[i].cost)
            continue;
        double share = (spend - hull[i - 1].cost) / (hull[i].cost - hull[i - 1].cost);
        return hull[i - 1].quality + share * (hull[i].quality - hull[i - 1].quality);
    }
    return hull[n - 1].quality;
}

void hull_fixed(const struct table *t, const uint32_t *rows, size_t n, struct point *out)
{
    assert(n >= 1);
    for (int m = 0; m < t->n_models; m++) {
        double quality = 0;
        int64_t cost_nano = 0;
        for (size_t i = 0; i < n; i++) {
            size_t cell = table_cell(t, rows[i], m);
            quality += t->q[cell];
            cost_nano += t->cost_nano[cell];
        }
        out[m] = (struct point){(double)cost_nano / 1e9 / (double)n, quality / (double)n};
    }
}

static size_t best_cell(const struct table *t, size_t row)
{
    size_t best = table_cell(t, row, 0);
    for (int m = 1; m < t->n_models; m++) {
        size_t cell = table_cell(t, row, m);
        if (t->q[cell] > t->q[best] ||
            (t->q[cell] >= t->q[best] && t->cost_nano[cell] < t->cost_nano[best]))
            best = cell;
    }
    return best;
}

struct pick hull_oracle(const struct table *t, const uint32_t *rows, size_t n)
{
    double quality = 0;
    int64_t cost_nano = 0;
    assert(n >= 1);
    for (size_t i = 0; i < n; i++) {
        size_t cell = best_cell(t, rows[i]);
        quality += t->q[cell];
        cost_nano += t->cost_nano[cell];
    }
    return (struct pick){-1, {(double)cost_nano / 1e9 / (double)n, quality / (double)n}};
}

/* What the oracle comes to when a dollar costs `price` points of quality; cheaper on ties. */
static struct point oracle_at(const struct table *t, const uint32_t *rows, size_t n, double price)
{
    double quality = 0;
    int64_t cost_nano = 0;
    for (size_t i = 0; i < n; i++) {
        size_t best = table_cell(t, rows[i], 0);
        for (int m = 1; m < t->n_models; m++) {
            size_t cell = table_cell(t, rows[i], m);
            double more = t->q[cell] - t->q[best] -
                          price * (double)(t->cost_nano[cell] - t->cost_nano[best]) / 1e9;
            if (more > 0 || (more >= 0 && t->cost_nano[cell] < t->cost_nano[best]))
                best = cell;
        }
        quality += t->q[best];
        cost_nano += t->cost_nano[best];
    }
    return (struct point){(double)cost_nano / 1e9 / (double)n, quality / (double)n};
}

struct pick hull_oracle_within(const struct table *t, const uint32_t *rows, size_t n, double spend)
{
    assert(n >= 1);
    struct point at = oracle_at(t, rows, n, 0);
    double lo = 0, hi = 1;
    if (at.cost <= spend)
        return (struct pick){-1, at};
    /* From 1e12 points per dollar on, even a nanodollar outweighs all quality. */
    while (hi < 1e12 && oracle_at(t, rows, n, hi).cost > spend)
        hi *= 4;
    for (int i = 0; i < 60 && hi - lo > 1e-9 * hi; i++) {
        double mid = lo + (hi - lo) / 2;
        if (oracle_at(t, rows, n, mid).cost > spend)
            lo = mid;
        else
            hi = mid;
    }
    return (struct pick){-1, oracle_at(t, rows, n, hi)};
}

struct pick hull_best_single(const struct point *fixed, int n)
{
    int best = 0;
    for (int m = 1; m < n; m++) {
        if (fixed[m].quality > fixed[best].quality ||
            (fixed[m].quality >= fixed[best].quality && fixed[m].cost < fixed[best].cost))
            best = m;
    }
    return (struct pick){best, fixed[best]};
}
