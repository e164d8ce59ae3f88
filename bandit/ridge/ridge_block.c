/* SPDX-License-Identifier: MIT */
/*
 * What a ridge's rows amount to, as numbers that another ridge of the same features can take in,
 * and give back: sums add up, whoever saw the rows. Prior and snapshot stay where they are.
 */
#include "bandit/repro.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT, WEIGHT, WEIGHT2, SQUARES };
/* Rounding of a million sums, relative to the largest: less than this below zero is zero. */
static const double rounding = 1e-9;
static const double most = 1e30, rows_most = 0x1p53;

size_t ridge_block_len(int d)
{
    return RIDGE_BLOCK_HEAD + (size_t)d + packed_len(d);
}

void ridge_block(const struct ridge *r, int64_t now_ms, double *out)
{
    double s = ridge_scale(r, now_ms);
    out[COUNT] = (double)(r->count > 0 ? r->count : 0);
    out[WEIGHT] = s * r->w;
    out[WEIGHT2] = s * s * r->w2;
    out[SQUARES] = s * r->yy;
    for (int i = 0; i < r->d; i++)
        out[RIDGE_BLOCK_HEAD + i] = s * r->b[i];
    for (size_t i = 0; i < r->packed; i++)
        out[RIDGE_BLOCK_HEAD + (size_t)r->d + i] = s * r->s[i];
}

/* Whether the sums are those of rows: then the matrix of their products with each other and with
 * the labels has no negative direction. */
static bool of_rows(int d, const double *block, double *work)
{
    const double *b = block + RIDGE_BLOCK_HEAD, *s = b + d;
    double largest = block[SQUARES];
    for (int j = 0; j < d; j++)
        largest = fmax(largest, s[packed_column(d, j)]);
    if (!(largest > 0)) {
        for (size_t i = WEIGHT; i < ridge_block_len(d); i++)
            if (block[i] != 0)
                return false;
        return true;
    }
    for (int j = 0; j < d; j++) {
        double *column = work + packed_column(d + 1, j);
        memcpy(column, s + packed_column(d, j), (size_t)(d - j) * sizeof *column);
        column[0] += rounding * largest;
        column[d - j] = b[j];
    }
    work[packed_column(d + 1, d)] = block[SQUARES] + rounding * largest;
    return packed_factor(work, d + 1, 0);
}

bool ridge_block_fits(int d, const double *block)
{
    for (size_t i = 0; i < ridge_block_len(d); i++)
        if (!(fabs(block[i]) <= most))
            return false;
    double count = block[COUNT];
    if (!(count >= 0) || count > rows_most || floor(count) != count || block[WEIGHT] < 0 ||
        block[WEIGHT2] < 0 || block[SQUARES] < 0)
        return false;
    double *work = malloc(packed_len(d + 1) * sizeof *work);
    bool ok = work && of_rows(d, block, work);
    free(work);
    return ok;
}

void ridge_block_add(struct ridge *r, const double *block, const struct block_time *t, double v)
{
    ridge_rebase_if_old(r, t->as_of_ms);
    double w = v * repro_exp2(forgetting_age(&r->forgets, t->as_of_ms, r->epoch_ms));
    for (int i = 0; i < FADES_MAX; i++)
        if (r->fade[i] > 0 && (double)t->added_ms < r->fade_ms[i])
            w *= r->fade[i];
    const double *b = block + RIDGE_BLOCK_HEAD, *s = b + r->d;
    for (size_t i = 0; i < r->packed; i++)
        r->s[i] += w * s[i];
    for (int i = 0; i < r->d; i++)
        r->b[i] += w * b[i];
    r->yy += w * block[SQUARES];
    r->w += w * block[WEIGHT];
    r->w2 += w * fabs(w) * block[WEIGHT2];
    r->count += ridge_block_rows(block, v);
    r->stale++;
    ridge_identify(r);
}

int64_t ridge_block_rows(const double *block, double v)
{
    int64_t rows = (int64_t)floor(fabs(v) * block[COUNT] + 0.5);
    return v < 0 ? -rows : rows;
}

void ridge_block_clear(struct ridge *r)
{
    memset(r->s, 0, r->packed * sizeof *r->s);
    memset(r->b, 0, (size_t)r->d * sizeof *r->b);
    r->yy = r->w = r->w2 = 0;
    r->count = 0;
    r->stale++;
}
