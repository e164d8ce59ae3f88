/* SPDX-License-Identifier: MIT */
/*
 * The block bootstrap. All estimators see the same draws, so their intervals can be compared, and a
 * row is read once: blocks keep three sums for each estimator. Self-normalised estimators are
 * normalised in each draw: with the weights of the whole log they would look far too certain.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/ope.h"
#include "bandit/ope_inside.h"
#include "bandit/rng.h"

enum { BLOCKS_MAX = 4096, BOOT_PURPOSE = 0x424f4f54, SUMS = 3 };

struct boot {
    size_t blocks;
    double *rows; /* [blocks] */
    double *sums; /* [blocks][2 logs][OPE_ESTIMATORS][SUMS] */
    double *draw; /* [OPE_ESTIMATORS][OPE_DRAWS] */
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

static void one_draw(struct boot *k, bool pair, uint64_t seed, int draw)
{
    double total[2 * OPE_ESTIMATORS * SUMS] = {0}, n = 0;
    size_t width = (size_t)(pair ? 2 : 1) * OPE_ESTIMATORS * SUMS;
    struct rng r = rng_stream(seed, BOOT_PURPOSE, (uint64_t)draw);
    memset(k->times, 0, k->blocks * sizeof *k->times);
    for (size_t b = 0; b < k->blocks; b++)
        k->times[rng_below(&r, k->blocks)]++;
    for (size_t b = 0; b < k->blocks; b++) {
        const double *at = sums_at(k, b, 0);
        double times = k->times[b];
        n += times * k->rows[b];
        for (size_t j = 0; times > 0 && j < width; j++)
            total[j] += times * at[j];
    }
    for (int e = 0; e < OPE_ESTIMATORS; e++) {
        double v = value_of(total + e * SUMS, e, n);
        if (pair)
            v = value_of(total + (OPE_ESTIMATORS + e) * SUMS, e, n) - v;
        k->draw[e * OPE_DRAWS + draw] = v;
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

bool ope_bootstrap(const struct ope_log *rows, const struct ope_tuning *t, const struct ope_log *b,
                   const struct ope_tuning *tb, double alpha, uint64_t seed,
                   struct ope_interval out[OPE_ESTIMATORS])
{
    size_t units = rows->cluster ? rows->n_clusters : rows->n;
    struct boot k = {.blocks = units < BLOCKS_MAX ? units : BLOCKS_MAX};
    for (int e = 0; e < OPE_ESTIMATORS; e++)
        out[e] = (struct ope_interval){NAN, NAN};
    if (rows->n == 0)
        return true;
    k.rows = calloc(k.blocks, sizeof *k.rows);
    k.sums = calloc(k.blocks * 2 * OPE_ESTIMATORS * SUMS, sizeof *k.sums);
    k.draw = calloc((size_t)OPE_ESTIMATORS * OPE_DRAWS, sizeof *k.draw);
    k.times = calloc(k.blocks, sizeof *k.times);
    bool ok = k.rows && k.sums && k.draw && k.times;
    if (ok) {
        gather(&k, rows, t, 0);
        if (b)
            gather(&k, b, tb, 1);
    }
    for (int i = 0; ok && i < OPE_DRAWS; i++)
        one_draw(&k, b != NULL, seed, i);
    for (int e = 0; ok && e < OPE_ESTIMATORS; e++)
        if (ope_applies(rows, (enum ope_estimator)e) &&
            (!b || ope_applies(b, (enum ope_estimator)e)))
            out[e] = percentiles(k.draw + e * OPE_DRAWS, alpha);
    free(k.rows);
    free(k.sums);
    free(k.draw);
    free(k.times);
    return ok;
}
