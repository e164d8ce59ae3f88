/* SPDX-License-Identifier: MIT */
/*
 * exp and log without libm. Arguments are split exactly (x = k + f, or x = k ln2 + r with ln2 in
 * two parts after Cody and Waite 1980), the small rest goes through a Taylor polynomial long enough
 * to leave truncation under half an ulp, and 2^k is assembled from bits. Nothing here rounds
 * differently on another machine as long as the compiler contracts nothing (-ffp-contract=off).
 * Tables or minimax polynomials would be faster; these run once per labelled row.
 */
#include "bandit/repro.h"

#include "bandit/ridge/clones.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const double ln2 = 0x1.62e42fefa39efp-1;
static const double ln2_hi = 0x1.62e42feep-1;       /* 32 bits: k * ln2_hi is exact */
static const double ln2_lo = 0x1.a39ef35793c76p-33; /* ln2 - ln2_hi */
static const double log2e = 0x1.71547652b82fep+0;   /* 1 / ln2 */
static const double smallest_normal = 0x1p-1022;
static const double saturated = 0x1p1023;

/* 2^k for k in [-1022, 1023]. */
static double power_of_two(int k)
{
    uint64_t bits = (uint64_t)(k + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nearest integer of a number well inside the range of int. */
static int nearest(double x)
{
    return (int)(x < 0 ? x - 0.5 : x + 0.5);
}

/* e^r for |r| <= 0.35: Taylor to r^13/13!, the next term is below 5e-18. */
static double exp_small(double r)
{
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    return p * r + 1.0;
}

double repro_exp2(double x)
{
    if (!(x >= -1022.0))
        return 0.0;
    if (x >= 1023.0)
        return saturated;
    int k = nearest(x);
    return exp_small((x - k) * ln2) * power_of_two(k);
}

double repro_exp(double x)
{
    double t = x * log2e;
    if (!(t >= -1022.0))
        return 0.0;
    if (t >= 1023.0)
        return saturated;
    int k = nearest(t);
    return exp_small((x - k * ln2_hi) - k * ln2_lo) * power_of_two(k);
}

WIDE_CLONES static void exp_small_each(double r[REPRO_MOST])
{
    for (int i = 0; i < REPRO_MOST; i++)
        r[i] = exp_small(r[i]);
}

void repro_exps(double *v, int natural, int n)
{
    double r[REPRO_MOST] = {0}, scale[REPRO_MOST];
    assert(n <= REPRO_MOST);
    for (int i = 0; i < n; i++) {
        bool base_e = i < natural;
        double t = base_e ? v[i] * log2e : v[i];
        bool inside = t >= -1022.0 && t < 1023.0; /* outside r stays 0, and e^0 is 1 */
        scale[i] = t >= 1023.0 ? saturated : 0;
        if (!inside)
            continue;
        int k = nearest(t);
        r[i] = base_e ? (v[i] - k * ln2_hi) - k * ln2_lo : (v[i] - k) * ln2;
        scale[i] = power_of_two(k);
    }
    exp_small_each(r);
    for (int i = 0; i < n; i++)
        v[i] = r[i] * scale[i];
}

/* x = m * 2^k with m in [sqrt(1/2), sqrt(2)); gives m. */
static double split(double x, int *k)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    *k = (int)(bits >> 52) - 1023;
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m >= 0x1.6a09e667f3bcdp+0) { /* sqrt(2) */
        m *= 0.5;
        ++*k;
    }
    return m;
}

/* ln(m) = 2 atanh((m-1)/(m+1)), whose series in s^2 <= 0.0295 is cut after s^23/23 (the next term
 * is below 1e-19). */
static inline double log_mantissa(double m)
{
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double p = 1.0 / 23.0;
    for (int n = 21; n >= 3; n -= 2)
        p = p * z + 1.0 / n;
    return 2.0 * s * (p * z) + 2.0 * s;
}

double repro_log2(double x)
{
    if (!(x >= smallest_normal))
        return -1022.0;
    int k;
    double rest = log_mantissa(split(x, &k));
    return k + rest * log2e;
}

static double log_whole(int k, double rest)
{
    return k * ln2_hi + (k * ln2_lo + rest);
}

double repro_log(double x)
{
    int k;
    double rest = log_mantissa(split(x >= smallest_normal ? x : smallest_normal, &k));
    return log_whole(k, rest);
}

WIDE_CLONES static void log_each(double m[REPRO_MOST])
{
    for (int i = 0; i < REPRO_MOST; i++)
        m[i] = log_mantissa(m[i]);
}

void repro_logs(double *v, int n)
{
    double m[REPRO_MOST] = {1, 1, 1, 1, 1, 1, 1, 1};
    int k[REPRO_MOST];
    assert(n <= REPRO_MOST);
    for (int i = 0; i < n; i++)
        m[i] = split(v[i] >= smallest_normal ? v[i] : smallest_normal, &k[i]);
    log_each(m);
    for (int i = 0; i < n; i++)
        v[i] = log_whole(k[i], m[i]);
}
