/* SPDX-License-Identifier: MIT */
/*
 * Every estimator is a mean of d_i plus the mean of u_i e_i: a direct term, a weight and what is
 * weighted. They differ in the function that makes u of w, in whether e is the label or the
 * residual, and in whether the second mean is divided by n or by the sum of u. So one loop serves
 * all, and the score of a self-normalised estimator is its linearisation.
 */
#include "bandit/ope/ope.h"

#include <math.h>
#include <stdlib.h>
#include "bandit/ope/ope_inside.h"
#include "bandit/rng.h"

enum { REPLAY_PURPOSE = 0x4f5045 };

static const struct kind {
    const char *name;
    bool model, residual, normalised;
} kinds[OPE_ESTIMATORS] = {
    [OPE_DM] = {"dm", true, false, false},
    [OPE_IPS] = {"ips", false, false, false},
    [OPE_CLIPPED] = {"clipped", false, false, false},
    [OPE_SNIPS] = {"snips", false, false, true},
    [OPE_SGIPS] = {"sg-ips", false, false, false},
    [OPE_MIPS] = {"mips", false, false, false},
    [OPE_REPLAY] = {"replay", false, false, true},
    [OPE_DR] = {"dr", true, true, false},
    [OPE_SNDR] = {"sndr", true, true, true},
    [OPE_SWITCH] = {"switch-dr", true, true, false},
    [OPE_DROS] = {"dros", true, true, false},
    [OPE_SGDR] = {"sg-dr", true, true, false},
};

const char *ope_name(enum ope_estimator e)
{
    return kinds[e].name;
}

bool ope_applies(const struct ope_log *rows, enum ope_estimator e)
{
    return rows->n > 0 && (!kinds[e].model || (rows->q_logged && rows->q_target)) &&
           (e != OPE_MIPS || rows->embed);
}

bool ope_normalised(enum ope_estimator e)
{
    return kinds[e].normalised;
}

static double shaped(const struct ope_log *rows, enum ope_estimator e, const struct ope_tuning *t,
                     size_t i)
{
    double w = rows->weight[i];
    switch (e) {
    case OPE_DM:
        return 0;
    case OPE_CLIPPED:
        return w < t->clip ? w : t->clip;
    case OPE_SGIPS:
    case OPE_SGDR:
        return w > 0 ? w / (1 - t->sg + t->sg * w) : 0;
    case OPE_MIPS:
        return rows->embed[i];
    case OPE_REPLAY: {
        struct rng r = rng_stream(t->seed, REPLAY_PURPOSE, i);
        return rng_uniform(&r) * t->reject < w ? 1 : 0;
    }
    case OPE_SWITCH:
        return w <= t->tau ? w : 0;
    case OPE_DROS:
        return t->dros * w / (w * w + t->dros);
    default:
        return w;
    }
}

static struct ope_parts with_weight(const struct ope_log *rows, enum ope_estimator e, size_t i,
                                    double weight)
{
    const struct kind *k = &kinds[e];
    return (struct ope_parts){.direct = k->model ? rows->q_target[i] : 0,
                              .weight = weight,
                              .rest = rows->label[i] - (k->residual ? rows->q_logged[i] : 0)};
}

struct ope_parts ope_parts(const struct ope_log *rows, enum ope_estimator e,
                           const struct ope_tuning *t, size_t i)
{
    return with_weight(rows, e, i, shaped(rows, e, t, i));
}

/* Variance of the mean of scores around it. The classical correction for one degree of freedom,
 * except where the score is a linearisation anyway. */
static double spread(const struct ope_log *rows, const double *psi, double mean, bool linearised)
{
    double n = (double)rows->n, sum = 0, units = (double)rows->n_clusters;
    if (!rows->cluster) {
        for (size_t i = 0; i < rows->n; i++)
            sum += (psi[i] - mean) * (psi[i] - mean);
        units = n;
    } else {
        double *unit = calloc(rows->n_clusters, sizeof *unit);
        if (!unit)
            return NAN;
        for (size_t i = 0; i < rows->n; i++)
            unit[rows->cluster[i]] += psi[i] - mean;
        for (size_t c = 0; c < rows->n_clusters; c++)
            sum += unit[c] * unit[c];
        free(unit);
    }
    double correction = linearised ? 1 : units / (units - 1); /* of a single unit: infinite */
    return correction * sum / (n * n);
}

/* Of sums over units of u: how many units of equal weight would make as good an estimate of a
 * variance, (sum u^2)^2 / sum u^4. For a variance is a sum of squares, and this is Satterthwaite's
 * count of its degrees of freedom when what is weighted is alike everywhere. */
