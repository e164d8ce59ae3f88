/* SPDX-License-Identifier: MIT */
/*
 * Principal directions of a large sparse matrix: randomised SVD with power iterations (Halko,
 * Martinsson, Tropp 2011, algorithms 4.4 and 5.1). The matrix is centred without being filled:
 * (A - 1 mu') W = A W - 1 (mu' W). Only the last step, an SVD of m x (k + a few), is GSL's.
 * Considered and not done: Lanczos, which needs reorthogonalisation for the same directions.
 */
#include "sim/lens/lens_svd.h"

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

enum { OVERSAMPLE = 10, POWER_ROUNDS = 4, KMEANS_ROUNDS = 40 };

/* ---- the matrix ---- */

bool sparse_init(struct sparse *a, int m)
{
    *a = (struct sparse){.m = m, .row_cap = 1024};
    a->start = calloc(a->row_cap + 1, sizeof *a->start);
    return a->start != NULL;
}

void sparse_free(struct sparse *a)
{
    free(a->start);
    free(a->column);
    free(a->value);
    *a = (struct sparse){0};
}

static bool sparse_room(struct sparse *a, size_t more)
{
    if (a->n == a->row_cap) {
        size_t *start = reallocarray(a->start, 2 * a->row_cap + 1, sizeof *start);
        if (!start)
            return false;
        a->start = start;
        a->row_cap *= 2;
    }
    if (a->start[a->n] + more <= a->cap)
        return true;
    size_t cap = 2 * a->cap > a->start[a->n] + more ? 2 * a->cap : a->start[a->n] + more + 65536;
    uint16_t *column = reallocarray(a->column, cap, sizeof *column);
    if (column)
        a->column = column;
    float *value = reallocarray(a->value, cap, sizeof *value);
    if (value)
        a->value = value;
    if (!column || !value)
        return false;
    a->cap = cap;
    return true;
}

bool sparse_add(struct sparse *a, const float *row)
{
    if (!sparse_room(a, (size_t)a->m))
        return false;
    size_t at = a->start[a->n];
    for (int j = 0; j < a->m; j++) {
        if (fpclassify(row[j]) == FP_ZERO)
            continue;
        a->column[at] = (uint16_t)j;
        a->value[at++] = row[j];
    }
    a->start[++a->n] = at;
    return true;
}

/* ---- products; w is [m][l], y is [n][l] ---- */

static void multiply(const struct sparse *a, const double *mean, const double *w, int l, double *y)
{
    double shift[256] = {0};
    for (int j = 0; j < a->m; j++)
        for (int c = 0; c < l; c++)
            shift[c] += mean[j] * w[(size_t)j * (size_t)l + (size_t)c];
    for (size_t i = 0; i < a->n; i++) {
        double *restrict out = y + i * (size_t)l;
        for (int c = 0; c < l; c++)
            out[c] = -shift[c];
        for (size_t e = a->start[i]; e < a->start[i + 1]; e++) {
            const double *restrict in = w + (size_t)a->column[e] * (size_t)l;
            double v = (double)a->value[e];
            for (int c = 0; c < l; c++)
                out[c] += v * in[c];
        }
    }
}

static void multiply_transposed(const struct sparse *a, const double *mean, const double *y, int l,
                                double *w)
{
    double sum[256] = {0};
    memset(w, 0, (size_t)a->m * (size_t)l * sizeof *w);
    for (size_t i = 0; i < a->n; i++) {
        const double *restrict in = y + i * (size_t)l;
        for (int c = 0; c < l; c++)
            sum[c] += in[c];
        for (size_t e = a->start[i]; e < a->start[i + 1]; e++) {
            double *restrict out = w + (size_t)a->column[e] * (size_t)l;
            double v = (double)a->value[e];
            for (int c = 0; c < l; c++)
                out[c] += v * in[c];
        }
    }
    for (int j = 0; j < a->m; j++)
        for (int c = 0; c < l; c++)
            w[(size_t)j * (size_t)l + (size_t)c] -= mean[j] * sum[c];
}

/* Orthonormal columns by Gram and Schmidt, done twice (Giraud et al. 2005: twice is enough).
 * Columns that depend on earlier ones become zeros. */
static void orthonormalise(double *y, size_t n, int l)
{
    for (int c = 0; c < l; c++) {
        double before = 0, after = 0;
        for (size_t i = 0; i < n; i++)
            before += y[i * (size_t)l + (size_t)c] * y[i * (size_t)l + (size_t)c];
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < c; k++) {
                double dot = 0;
                for (size_t i = 0; i < n; i++)
                    dot += y[i * (size_t)l + (size_t)k] * y[i * (size_t)l + (size_t)c];
                for (size_t i = 0; i < n; i++)
                    y[i * (size_t)l + (size_t)c] -= dot * y[i * (size_t)l + (size_t)k];
            }
        for (size_t i = 0; i < n; i++)
            after += y[i * (size_t)l + (size_t)c] * y[i * (size_t)l + (size_t)c];
        double unit = after > 1e-24 * before && after > 0 ? 1 / sqrt(after) : 0;
        for (size_t i = 0; i < n; i++)
            y[i * (size_t)l + (size_t)c] *= unit;
    }
}

static void column_means(const struct sparse *a, double *mean)
{
    memset(mean, 0, (size_t)a->m * sizeof *mean);
    for (size_t e = 0; e < a->start[a->n]; e++)
        mean[a->column[e]] += (double)a->value[e] / (double)a->n;
}

