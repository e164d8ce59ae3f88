/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_RIDGE_RIDGE_H
#define PURSER_BANDIT_RIDGE_RIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bayesian ridge regression of one target with exponential forgetting: the learned state of one
 * (model, target). Data and prior are kept apart: the data part
 *     S = sum w_i x_i x_i'   b = sum w_i y_i x_i   yy = sum w_i y_i^2
 *     W = sum w_i            W2 = sum w_i^2
 * is additive (rows may come in any order, be amended or removed, and two replicas' sums add up);
 * the prior never decays. w_i = v_i * 2^((t_i - E)/H): weights refer to the epoch E, t_i is
 * the time of the DECISION, so late labels weigh what they would have weighed in time.
 *
 * Reading goes through a snapshot (factor, theta, sigma2), renewed by ridge_refresh only; between
 * refreshes predictions do not change. All arithmetic is + - * / sqrt in a fixed order: the state
 * is bit-identical wherever it is replayed. Symmetric matrices are packed by columns of the lower
 * triangle: column j holds rows j..d-1, at offset j*d - j*(j-1)/2.
 *
 * The caller checks its numbers: x, y and v finite and of sane size, times within 2^53 ms. A number
 * that poisons the sums cannot reach a prediction (refresh fails, the old snapshot stays), but it
 * is not undone either.
 */
struct ridge;

/* ridge_new gives a ridge of d features (1..256) with half-life in ms (<= 0: no forgetting), a zero
 * prior mean, unit prior precision and noise variance guess sigma2_0 worth nu_0 observations.
 * NULL when memory is short. */
struct ridge *ridge_new(int d, int64_t half_life_ms, double sigma2_0, double nu_0);
/* ridge_free accepts NULL. */
void ridge_free(struct ridge *r);

/* ridge_reshape gives a new ridge of d features with the data of an old one: feature i is the old
 * one's map[i], or was 0 in all rows so far (map[i] < 0). Old features that are not named are
 * dropped, exactly as if rows had been added without them. Pending rows are dropped, the prior is
 * that of ridge_new. NULL when memory is short. */
struct ridge *ridge_reshape(const struct ridge *from, int d, const int *map);

/* ridge_prior sets the prior: precision (diagonal, d values > 0) and mean (d values). Takes effect
 * at the next refresh; before the first one at once, so that a new ridge predicts its prior. */
void ridge_prior(struct ridge *r, const double *precision, const double *mean);
/* ridge_set_half_life changes the forgetting from now on: what went before was forgotten as it was,
 * also of rows of then that are added, amended or removed later (bandit/forgetting.h). */
void ridge_set_half_life(struct ridge *r, int64_t half_life_ms, int64_t now_ms);

/* ridge_add adds one labelled row, ridge_remove takes one out again, ridge_amend replaces its
 * label. t_ms is the decision's time, v its importance (> 0). */
void ridge_add(struct ridge *r, const float *x, double y, int64_t t_ms, double v);
void ridge_remove(struct ridge *r, const float *x, double y, int64_t t_ms, double v);
void ridge_amend(struct ridge *r, const float *x, double y_old, double y_new, int64_t t_ms,
                 double v);
/* ridge_change does so for one row in several ridges of the same d, n of them: rows 1 adds, -1
 * removes, 0 amends. The same as one by one, and cheaper where they hold the same rows. */
enum { RIDGE_CHANGES_MAX = 8 };
struct ridge_change {
    struct ridge *ridge;
    int rows;
    double before, after; /* labels; before is not looked at when added, after when removed */
};
void ridge_change(const struct ridge_change *c, int n, const float *x, int64_t t_ms, double v);
/* ridge_pend adds (rows 1) or removes (rows -1) a row of importance v that was decided on and may
 * be labelled later. Pending rows narrow the widths, by the share of them that gets a label
 * (ridge_set_label_rate, [0,1], 0 at first), and nothing else. */
void ridge_pend(struct ridge *r, const float *x, int rows, double v);
void ridge_set_label_rate(struct ridge *r, double rate);
/* ridge_fade makes rows decided at now_ms or before count factor (in (0,1]) times what they did,
 * those that are labelled, amended or removed later included. The last FADES_MAX times are told
 * apart. A loan (ridge_refresh_from) counts factor times what it did from then on: whoever lends
 * saw that past, and did not see it end. */
enum { FADES_MAX = 4 };
void ridge_fade(struct ridge *r, double factor, int64_t now_ms);
/* ridge_merge adds the data part of another ridge of the same d and half-life, whatever
 * the epochs (exact up to rounding), as far as it has faded. Prior, snapshot, pending rows and the
 * times of fading stay those of into: a row of from is amended or removed in from, before. */
void ridge_merge(struct ridge *into, const struct ridge *from);

/* The data part as ridge_block_len(d) numbers, as of a time: rows, W, W2, yy, b (d), S (packed).
 * ridge_block writes it; ridge_block_fits tells whether numbers are one, of some rows;
 * ridge_block_add adds it as of a time, each row v times (v < 0 takes it out again, with the time
 * at which it had come in: what faded since is taken out as faded), ridge_block_rows rows at that.
 * ridge_block_clear leaves no row; those of before must not be amended or removed afterwards. */
enum { RIDGE_BLOCK_HEAD = 4 };
struct block_time {
    int64_t as_of_ms, added_ms;
};
size_t ridge_block_len(int d);
void ridge_block(const struct ridge *r, int64_t now_ms, double *out);
bool ridge_block_fits(int d, const double *block);
void ridge_block_add(struct ridge *r, const double *block, const struct block_time *t, double v);
int64_t ridge_block_rows(const double *block, double v);
void ridge_block_clear(struct ridge *r);

/* ridge_refresh renews the snapshot as of now_ms: A = L0 + s*S with s = 2^((E - now)/H) factored
 * by Cholesky, theta = A^-1 (L0 m0 + s b), sigma2 = (nu0 sigma2_0 + s*RSS) / (nu0 + s*W). On a
 * matrix that is not positive definite after jitter the old snapshot stays and false is returned.
 * Rebases the epoch when it lies more than 40 half-lives back. */
bool ridge_refresh(struct ridge *r, int64_t now_ms);
/* ridge_refresh_from does so with a loan: the rows of another ridge of the same d count as well,
 * each k times what it counts there now, k = min(1, rows / their weight). With rows <= 0, or a
 * lender that is NULL or empty, it is ridge_refresh. weight and count stay those of own rows.
 * sibling, NULL or of the same d, may have the factor already. */
bool ridge_refresh_from(struct ridge *r, const struct ridge *lender, double rows, int64_t now_ms,
                        const struct ridge *sibling);
/* ridge_outdated tells whether the lender's rows weigh over a quarter more or less than when r was
 * last refreshed from them. */
bool ridge_outdated(const struct ridge *r, const struct ridge *lender, int64_t now_ms);
/* ridge_stale tells how many rows were added, removed or amended since the last refresh. */
int64_t ridge_stale(const struct ridge *r);

/* ridge_mean gives theta'x. */
double ridge_mean(const struct ridge *r, const double *x);
/* ridge_width gives x'A^-1 x = ||L^-1 x||^2 (>= 0), pending rows counted in A; work has room for d
 * + RIDGE_SPARE doubles, apart from x. The posterior variance of the mean at x is sigma2 * width.
 */
enum { RIDGE_SPARE = 8 };
double ridge_width(const struct ridge *r, const double *x, double *work);
/* ridge_twins tells whether two ridges of the same d hold the same rows, labels apart; ridge_like
 * whether they give the same width to any x. */
bool ridge_twins(const struct ridge *a, const struct ridge *b);
bool ridge_like(const struct ridge *a, const struct ridge *b);

int ridge_dim(const struct ridge *r);
double ridge_sigma2(const struct ridge *r);
/* ridge_weight gives the decayed weight s*W as of the last refresh, ridge_count the rows now
 * counted. */
double ridge_weight(const struct ridge *r);
int64_t ridge_count(const struct ridge *r);
/* ridge_pending gives the rows that may still be labelled. */
int64_t ridge_pending(const struct ridge *r);
const double *ridge_theta(const struct ridge *r);
/* ridge_total gives the weight of all rows as of now_ms, and the sum of their labels where the
 * first feature is 1 in all of them. */
void ridge_total(const struct ridge *r, int64_t now_ms, double *weight, double *sum);

/* ridge_contexts adds the sum of all rows' features, by weight as of now_ms, to x (d doubles) and
 * gives the weight; where the first feature is 1 in all of them. */
double ridge_contexts(const struct ridge *r, int64_t now_ms, double *x);

/* ridge_state_len gives the number of doubles that ridge_save writes and ridge_load reads: the
 * whole state (data, prior, snapshot), bit for bit. ridge_load returns false, changing nothing,
 * when the header does not fit d or a value is not finite. Integers are stored as exact doubles. */
size_t ridge_state_len(int d);
void ridge_save(const struct ridge *r, double *out);
bool ridge_load(struct ridge *r, const double *in);

#endif
