/* SPDX-License-Identifier: MIT */
/*
 * Bayesian ridge with exponential forgetting. The data sums are the truth,
 * the factor is derived from them at every refresh: an inverse kept up to date by rank-1 steps
 * drifts, cannot be downdated safely and does not add up over replicas, and at d <= 128 it saves
 * nothing. The prior is never decayed, so a direction without recent data returns to the prior
 * instead of to an unbounded variance.
 *
 * Feeding it finite numbers is the caller's duty. A NaN or an overflow that slips in makes refresh
 * fail from then on and the last good snapshot stays; it never reaches a prediction.
 */
#include "bandit/ridge/ridge.h"

#include "bandit/repro.h"
#include "bandit/ridge/clones.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    D_MAX = 256,
    FADES_AT = 18,
    HALVES_AT = FADES_AT + 2 * FADES_MAX,
    HEAD = HALVES_AT + 2 * HALVES_MAX,
    FORMAT = 1
};

static const double rebase_after = 40;     /* half-lives: weights stay below 2^40 */
static const double integer_most = 0x1p53; /* integers up to here are exact doubles */

/* Number of doubles in state[] that are saved. */
static size_t block_len(int d)
{
    return 4 * packed_len(d) + 4 * (size_t)d;
}

/* ---- weights and time ---- */

/* Half-lives from the epoch to t; 0 when nothing is forgotten. As doubles: cannot overflow. */
double ridge_age(const struct ridge *r, int64_t t_ms)
{
    if (r->forgets.half_life_ms <= 0)
        return 0;
    return ((double)t_ms - (double)r->epoch_ms) / (double)r->forgets.half_life_ms;
}

double ridge_scale(const struct ridge *r, int64_t now_ms)
{
    return repro_exp2(-ridge_age(r, now_ms));
}

/* Moves the epoch. */
static void rebase(struct ridge *r, int64_t to_ms)
{
    double f = ridge_scale(r, to_ms);
    r->epoch_ms = to_ms;
    r->rows_id = mix64(r->rows_id ^ (uint64_t)to_ms);
    if (r->forgets.half_life_ms <= 0)
        return;
    for (size_t i = 0; i < r->packed; i++)
        r->s[i] *= f;
    for (int i = 0; i < r->d; i++)
        r->b[i] *= f;
    r->yy *= f;
    r->w *= f;
    r->w2 *= f * f;
}

void ridge_rebase_if_old(struct ridge *r, int64_t now_ms)
{
    if (ridge_age(r, now_ms) > rebase_after)
        rebase(r, now_ms);
}

/* ---- identity ---- */

enum { ROWS = 31, PRIOR, FACTOR }; /* seeds */

static uint64_t id_of(const double *v, size_t n, uint64_t seed)
{
    return hash64(v, n * sizeof *v, seed);
}

void ridge_identify(struct ridge *r)
{
    const double head[] = {(double)r->forgets.half_life_ms, (double)r->epoch_ms, r->w, r->w2};
    uint64_t id = id_of(head, sizeof head / sizeof *head, ROWS);
    id = id_of(r->forgets.until_ms, HALVES_MAX, id);
    id = id_of(r->forgets.was_ms, HALVES_MAX, id);
    id = id_of(r->fade_ms, FADES_MAX, id);
    id = id_of(r->fade, FADES_MAX, id);
    r->rows_id = id_of(r->s, r->packed, id);
}

bool ridge_twins(const struct ridge *a, const struct ridge *b)
{
    return a->rows_id == b->rows_id;
}

bool ridge_like(const struct ridge *a, const struct ridge *b)
{
    return a->wide_id == b->wide_id && a->wide_id != 0;
}

/* ---- life ---- */

static int64_t half_life_clamped(int64_t half_life_ms)
{
    if (half_life_ms <= 0)
        return 0;
    return half_life_ms < (int64_t)integer_most ? half_life_ms : (int64_t)integer_most;
}