static double even_units(const struct ope_log *rows, const double *shaped_weight)
{
    double squares = 0, fourth = 0, *unit = NULL;
    if (rows->cluster && !(unit = calloc(rows->n_clusters, sizeof *unit)))
        return NAN;
    for (size_t i = 0; i < rows->n; i++) {
        double u = shaped_weight[i];
        if (unit)
            unit[rows->cluster[i]] += u;
        squares += unit ? 0 : u * u;
        fourth += unit ? 0 : u * u * u * u;
    }
    for (size_t c = 0; unit && c < rows->n_clusters; c++) {
        squares += unit[c] * unit[c];
        fourth += unit[c] * unit[c] * unit[c] * unit[c];
    }
    free(unit);
    return squares > 0 ? squares * squares / fourth : (double)INFINITY;
}

/* Degrees of freedom of an estimate's variance: the direct terms have those of the units, what is
 * weighted has fewer; joined by their shares of the variance (Satterthwaite 1946). ratio: what the
 * weighted terms are taken from, 0 unless self-normalised. */
static double freedom(const struct ope_log *rows, enum ope_estimator e, const double *shaped_weight,
                      double direct, double ratio)
{
    double of_direct = 0, of_weighted = 0, mean = direct / (double)rows->n;
    double all = (double)(rows->cluster ? rows->n_clusters : rows->n) - 1;
    for (size_t i = 0; i < rows->n; i++) {
        struct ope_parts p = with_weight(rows, e, i, shaped_weight[i]);
        double x = p.weight * (p.rest - ratio);
        of_direct += (p.direct - mean) * (p.direct - mean);
        of_weighted += x * x;
    }
    if (!(of_weighted > 0) || !(all >= 1))
        return all;
    double share = of_weighted / (of_direct + of_weighted);
    double few = fmin(all, even_units(rows, shaped_weight));
    return 1 / ((1 - share) * (1 - share) / all + share * share / few);
}

struct ope_estimate ope_estimate(const struct ope_log *rows, enum ope_estimator e,
                                 const struct ope_tuning *t, double *psi)
{
    struct ope_estimate out = {NAN, NAN, 0, false};
    double *room = psi ? psi : malloc((rows->n ? rows->n : 1) * sizeof *room);
    double *u = malloc((rows->n ? rows->n : 1) * sizeof *u); /* made once, asked for three times */
    double direct = 0, weighted = 0, weights = 0, n = (double)rows->n;
    if (!room || !u || !ope_applies(rows, e))
        goto out;
    for (size_t i = 0; i < rows->n; i++) {
        struct ope_parts p = ope_parts(rows, e, t, i);
        direct += p.direct;
        weights += p.weight;
        weighted += p.weight * p.rest;
        room[i] = p.direct + p.weight * p.rest;
        u[i] = p.weight;
    }
    out.valid = !kinds[e].normalised || weights > 0;
    if (!out.valid)
        goto out;
    out.value = direct / n + (kinds[e].normalised ? weighted / weights : weighted / n);
    for (size_t i = 0; kinds[e].normalised && i < rows->n; i++) {
        struct ope_parts p = with_weight(rows, e, i, u[i]);
        double ratio = weighted / weights;
        room[i] = p.direct + ratio + p.weight * (p.rest - ratio) * n / weights;
    }
    out.variance = spread(rows, room, out.value, kinds[e].normalised);
    out.freedom = freedom(rows, e, u, direct, kinds[e].normalised ? weighted / weights : 0);
out:
    free(u);
    if (!psi)
        free(room);
    return out;
}

struct ope_estimate ope_difference(const struct ope_log *rows, const struct ope_estimate *a,
                                   const double *psi_a, const struct ope_estimate *b,
                                   const double *psi_b)
{
    struct ope_estimate out = {b->value - a->value, NAN, fmin(a->freedom, b->freedom),
                               a->valid && b->valid};
    double *psi = malloc((rows->n ? rows->n : 1) * sizeof *psi);
    out.valid = out.valid && psi;
    for (size_t i = 0; out.valid && i < rows->n; i++)
        psi[i] = psi_b[i] - psi_a[i];
    if (out.valid)
        out.variance = spread(rows, psi, out.value, false);
    free(psi);
    return out;
}

/* ---- choice of tuning ---- */

