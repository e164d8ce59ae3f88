/* SPDX-License-Identifier: MIT */
/*
 * The block bootstrap. All estimators see the same draws, so their intervals can be compared, and a
 * row is read once: blocks keep three sums for each estimator. Self-normalised estimators are
 * normalised in each draw: with the weights of the whole log they would look far too certain.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/ope/ope.h"
#include "bandit/ope/ope_inside.h"
#include "bandit/rng.h"

enum { BLOCKS_MAX = 4096, BOOT_PURPOSE = 0x424f4f54, SUMS = 3 };

struct boot {
    size_t blocks;
    double *rows; /* [blocks] */
    double *sums; /* [blocks][2 logs][OPE_ESTIMATORS][SUMS] */
    double *draw; /* [a, b, b - a][OPE_ESTIMATORS][OPE_DRAWS] */
    uint16_t *times;
};

static double *sums_at(const struct boot *k, size_t block, int which)
{
    return k->sums + (block * 2 + (size_t)which) * OPE_ESTIMATORS * SUMS;
}

static size_t block_of(const struct boot *k, const struct ope_log *rows, size_t row)
{
    uint64_t c = rows->cluster ? rows->cluster[row] : row;
    size_t units = rows->cluster ? rows->n_clusters : rows->n;
    return units > BLOCKS_MAX ? (size_t)(mix64(c) % k->blocks) : (size_t)c;
}

static void gather(struct boot *k, const struct ope_log *rows, const struct ope_tuning *t,
                   int which)
{
    for (size_t i = 0; i < rows->n; i++) {
        size_t block = block_of(k, rows, i);
        double *at = sums_at(k, block, which);
        if (which == 0)
            k->rows[block]++;
        for (int e = 0; e < OPE_ESTIMATORS; e++, at += SUMS) {
            if (!ope_applies(rows, (enum ope_estimator)e))
                continue;
            struct ope_parts p = ope_parts(rows, (enum ope_estimator)e, t, i);
            at[0] += p.direct;
            at[1] += p.weight * p.rest;
            at[2] += p.weight;
        }
    }
}

static double value_of(const double *s, int e, double n)
{
    return s[0] / n + s[1] / (ope_normalised((enum ope_estimator)e) ? s[2] : n);
}

static double *draw_at(const struct boot *k, int which, int e, int draw)
{
    return k->draw + (which * OPE_ESTIMATORS + e) * OPE_DRAWS + draw;
}

/* Adds what the drawn blocks hold; the number of sums is known where this is compiled, which lets
 * them be added side by side. */
static inline double add_blocks(const struct boot *k, double *total, size_t width)
{
    double n = 0;
    for (size_t b = 0; b < k->blocks; b++) {
        const double *restrict at = sums_at(k, b, 0);
        double times = k->times[b];
        n += times * k->rows[b];
        if (k->times[b] > 0)
            for (size_t j = 0; j < width; j++)
                total[j] += times * at[j];
    }
    return n;
}

static void one_draw(struct boot *k, bool pair, uint64_t seed, int draw)
{
    enum { WIDTH = OPE_ESTIMATORS * SUMS };
    double total[2 * WIDTH] = {0};
    struct rng r = rng_stream(seed, BOOT_PURPOSE, (uint64_t)draw);
    memset(k->times, 0, k->blocks * sizeof *k->times);
    for (size_t b = 0; b < k->blocks; b++)
        k->times[rng_below(&r, k->blocks)]++;
    double n = pair ? add_blocks(k, total, 2 * WIDTH) : add_blocks(k, total, WIDTH);
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        double a = value_of(total + e * SUMS, e, n);
        *draw_at(k, 0, e, draw) = a;
        if (!pair)
            continue;
        double b = value_of(total + (OPE_ESTIMATORS + e) * SUMS, e, n);
        *draw_at(k, 1, e, draw) = b;
        *draw_at(k, 2, e, draw) = b - a;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A percentile between the draws; a draw without weight has no value and is not counted. */
static double percentile(const double *v, int n, double p)
{
    double at = p * (n - 1);
    int i = (int)at;
    return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

static struct ope_interval percentiles(double *v, double alpha)
{
    int n = 0;
    for (int i = 0; i < OPE_DRAWS; i++)
        if (isfinite(v[i]))
            v[n++] = v[i];
    if (n == 0)
        return (struct ope_interval){NAN, NAN};
    qsort(v, (size_t)n, sizeof *v, ascending);
    return (struct ope_interval){percentile(v, n, alpha / 2), percentile(v, n, 1 - alpha / 2)};
}

static void summarise(const struct boot *k, const struct ope_log *a, const struct ope_log *b,
                      double alpha, struct ope_bootstrap *out)
{
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        bool of_a = ope_applies(a, (enum ope_estimator)e);
        bool of_b = b != NULL && ope_applies(b, (enum ope_estimator)e);
        if (of_a)
            out->a[e] = percentiles(draw_at(k, 0, e, 0), alpha);
        if (of_b)
            out->b[e] = percentiles(draw_at(k, 1, e, 0), alpha);
        if (of_a && of_b)
            out->difference[e] = percentiles(draw_at(k, 2, e, 0), alpha);
    }
}

bool ope_bootstrap(const struct ope_log *a, const struct ope_log *b, const struct ope_tuning *t,
                   double alpha, uint64_t seed, struct ope_bootstrap *out)
{
    size_t units = a->cluster ? a->n_clusters : a->n;
    struct boot k = {.blocks = units < BLOCKS_MAX ? units : BLOCKS_MAX};
    for (int e = 0; e < OPE_ESTIMATORS; e++)
        out->a[e] = out->b[e] = out->difference[e] = (struct ope_interval){NAN, NAN};
    if (a->n == 0)
        return true;
    k.rows = calloc(k.blocks, sizeof *k.rows);
    k.sums = calloc(k.blocks * 2 * OPE_ESTIMATORS * SUMS, sizeof *k.sums);
    k.draw = calloc((size_t)3 * OPE_ESTIMATORS * OPE_DRAWS, sizeof *k.draw);
    k.times = calloc(k.blocks, sizeof *k.times);
    bool ok = k.rows && k.sums && k.draw && k.times;
    if (ok) {
        gather(&k, a, t, 0);
        if (b)
            gather(&k, b, t, 1);
    }
    for (int i = 0; ok && i < OPE_DRAWS; i++)
        one_draw(&k, b != NULL, seed, i);
    if (ok)
        summarise(&k, a, b, alpha, out);
    free(k.rows);
    free(k.sums);
    free(k.draw);
    free(k.times);
    return ok;
}