/* The snapshot that the prior alone gives. */
static void snapshot_prior(struct ridge *r)
{
    memset(r->l, 0, r->packed * sizeof *r->l);
    for (int j = 0; j < r->d; j++)
        r->l[packed_column(r->d, j)] = 1.0 / sqrt(r->prior[j]);
    memcpy(r->wide, r->l, r->packed * sizeof *r->l);
    memcpy(r->theta, r->mean, (size_t)r->d * sizeof *r->theta);
    r->l_id = r->wide_id = r->prior_id;
    r->diagonal = true;
    r->sigma2 = r->sigma2_0;
    r->weight = 0;
}

static void place(struct ridge *r)
{
    size_t d = (size_t)r->d;
    r->s = r->state;
    r->b = r->s + r->packed;
    r->prior = r->b + d;
    r->mean = r->prior + d;
    r->l = r->mean + d;
    r->theta = r->l + r->packed;
    r->p = r->theta + d;
    r->wide = r->p + r->packed;
    r->work = r->wide + r->packed;
    r->row = r->work + r->packed + PACKED_SPARE;
    r->product = r->row + d + PACKED_SPARE;
}

struct ridge *ridge_new(int d, int64_t half_life_ms, double sigma2_0, double nu_0)
{
    assert(d >= 1 && d <= D_MAX);
    size_t doubles = block_len(d) + packed_len(d) + PACKED_SPARE + 2 * ((size_t)d + PACKED_SPARE);
    struct ridge *r = calloc(1, sizeof *r + doubles * sizeof r->state[0]);
    if (r == NULL)
        return NULL;
    r->d = d;
    r->packed = packed_len(d);
    r->forgets.half_life_ms = half_life_clamped(half_life_ms);
    r->sigma2_0 = sigma2_0;
    r->nu_0 = nu_0;
    r->loan_share = 1;
    place(r);
    for (int i = 0; i < d; i++)
        r->prior[i] = 1;
    r->prior_id = id_of(r->prior, (size_t)d, PRIOR);
    ridge_identify(r);
    snapshot_prior(r);
    return r;
}

void ridge_free(struct ridge *r)
{
    free(r);
}

void ridge_prior(struct ridge *r, const double *precision, const double *mean)
{
    memcpy(r->prior, precision, (size_t)r->d * sizeof *precision);
    memcpy(r->mean, mean, (size_t)r->d * sizeof *mean);
    r->prior_id = id_of(r->prior, (size_t)r->d, PRIOR);
    if (!r->refreshed)
        snapshot_prior(r);
}

void ridge_set_half_life(struct ridge *r, int64_t half_life_ms, int64_t now_ms)
{
    if (r->forgets.half_life_ms == half_life_clamped(half_life_ms))
        return;
    rebase(r, now_ms);
    forgetting_change(&r->forgets, half_life_clamped(half_life_ms), now_ms);
    ridge_identify(r);
}

/* ---- reading ---- */

int64_t ridge_stale(const struct ridge *r)
{
    return r->stale;
}

double ridge_mean(const struct ridge *r, const double *x)
{
    return dot(r->theta, x, r->d);
}

WIDE_CLONES double ridge_width(const struct ridge *r, const double *x, double *work)
{
    memcpy(work, x, (size_t)r->d * sizeof *x);
    memset(work + r->d, 0, RIDGE_SPARE * sizeof *work);
    for (int j = 0; r->diagonal && j < r->d; j++) /* all that a solve would change */
        work[j] *= r->wide[packed_column(r->d, j)];
    if (!r->diagonal)
        packed_solve_rows(r->wide, r->d, 0, work, true); /* behind wide there is r->work */
    return dot(work, work, r->d);
}

int ridge_dim(const struct ridge *r)
{
    return r->d;
}

double ridge_sigma2(const struct ridge *r)
{
    return r->sigma2;
}

double ridge_weight(const struct ridge *r)
{
    return r->weight;
}

int64_t ridge_count(const struct ridge *r)
{
    return r->count;
}

int64_t ridge_pending(const struct ridge *r)
{
    return r->pending;
}

const double *ridge_theta(const struct ridge *r)
{
    return r->theta;
}

/* ---- persistence ---- */

size_t ridge_state_len(int d)
{
    return HEAD + block_len(d);
}