/* An estimate of variance + bias^2 when the weights are shaped by e. */
static double risk(const struct ope_log *rows, enum ope_estimator e, const struct ope_tuning *t)
{
    static const double DELTA = 0.05;
    double n = (double)rows->n, sum = 0, squares = 0, cut = 0, square = 0, most = 0;
    for (size_t i = 0; i < rows->n; i++) {
        struct ope_parts p = ope_parts(rows, e, t, i);
        double x = p.direct + p.weight * p.rest, w = rows->weight[i];
        sum += x;
        squares += x * x;
        cut += (w - p.weight) * p.rest;
        square += w * w;
        most = w > most ? w : most;
    }
    double bias = fabs(cut) / n + sqrt(2 * square / n * log(2 / DELTA) / n) +
                  2 * most * log(2 / DELTA) / (3 * n);
    return (squares - sum * sum / n) / (n * n) + bias * bias;
}

static void choose(const struct ope_log *rows, enum ope_estimator e, struct ope_tuning *t,
                   double *field, const double *grid, size_t n_grid)
{
    double best = INFINITY, chosen = *field;
    for (size_t k = 0; k < n_grid && ope_applies(rows, e); k++) {
        *field = grid[k];
        double r = risk(rows, e, t);
        if (r < best) {
            best = r;
            chosen = grid[k];
        }
    }
    *field = chosen;
}

struct ope_tuning ope_tune(const struct ope_log *rows, uint64_t seed)
{
    static const double cut[] = {1, 2, 5, 10, 20, 50, 100, 1000, 1e5, 1e10};
    static const double mild[] = {0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
    enum { CUTS = sizeof cut / sizeof *cut, MILDS = sizeof mild / sizeof *mild };
    struct ope_tuning t = {.clip = 10, .tau = 10, .dros = 100, .sg = 0.01, .seed = seed};
    for (size_t i = 0; i < rows->n; i++)
        t.reject = rows->weight[i] > t.reject ? rows->weight[i] : t.reject;
    choose(rows, OPE_CLIPPED, &t, &t.clip, cut, CUTS);
    choose(rows, OPE_SWITCH, &t, &t.tau, cut, CUTS);
    choose(rows, OPE_DROS, &t, &t.dros, cut, CUTS);
    choose(rows, kinds[OPE_DR].model && rows->q_logged ? OPE_SGDR : OPE_SGIPS, &t, &t.sg, mild,
           MILDS);
    return t;
}

/* ---- health ---- */

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Hill's estimate over the greatest hundredth of the weights. */
static double tail_index(const struct ope_log *rows, double max_weight)
{
    size_t k = rows->n / 100;
    double *w = k >= 10 && max_weight > 0 ? malloc(rows->n * sizeof *w) : NULL, sum = 0;
    if (!w)
        return 0;
    for (size_t i = 0; i < rows->n; i++)
        w[i] = rows->weight[i];
    qsort(w, rows->n, sizeof *w, descending);
    for (size_t i = 0; i < k && w[k] > 0; i++)
        sum += log1p((w[i] - w[k]) / w[k]);
    free(w);
    return sum > 0 ? (double)k / sum : 0;
}

struct ope_health ope_health(const struct ope_log *rows)
{
    struct ope_health h = {.n = (double)rows->n};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < rows->n; i++) {
        double w = rows->weight[i];
        sum += w;
        squares += w * w;
        h.max_weight = w > h.max_weight ? w : h.max_weight;
        h.no_overlap += w > 0 ? 0 : 1;
    }
    if (rows->n == 0)
        return h;
    h.ess = squares > 0 ? sum * sum / squares : 0;
    h.max_share = sum > 0 ? h.max_weight / sum : 0;
    h.mean_weight = sum / h.n;
    h.mean_se = sqrt(spread(rows, rows->weight, h.mean_weight, false));
    double off = h.mean_weight - 1;
    h.mean_z = fabs(off) <= 1e-9 ? 0 : off / h.mean_se;
    h.no_overlap /= h.n;
    h.tail = tail_index(rows, h.max_weight);
    return h;
}

bool ope_claims(enum ope_estimator e, const struct ope_health *h)
{
    /* The least effective rows and their least share. Residuals have two tails and sums of w r one;
     * dividing by the sum of weights has a bias of the order of one over the effective rows. */
    static const struct {
        double rows, share;
    } least[OPE_ESTIMATORS] = {[OPE_IPS] = {200, 0.25},
                               [OPE_SNIPS] = {200, 0.05},
                               [OPE_DR] = {50, 0.05},
                               [OPE_SNDR] = {200, 0.05}};
    const double FAR = 3; /* standard errors of the mean weight: something is not supported */
    return least[e].rows > 0 && fabs(h->mean_z) <= FAR && h->ess >= least[e].rows &&
           h->ess >= least[e].share * h->n;
}
