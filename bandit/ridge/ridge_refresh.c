/* SPDX-License-Identifier: MIT */
/*
 * The snapshot of a ridge: what its sums, the prior and perhaps a loan from another ridge's sums
 * amount to. A loan is a power prior (Ibrahim and Chen 2000): the lender's rows count a share k of
 * what they count there, so it is an informed beginning that own rows soon outweigh. It is taken
 * afresh from the lender's sums at each refresh; nothing of them is kept.
 *
 * Considered: the lender's estimate as prior mean. It says where to start, but not in which
 * directions it is known and in which it is guessed.
 */
#include "bandit/ridge/clones.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double pivot_least = 1e-12;
static const double jitter_first = 1e-10;
static const double growth = 0.25; /* of the lender's weight: then its rows are worth a new look */

/* What another ridge lends: scale times its sums, which are then as of now. */
struct loan {
    const struct ridge *from; /* NULL = nothing */
    double scale, weight;     /* k 2^((E' - now)/H'); weight of all the lender's rows as of now */
};

static double weight_now(const struct ridge *r, int64_t now_ms)
{
    double weight = ridge_scale(r, now_ms) * r->w;
    return weight > 0 ? weight : 0;
}

static struct loan loan_of(const struct ridge *lender, double rows, int64_t now_ms)
{
    struct loan none = {.from = NULL};
    if (!lender || !(rows > 0))
        return none;
    double weight = weight_now(lender, now_ms);
    if (!(weight > 0) || !isfinite(weight))
        return none;
    double k = rows < weight ? rows / weight : 1;
    return (struct loan){lender, k * ridge_scale(lender, now_ms), weight};
}

/* s S, and what is lent. */
static inline void sums(const struct ridge *r, double s, const struct loan *loan, double *out)
{
    for (size_t i = 0; i < r->packed; i++)
        out[i] = s * r->s[i];
    if (loan->from)
        for (size_t i = 0; i < r->packed; i++)
            out[i] += loan->scale * loan->from->s[i];
}

WIDE_CLONES static bool factor(const struct ridge *r, const double *precision, double s,
                               const struct loan *loan, double *out)
{
    double most = 0, jitter = 0;
    for (int attempt = 0; attempt < 4; attempt++) {
        sums(r, s, loan, out);
        for (int j = 0; j < r->d; j++) {
            double *diagonal = &out[packed_column(r->d, j)];
            *diagonal += precision[j];
            if (attempt == 0)
                most = *diagonal > most ? *diagonal : most;
        }
        for (int j = 0; jitter > 0 && j < r->d; j++)
            out[packed_column(r->d, j)] += jitter * most;
        if (packed_factor(out, r->d, pivot_least * most))
            return true;
        jitter = attempt == 0 ? jitter_first : jitter * 10;
    }
    return false;
}

bool ridge_factor(const struct ridge *r, const double *precision, double s, double *out)
{
    const struct loan none = {.from = NULL};
    return factor(r, precision, s, &none, out);
}

/* s (yy - 2 theta'b + theta'S theta). Rounding or removed rows can leave it a little below 0. */
WIDE_CLONES static double residual(const struct ridge *r, double s, const double *theta,
                                   double *work)
{
    packed_multiply(r->s, r->d, theta, work);
    double rss = r->yy - 2 * dot(theta, r->b, r->d) + dot(theta, work, r->d);
    return rss < 0 ? 0 : s * rss;
}

/* The factor that widths use: pending rows count as if a share of them were labelled already (the
 * idea of GP-BUCB, Desautels, Krause, Burdick 2014), so that one arm is not hammered while its
 * labels are out. */