/* The SVD of b' (m x l) gives right vectors and values of the whole. */
static bool decompose(double *bt, int m, int l, int k, double *s, double *v)
{
    gsl_matrix_view b = gsl_matrix_view_array(bt, (size_t)m, (size_t)l);
    gsl_matrix *right = gsl_matrix_alloc((size_t)l, (size_t)l);
    gsl_vector *values = gsl_vector_alloc((size_t)l);
    bool ok = right && values && gsl_linalg_SV_decomp_jacobi(&b.matrix, right, values) == 0;
    memset(v, 0, (size_t)m * (size_t)k * sizeof *v);
    for (int c = 0; ok && c < k; c++) {
        s[c] = c < l ? gsl_vector_get(values, (size_t)c) : 0;
        double most = 0;
        for (int j = 0; j < m && c < l; j++) {
            double x = bt[(size_t)j * (size_t)l + (size_t)c];
            most = fabs(x) > fabs(most) ? x : most;
        }
        for (int j = 0; j < m && c < l; j++)
            v[(size_t)j * (size_t)k + (size_t)c] =
                (most < 0 ? -1 : 1) * bt[(size_t)j * (size_t)l + (size_t)c];
    }
    gsl_matrix_free(right);
    gsl_vector_free(values);
    return ok;
}

bool svd_principal(const struct sparse *a, int k, uint64_t seed, double *s, double *v, double *mean)
{
    int l = k + OVERSAMPLE < a->m ? k + OVERSAMPLE : a->m;
    double *w = malloc((size_t)a->m * (size_t)l * sizeof *w);
    double *y = malloc((a->n + 1) * (size_t)l * sizeof *y);
    bool ok = w != NULL && y != NULL && l <= 256;
    struct rng g = rng_stream(seed, 31, 0);
    for (size_t i = 0; ok && i < (size_t)a->m * (size_t)l; i++)
        w[i] = rng_normal(&g);
    if (ok)
        column_means(a, mean);
    for (int round = 0; ok && round <= POWER_ROUNDS; round++) {
        multiply(a, mean, w, l, y);
        orthonormalise(y, a->n, l);
        multiply_transposed(a, mean, y, l, w);
        if (round < POWER_ROUNDS)
            orthonormalise(w, (size_t)a->m, l);
    }
    ok = ok && decompose(w, a->m, l, k, s, v);
    free(w);
    free(y);
    return ok;
}

/* ---- clusters ---- */

static double cosine(const float *a, const float *b, int d)
{
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static bool is_zero(const float *x, int d)
{
    return !(cosine(x, x, d) > 0);
}

/* Each next centre is a row drawn in proportion to how far it is from those there are. */
static void seed_centres(const float *x, size_t n, int d, int k, uint64_t seed, float *centre)
{
    struct rng g = rng_stream(seed, 32, 0);
    for (int c = 0; c < k; c++) {
        double total = 0, at = 0;
        size_t chosen = 0;
        for (int pass = 0; pass < 2; pass++) {
            double u = pass == 1 ? rng_uniform(&g) * total : 0;
            for (size_t i = 0; i < n; i++) {
                double nearest = -1;
                for (int j = 0; j < c; j++)
                    nearest = fmax(nearest, cosine(x + i * (size_t)d, centre + j * d, d));
                double far = is_zero(x + i * (size_t)d, d) ? 0 : fmax(1 - nearest, 0);
                if (pass == 0) {
                    total += far;
                    continue;
                }
                at += far;
                if (far > 0)
                    chosen = i;
                if (at > u)
                    break;
            }
        }
        if (n > 0)
            memcpy(centre + c * d, x + chosen * (size_t)d, (size_t)d * sizeof *centre);
    }
}

static int nearest_centre(const float *x, const float *centre, int d, int k, double *how)
{
    int best = 0;
    *how = -2;
    for (int c = 0; c < k; c++) {
        double s = cosine(x, centre + c * d, d);
        if (s > *how) {
            *how = s;
            best = c;
        }
    }
    return best;
}

double kmeans_unit(const float *x, size_t n, int d, int k, uint64_t seed, float *centre)
{
    double sum[64 * 64], score = 0;
    memset(centre, 0, (size_t)k * (size_t)d * sizeof *centre);
    if (k * d > (int)(sizeof sum / sizeof *sum))
        return 0;
    seed_centres(x, n, d, k, seed, centre);
    for (int round = 0; round < KMEANS_ROUNDS; round++) {
        size_t rows = 0;
        memset(sum, 0, sizeof sum);
        score = 0;
        for (size_t i = 0; i < n; i++) {
            double how;
            if (is_zero(x + i * (size_t)d, d))
                continue;
            int c = nearest_centre(x + i * (size_t)d, centre, d, k, &how);
            for (int j = 0; j < d; j++)
                sum[c * d + j] += (double)x[i * (size_t)d + (size_t)j];
            score += how;
            rows++;
        }
        score = rows ? score / (double)rows : 0;
        for (int c = 0; c < k; c++) {
            double norm = 0;
            for (int j = 0; j < d; j++)
                norm += sum[c * d + j] * sum[c * d + j];
            for (int j = 0; j < d && norm > 0; j++)
                centre[c * d + j] = (float)(sum[c * d + j] / sqrt(norm));
        }
    }
    return score;
}
