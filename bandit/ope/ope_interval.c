/* SPDX-License-Identifier: MIT */
/* Intervals that come from sums over the log; resampling is in ope_bootstrap.c. */
#include "bandit/ope/ope.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include "bandit/ope/anytime.h"

struct ope_interval ope_student(const struct ope_estimate *e, double alpha)
{
    if (!e->valid || !(e->freedom >= 1))
        return (struct ope_interval){-INFINITY, INFINITY};
    double width = gsl_cdf_tdist_Qinv(alpha / 2, e->freedom) * sqrt(e->variance);
    return (struct ope_interval){e->value - width, e->value + width};
}

/* Labels as they are, or from 0 to 1. */
static double unit_label(const struct ope_bounds *b, double label)
{
    double u = (label - b->label_low) / (b->label_high - b->label_low);
    return u < 0 ? 0 : u > 1 ? 1 : u;
}

static struct ope_interval in_labels(const struct ope_bounds *b, double low, double high)
{
    double width = b->label_high - b->label_low;
    return (struct ope_interval){b->label_low + width * fmax(low, 0),
                                 b->label_low + width * fmin(high, 1)};
}

struct ope_interval ope_clopper_pearson(const struct ope_log *rows, const struct ope_bounds *b,
                                        double alpha)
{
    double low = 0, high = 1, sum = 0, n = (double)rows->n / b->weight_high;
    if (!isfinite(b->weight_high) || rows->n == 0)
        return in_labels(b, low, high);
    for (size_t i = 0; i < rows->n; i++)
        sum += rows->weight[i] * unit_label(b, rows->label[i]) / b->weight_high;
    sum = fmin(sum, n);
    if (sum > 0)
        low = gsl_cdf_beta_Pinv(alpha / 2, sum, n - sum + 1);
    if (sum < n)
        high = gsl_cdf_beta_Qinv(alpha / 2, sum + 1, n - sum);
    /* successes are out of n / weight_high trials, so their rate is that of w r */
    return in_labels(b, low, high);
}

/* ---- Cressie-Read ---- */

struct moments { /* sums over rows, labels in [0,1] */
    double n, w, ww, wr, wwr, wwrr;
};

static struct moments moments_of(const struct ope_log *rows, const struct ope_bounds *b, bool flip)
{
    struct moments m = {.n = (double)rows->n};
    for (size_t i = 0; i < rows->n; i++) {
        double w = rows->weight[i], r = unit_label(b, rows->label[i]), wr = w * (flip ? 1 - r : r);
        m.w += w;
        m.ww += w * w;
        m.wr += wr;
        m.wwr += w * wr;
        m.wwrr += wr * wr;
    }
    return m;
}

/* The least sum of squared tilts (1 = none, to the mean) that makes the mean weight 1 when a row
 * with weight w is added. */
static double least_tilt(const struct moments *m, double w)
{
    double n = m->n + 1, mean = (m->w + w) / n, variance = (m->ww + w * w) / n - mean * mean;
    return variance > 0 ? n * (1 - mean) * (1 - mean) / variance : 0;
}

/* The least mean of w r over all tilts within the budget, an unseen row with label 0 and weight w
 * added: projections in the space of tilts, whose squares may sum to budget. */
static double least_value(const struct moments *m, double w, double budget)
{
    if (!isfinite(w)) { /* the unseen row keeps the rest of the weight at vanishing mass */
        double mean = m->wr / m->n, variance = m->wwrr / m->n - mean * mean;
        double left = budget - 1 - 1 / m->n;
        return left >= 0 ? mean - sqrt(left * variance * m->n) / (m->n + 1) : (double)INFINITY;
    }
    double n = m->n + 1, w1 = (m->w + w) / n, z1 = m->wr / n;
    double variance = (m->ww + w * w) / n - w1 * w1;
    if (!(variance > 0))
        return z1;
    double covariance = m->wwr / n - w1 * z1;
    double rest = m->wwrr / n - z1 * z1 - covariance * covariance / variance;
    double left = budget / n - (1 - w1) * (1 - w1) / variance;
    if (left < 0)
        return INFINITY;
    return z1 + (1 - w1) * covariance / variance - sqrt(fmax(rest, 0) * left);
}

static double cressie_read_low(const struct ope_log *rows, const struct ope_bounds *b, bool flip,
                               double alpha)
{
    struct moments m = moments_of(rows, b, flip);
    double unseen = m.w < m.n ? b->weight_high : b->weight_low;
    double budget = isfinite(unseen) ? least_tilt(&m, unseen) : 1 + 1 / m.n;
    /* the quantile of F(1, n), which GSL does not find for great n, as that of t squared */
    double t = gsl_cdf_tdist_Qinv(alpha / 2, m.n);
    budget += t * t;
    double low =
        fmin(least_value(&m, b->weight_low, budget), least_value(&m, b->weight_high, budget));
    return low < 1 ? fmax(low, 0) : 0;
}

struct ope_interval ope_cressie_read(const struct ope_log *rows, const struct ope_bounds *b,
                                     double alpha)
{
    if (rows->n == 0)
        return in_labels(b, 0, 1);
    return in_labels(b, cressie_read_low(rows, b, false, alpha),
                     1 - cressie_read_low(rows, b, true, alpha));
}

/* ---- empirical Bernstein ---- */

static double bernstein_low(const struct ope_log *rows, const struct ope_bounds *b, bool flip,
                            double alpha)
{
    struct moments m = moments_of(rows, b, flip);
    double mean = m.wr / m.n, variance = (m.wwrr - m.n * mean * mean) / (m.n - 1);
    return mean - sqrt(2 * fmax(variance, 0) * log(2 / alpha) / m.n) -
           7 * b->weight_high * log(2 / alpha) / (3 * (m.n - 1));
}

struct ope_interval ope_bernstein(const struct ope_log *rows, const struct ope_bounds *b,
                                  double alpha)
{
    if (rows->n < 2 || !isfinite(b->weight_high))
        return in_labels(b, 0, 1);
    return in_labels(b, bernstein_low(rows, b, false, alpha / 2),
                     1 - bernstein_low(rows, b, true, alpha / 2));
}

/* ---- at any time ---- */

struct ope_interval ope_anytime(const struct ope_log *rows, const struct ope_bounds *b,
                                double alpha)
{
    struct anytime low = {.scale = 1, .alpha = alpha / 2}, high = low;
    for (size_t i = 0; i < rows->n; i++) {
        double r = unit_label(b, rows->label[i]);
        anytime_add(&low, rows->weight[i] * r);
        anytime_add(&high, rows->weight[i] * (1 - r)); /* as the mean weight is 1 */
    }
    return in_labels(b, anytime_lower(&low), 1 - anytime_lower(&high));
}

struct ope_interval ope_anytime_difference(const struct ope_log *a, const struct ope_log *b,
                                           const struct ope_bounds *bounds, double a_high,
                                           double alpha)
{
    struct anytime low = {.floor = -a_high, .scale = a_high + 1, .alpha = alpha / 2}, high = low;
    double width = bounds->label_high - bounds->label_low;
    for (size_t i = 0; i < a->n; i++) {
        double r = unit_label(bounds, a->label[i]), w = b->weight[i] - a->weight[i];
        anytime_add(&low, w * r);
        anytime_add(&high, w * (1 - r));
    }
    return (struct ope_interval){width * fmax(anytime_lower(&low), -1),
                                 width * fmin(-anytime_lower(&high), 1)};
}