WIDE_CLONES static void widen(struct ridge *r, double s, const struct loan *loan)
{
    memcpy(r->wide, r->l, r->packed * sizeof *r->l);
    r->wide_id = r->l_id;
    if (r->pending <= 0 || !(r->label_rate > 0))
        return;
    r->wide_id = 0;
    double most = 0;
    sums(r, s, loan, r->work);
    for (size_t i = 0; i < r->packed; i++)
        r->work[i] += r->label_rate * r->p[i];
    for (int j = 0; j < r->d; j++) {
        r->work[packed_column(r->d, j)] += r->prior[j];
        most = fmax(most, r->work[packed_column(r->d, j)]);
    }
    if (packed_factor(r->work, r->d, pivot_least * most))
        memcpy(r->wide, r->work, r->packed * sizeof *r->l);
}

/* theta = A^-1 (L0 m0 + s b + what is lent of b), with A's factor in work. */
WIDE_CLONES static void solve(const struct ridge *r, double s, const struct loan *loan,
                              double *theta)
{
    for (int i = 0; i < r->d; i++)
        theta[i] = r->prior[i] * r->mean[i] + s * r->b[i];
    if (loan->from)
        add_scaled(theta, loan->scale, loan->from->b, r->d);
    packed_solve(r->work, r->d, theta);
}

/* The name of the factor of A: of all that goes into it. */
static uint64_t factor_id(const struct ridge *r, double s, const struct loan *loan)
{
    uint64_t id = mix64(r->rows_id ^ mix64(r->prior_id ^ bits_of(s)));
    if (loan->from)
        id = mix64(id ^ mix64(loan->from->rows_id ^ bits_of(loan->scale)));
    return id ? id : 1;
}

/* Factors A into work, or takes it from a sibling that has it. */
static bool factor_or_take(const struct ridge *r, double s, const struct loan *loan, uint64_t id,
                           const struct ridge *sibling)
{
    if (!sibling || sibling->d != r->d || sibling->l_id != id)
        return factor(r, r->prior, s, loan, r->work);
    memcpy(r->work, sibling->l, r->packed * sizeof *r->work);
    return true;
}

bool ridge_refresh_from(struct ridge *r, const struct ridge *lender, double rows, int64_t now_ms,
                        const struct ridge *sibling)
{
    ridge_rebase_if_old(r, now_ms);
    double s = ridge_scale(r, now_ms), weight = r->w > 0 ? s * r->w : 0;
    assert(!lender || lender->d == r->d);
    rows *= r->loan_share;
    struct loan loan = loan_of(lender, rows, now_ms);
    double *theta = r->row;
    uint64_t id = factor_id(r, s, &loan);
    if (!factor_or_take(r, s, &loan, id, sibling))
        return false;
    solve(r, s, &loan, theta);
    double spread = r->nu_0 * r->sigma2_0 + residual(r, s, theta, r->product);
    double freedom = r->nu_0 + weight;
    if (loan.from) {
        spread += residual(loan.from, loan.scale, theta, r->product);
        freedom += rows < loan.weight ? rows : loan.weight;
    }
    double sigma2 = freedom > 0 ? spread / freedom : r->sigma2_0;
    bool finite = isfinite(sigma2) && isfinite(weight);
    for (int i = 0; i < r->d; i++)
        finite = finite && isfinite(theta[i]);
    if (!finite)
        return false;
    memcpy(r->l, r->work, r->packed * sizeof *r->l);
    r->l_id = id;
    widen(r, s, &loan);
    r->diagonal = packed_is_diagonal(r->wide, r->d);
    memcpy(r->theta, theta, (size_t)r->d * sizeof *theta);
    r->sigma2 = sigma2;
    r->weight = weight;
    r->lender_weight = loan.weight;
    r->stale = 0;
    r->refreshed = true;
    return true;
}

bool ridge_refresh(struct ridge *r, int64_t now_ms)
{
    return ridge_refresh_from(r, NULL, 0, now_ms, NULL);
}

bool ridge_outdated(const struct ridge *r, const struct ridge *lender, int64_t now_ms)
{
    return fabs(weight_now(lender, now_ms) - r->lender_weight) > growth * r->lender_weight;
}
