/* SPDX-License-Identifier: MIT */
/*
 * Empirical Bayes over arms. With y_a = X_a theta_a + e and theta_a ~ N(theta_0, Lambda^-1), all in
 * units of one noise variance common to the arms, integrating theta_a out leaves for theta_0 the
 * information (Woodbury; Lindley and Smith 1972, eq. 10-11) M_a = Lambda A^-1 S = Lambda - Lambda
 * A^-1 Lambda        A = S + Lambda h_a = Lambda A^-1 b so theta_0 = (Lambda_0 + sum M_a)^-1 sum
 * h_a. The second form of M_a is Lambda - V'V with V = L^-1 Lambda lower triangular: symmetric by
 * construction, half the work.
 *
 * The marginal likelihood of the labels, theta_0 and theta_a and the noise variance integrated out,
 * is -1/2 [sum log|A_a| - n log|Lambda| + log|Lambda_0 + sum M_a| - log|Lambda_0|] -1/2 (N + nu_0)
 * log(sum (yy_a - theta_a'b_a) + nu_0 sigma2_0) It lets the data choose the priors' scales. Taking
 * the arms' noise variances apart would weight quiet arms more; with few rows those estimates are
 * worse than the assumption.
 */
#include "bandit/pool.h"

#include <assert.h>
#include "bandit/repro.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"

static const double pivot_least = 1e-12;

struct pooling {
    const struct pool_prior *prior;
    double *m;     /* packed: Lambda_0 + sum M_a, then its factor */
    double *h;     /* d: sum h_a, then theta_0 */
    double *l;     /* packed: factor of A */
    double *v;     /* packed: V by columns */
    double *z, *b; /* d each */
    double log_det, fit, rows;
};

/* log det of A from its factor, whose diagonal holds 1/L_jj. */
static double log_det(const double *factor, int d)
{
    double sum = 0;
    for (int j = 0; j < d; j++)
        sum -= 2 * repro_log(factor[packed_column(d, j)]);
    return sum;
}

/* b and yy of the labels with the ridge's own level taken off; column 0 of S is sum w x_0 x. */
static void level_off(const struct ridge *r, double s, double level, double *b, double *yy)
{
    for (int i = 0; i < r->d; i++)
        b[i] = s * (r->b[i] - level * r->s[i]);
    *yy = s * (r->yy - 2 * level * r->b[0] + level * level * r->s[0]);
}

static bool pool_ridge(struct pooling *p, const struct ridge *r, double level, int64_t now_ms)
{
    int d = r->d;
    double s = ridge_scale(r, now_ms), yy;
    const double *lambda = p->prior->precision;
    if (!ridge_factor(r, lambda, s, p->l))
        return false;
    level_off(r, s, level, p->z, &yy);
    packed_solve(p->l, d, p->z);
    memset(p->v, 0, r->packed * sizeof *p->v);
    for (int j = 0; j < d; j++) {
        p->h[j] += lambda[j] * p->z[j];
        double *vj = p->v + packed_column(d, j);
        vj[0] = lambda[j];
        packed_solve_lower_from(p->l, d, j, vj);
    }
    for (int j = 0; j < d; j++) {
        double *mj = p->m + packed_column(d, j);
        const double *vj = p->v + packed_column(d, j);
        mj[0] += lambda[j];
        for (int i = j; i < d; i++)
            mj[i - j] -= dot(vj + (i - j), p->v + packed_column(d, i), d - i);
    }
    p->log_det += log_det(p->l, d);
    for (int j = 0; j < d; j++)
        p->log_det -= repro_log(lambda[j]);
    return true;
}

/* Adds yy - theta_a'b with theta_a = A^-1 (b + Lambda theta_0). */
static bool fit_ridge(struct pooling *p, const struct ridge *r, double level, int64_t now_ms)
{
    int d = r->d;
    double s = ridge_scale(r, now_ms), yy;
    if (!ridge_factor(r, p->prior->precision, s, p->l))
        return false;
    level_off(r, s, level, p->b, &yy);
    for (int i = 0; i < d; i++)
        p->z[i] = p->b[i] + p->prior->precision[i] * p->h[i];
    packed_solve(p->l, d, p->z);
    p->fit += yy - dot(p->z, p->b, d);
    p->rows += s * r->w;
    return true;
}

static bool pool_shared(struct pooling *p, int d)
{
    double most = 0;
    for (int j = 0; j < d; j++)
        most = p->m[packed_column(d, j)] > most ? p->m[packed_column(d, j)] : most;
    if (!packed_factor(p->m, d, pivot_least * most))
        return false;
    packed_solve(p->m, d, p->h);
    p->log_det += log_det(p->m, d);
    for (int j = 0; j < d; j++)
        p->log_det -= repro_log(p->prior->shared[j]);
    return true;
}

static bool run(struct pooling *p, struct ridge *const *ridges, int n, int64_t now_ms, bool fit)
{
    const double *level = p->prior->level;
    int d = ridges[0]->d;
    bool ok = true;
    for (int j = 0; j < d; j++)
        p->m[packed_column(d, j)] = p->prior->shared[j];
    for (int a = 0; a < n && ok; a++) {
        assert(ridges[a]->d == d);
        if (ridges[a]->count > 0)
            ok = pool_ridge(p, ridges[a], level ? level[a] : 0, now_ms);
    }
    ok = ok && pool_shared(p, d);
    for (int a = 0; a < n && ok && fit; a++)
        if (ridges[a]->count > 0)
            ok = fit_ridge(p, ridges[a], level ? level[a] : 0, now_ms);
    return ok;
}

size_t ridge_pool_room(int d)
{
    return 3 * packed_len(d) + 3 * (size_t)d;
}

bool ridge_pool(struct ridge *const *ridges, int n, const struct pool_prior *prior, int64_t now_ms,
                double *room, double *mean, double *evidence)
{
    if (n <= 0)
        return false;
    size_t packed = ridges[0]->packed, d = (size_t)ridges[0]->d;
    memset(room, 0, ridge_pool_room(ridges[0]->d) * sizeof *room);
    struct pooling p = {.prior = prior,
                        .m = room,
                        .l = room + packed,
                        .v = room + 2 * packed,
                        .h = room + 3 * packed,
                        .z = room + 3 * packed + d,
                        .b = room + 3 * packed + 2 * d};
    bool ok = run(&p, ridges, n, now_ms, evidence != NULL);
    double spread = p.fit + prior->nu_0 * prior->sigma2_0;
    ok = ok && (!evidence || spread > 0);
    if (ok)
        memcpy(mean, p.h, d * sizeof *mean);
    if (ok && evidence)
        *evidence = -0.5 * p.log_det - 0.5 * (p.rows + prior->nu_0) * repro_log(spread);
    return ok;
}