void ridge_save(const struct ridge *r, double *out)
{
    const double head[HEAD] = {
        FORMAT,
        r->d,
        (double)r->forgets.half_life_ms,
        (double)r->epoch_ms,
        (double)r->count,
        (double)r->stale,
        r->refreshed,
        r->sigma2_0,
        r->nu_0,
        r->yy,
        r->w,
        r->w2,
        r->sigma2,
        r->weight,
        r->label_rate,
        (double)r->pending,
        r->lender_weight,
        r->loan_share,
    };
    memcpy(out, head, sizeof head);
    memcpy(out + FADES_AT, r->fade_ms, sizeof r->fade_ms);
    memcpy(out + FADES_AT + FADES_MAX, r->fade, sizeof r->fade);
    memcpy(out + HALVES_AT, r->forgets.until_ms, sizeof r->forgets.until_ms);
    memcpy(out + HALVES_AT + HALVES_MAX, r->forgets.was_ms, sizeof r->forgets.was_ms);
    memcpy(out + HEAD, r->state, block_len(r->d) * sizeof *out);
}

static bool whole(double x)
{
    return fabs(x) <= integer_most && (double)(int64_t)x == x;
}

/* What ridge_load must know before it changes anything. */
static bool state_fits(const struct ridge *r, const double *in)
{
    for (size_t i = 0; i < ridge_state_len(r->d); i++) {
        if (!isfinite(in[i]))
            return false;
    }
    for (int i = 2; i <= 6; i++) {
        if (!whole(in[i]))
            return false;
    }
    if (!whole(in[15]))
        return false;
    if (!(in[2] >= 0) || !(in[12] >= 0))
        return false;
    const double *prior = in + HEAD + r->packed + r->d;
    const double *l = prior + 2 * r->d;
    for (int j = 0; j < r->d; j++) {
        if (!(prior[j] > 0) || !(l[packed_column(r->d, j)] > 0))
            return false;
    }
    return true;
}

bool ridge_load(struct ridge *r, const double *in)
{
    if (!(in[0] == FORMAT && in[1] == r->d) || !state_fits(r, in))
        return false;
    r->forgets.half_life_ms = (int64_t)in[2];
    r->epoch_ms = (int64_t)in[3];
    r->count = (int64_t)in[4];
    r->stale = (int64_t)in[5];
    r->refreshed = in[6] != 0;
    r->sigma2_0 = in[7];
    r->nu_0 = in[8];
    r->yy = in[9];
    r->w = in[10];
    r->w2 = in[11];
    r->sigma2 = in[12];
    r->weight = in[13];
    r->label_rate = in[14];
    r->pending = (int64_t)in[15];
    r->lender_weight = in[16];
    r->loan_share = in[17];
    memcpy(r->fade_ms, in + FADES_AT, sizeof r->fade_ms);
    memcpy(r->fade, in + FADES_AT + FADES_MAX, sizeof r->fade);
    memcpy(r->forgets.until_ms, in + HALVES_AT, sizeof r->forgets.until_ms);
    memcpy(r->forgets.was_ms, in + HALVES_AT + HALVES_MAX, sizeof r->forgets.was_ms);
    memcpy(r->state, in + HEAD, block_len(r->d) * sizeof *in);
    ridge_identify(r);
    r->prior_id = id_of(r->prior, (size_t)r->d, PRIOR);
    r->l_id = id_of(r->l, r->packed, FACTOR);
    r->wide_id = id_of(r->wide, r->packed, FACTOR);
    r->diagonal = packed_is_diagonal(r->wide, r->d);
    return true;
}

void ridge_total(const struct ridge *r, int64_t now_ms, double *weight, double *sum)
{
    double s = ridge_scale(r, now_ms);
    *weight = s * r->w;
    *sum = s * r->b[0];
}

double ridge_contexts(const struct ridge *r, int64_t now_ms, double *x)
{
    double s = ridge_scale(r, now_ms);
    add_scaled(x, s, r->s, r->d); /* the first column holds the products with the first feature */
    return s * r->w;
}
