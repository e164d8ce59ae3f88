/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_RIDGE_PACKED_H
#define PURSER_BANDIT_RIDGE_PACKED_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Linear algebra on packed symmetric matrices: lower triangle by columns, column j holding rows
 * j..d-1 at offset j*d - j*(j-1)/2. All kernels run down columns, each element in a fixed order,
 * which the compiler may vectorise without changing a bit. The diagonal of a factor holds 1/L_jj,
 * because that is what the solves multiply by. Private to bandit.
 */
static inline size_t packed_len(int d)
{
    return (size_t)d * ((size_t)d + 1) / 2;
}

/* Column j of a packed triangle; its first element is the diagonal one. */
static inline size_t packed_column(int d, int j)
{
    size_t c = (size_t)j;
    return c * (size_t)d - c * (c - 1) / 2;
}

static inline bool packed_is_diagonal(const double *a, int d)
{
    for (int j = 0; j < d; a += d - j, j++)
        for (int i = 1; i < d - j; i++)
            if (a[i] != 0)
                return false;
    return true;
}

/* ---- kernels ---- */

/* Sum of a_i b_i in four interleaved parts: a fixed order with less latency than one chain. */
static inline double dot(const double *restrict a, const double *restrict b, int n)
{
    double part[4] = {0, 0, 0, 0};
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        part[0] += a[i] * b[i];
        part[1] += a[i + 1] * b[i + 1];
        part[2] += a[i + 2] * b[i + 2];
        part[3] += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++)
        part[0] += a[i] * b[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* y += a x */
static inline void add_scaled(double *restrict y, double a, const double *restrict x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] += a * x[i];
}

enum { PACKED_SPARE = 8 }; /* doubles behind a vector that kernels may read or write */

/* S += w row row'. The products are written first, whole vectors that run on into the next column,
 * which then takes their place: added in place they would have each column wait for the one before
 * it. room: packed_len(d) + PACKED_SPARE doubles; behind row there are PACKED_SPARE zeros. */
static inline void packed_add_square(double *restrict s, int d, const double *restrict row,
                                     double w, double *restrict room)
{
    double *column = room;
    size_t n = packed_len(d);
    for (int j = 0; j < d; column += d - j, j++) {
        double a = w * row[j];
        for (int i = 0; i < d - j; i += 8)
            for (int k = i; k < i + 8; k++)
                column[k] = a * row[j + k];
    }
    for (size_t i = 0; i < n; i++)
        s[i] += room[i];
}

/* Four columns at a time, in order: the same bits as four calls of add_scaled with -a, with a
 * quarter of the loads and stores of y. */
static inline void subtract_four(double *restrict y, const double a[4], const double *const x[4],
                                 int n)
{
    const double *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2], *restrict x3 = x[3];
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int i = 0; i < n; i++) {
        double v = y[i] - a0 * x0[i];
        v -= a1 * x1[i];
        v -= a2 * x2[i];
        y[i] = v - a3 * x3[i];
    }
}

/* The same over n rounded up to eights; what lies behind y is written to. */
static inline void subtract_four_eights(double *restrict y, const double a[4],
                                        const double *const x[4], int n)
{
    const double *restrict x0 = x[0], *restrict x1 = x[1], *restrict x2 = x[2], *restrict x3 = x[3];
    double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int i = 0; i < n; i += 8)
        for (int k = i; k < i + 8; k++) {
            double v = y[k] - a0 * x0[k];
            v -= a1 * x1[k];
            v -= a2 * x2[k];
            y[k] = v - a3 * x3[k];
        }
}

/* Left-looking Cholesky in place (Golub and Van Loan 4.2.4, column version). False on a pivot that
 * is not above limit. */
static inline bool packed_factor(double *a, int d, double limit)
{
    for (int k = 0; k < d; k++) {
        double *target = a + packed_column(d, k);
        int n = d - k;
        int j = 0;
        for (; j + 4 <= k; j += 4) {
            const double *x[4];
            double c[4];
            for (int m = 0; m < 4; m++) {
                x[m] = a + packed_column(d, j + m) + (k - j - m);
                c[m] = x[m][0];
            }
            subtract_four(target, c, x, n);
        }
        for (; j < k; j++) {
            const double *x = a + packed_column(d, j) + (k - j);
            add_scaled(target, -x[0], x, n);
        }
        if (!(target[0] > limit) || !isfinite(target[0]))
            return false;
        double inverse = 1.0 / sqrt(target[0]);
        target[0] = inverse;
        for (int i = 1; i < n; i++)
            target[i] *= inverse;
    }
    return true;
}

/* Rows j..j+3 of z := L^-1 z, those before them done; c: columns j..j+3. */
static inline void solve_four(const double *const c[4], double *z, double v[4])
{
    v[0] = z[0] * c[0][0];
    v[1] = (z[1] - v[0] * c[0][1]) * c[1][0];
    v[2] = (z[2] - v[0] * c[0][2] - v[1] * c[1][1]) * c[2][0];
    v[3] = (z[3] - v[0] * c[0][3] - v[1] * c[1][2] - v[2] * c[2][1]) * c[3][0];
    memcpy(z, v, 4 * sizeof *v);
}

/* z := L^-1 z for rows and columns from first on; z points at row first. spare: behind z there is
 * room for PACKED_SPARE doubles, and behind L memory that may be read. */
static inline void packed_solve_rows(const double *l, int d, int first, double *restrict z,
                                     bool spare)
{
    int j = first;
    double *at = z;
    for (; j + 4 <= d; j += 4, at += 4) {
        const double *const c[4] = {l + packed_column(d, j), l + packed_column(d, j + 1),
                                    l + packed_column(d, j + 2), l + packed_column(d, j + 3)};
        double v[4];
        solve_four(c, at, v);
        const double *const x[4] = {c[0] + 4, c[1] + 3, c[2] + 2, c[3] + 1};
        if (spare)
            subtract_four_eights(at + 4, v, x, d - j - 4);
        else
            subtract_four(at + 4, v, x, d - j - 4);
    }
    for (; j < d; j++, at++) {
        const double *c = l + packed_column(d, j);
        at[0] *= c[0];
        add_scaled(at + 1, -at[0], c + 1, d - j - 1);
    }
}

static inline void packed_solve_lower_from(const double *l, int d, int first, double *restrict z)
{
    packed_solve_rows(l, d, first, z, false);
}

/* z := A^-1 z with A = L L'. */
static inline void packed_solve(const double *l, int d, double *z)
{
    packed_solve_lower_from(l, d, 0, z);
    for (int j = d - 1; j >= 0; j--) {
        const double *c = l + packed_column(d, j);
        z[j] = (z[j] - dot(c + 1, z + j + 1, d - j - 1)) * c[0];
    }
}

/* out := S z for a packed symmetric S. */
static inline void packed_multiply(const double *s, int d, const double *z, double *out)
{
    for (int i = 0; i < d; i++)
        out[i] = 0;
    for (int j = 0; j < d; j++) {
        const double *c = s + packed_column(d, j);
        out[j] += dot(c, z + j, d - j);
        add_scaled(out + j + 1, z[j], c + 1, d - j - 1);
    }
}

#endif
