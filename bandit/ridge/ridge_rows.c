/* SPDX-License-Identifier: MIT */
/*
 * What goes into the sums of a ridge and out of them.
 *
 * Most rows are rows of several targets, reported together, and sums that have no label in them are
 * then the same to the bit, and with them the factors. So each ridge carries names of what it holds
 * (rows_id, prior_id, l_id, wide_id): 64-bit hashes of the sums or of all that went into them.
 * Under equal names a matrix is copied, or a width used again, instead of being worked out once
 * more. No bit depends on it. Names are not saved: a loaded ridge is named by what it holds.
 *
 * Considered: one matrix that several ridges share. It would save their memory too, and asks for
 * counts of owners and for splitting wherever one of them fades, is merged or loaded.
 */
#include "bandit/ridge/clones.h"
#include "bandit/ridge/packed.h"
#include "bandit/repro.h"
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"

#include <assert.h>
#include <string.h>

/* Weight of a row as of the epoch. The first row of all moves the epoch from 0 to its own time.
 * What fades does so by the row's time alone: rows of that very millisecond may be in the sums. */
static double weight_of(struct ridge *r, int64_t t_ms, double v)
{
    ridge_rebase_if_old(r, t_ms);
    double w = v * repro_exp2(forgetting_age(&r->forgets, t_ms, r->epoch_ms));
    for (int i = 0; i < FADES_MAX; i++)
        if (r->fade[i] > 0 && (double)t_ms <= r->fade_ms[i])
            w *= r->fade[i];
    return w;
}

/* x as doubles, with zeros behind. */
static void widen(struct ridge *r, const float *x)
{
    for (int i = 0; i < r->d; i++)
        r->row[i] = (double)x[i];
    memset(r->row + r->d, 0, PACKED_SPARE * sizeof *r->row);
}

WIDE_CLONES static void add_square(double *s, int d, const double *row, double w)
{
    packed_add_square(s, d, row, w);
}

/* What a change of a row does to the sums that have no label in them. */
static void change_rows(struct ridge *r, const struct ridge *twin, int rows, double w, uint64_t key)
{
    if (twin)
        memcpy(r->s, twin->s, r->packed * sizeof *r->s);
    else
        add_square(r->s, r->d, r->row, rows * w);
    r->rows_id = mix64(r->rows_id ^ key);
    r->w += rows * w;
    r->w2 += rows * (w * w);
    r->count += rows;
}

static void change_labels(struct ridge *r, const struct ridge_change *c, double w)
{
    if (c->rows <= 0) {
        add_scaled(r->b, -(w * c->before), r->row, r->d);
        r->yy -= w * c->before * c->before;
    }
    if (c->rows >= 0) {
        add_scaled(r->b, w * c->after, r->row, r->d);
        r->yy += w * c->after * c->after;
    }
}

/* An earlier regression of the list whose sums were and are to be the same; was: ids before. */
static const struct ridge *find_twin(const struct ridge_change *c, int at, const uint64_t *was)
{
    for (int i = 0; i < at; i++)
        if (c[i].rows == c[at].rows && was[i] == c[at].ridge->rows_id &&
            c[i].ridge->d == c[at].ridge->d)
            return c[i].ridge;
    return NULL;
}

void ridge_change(const struct ridge_change *c, int n, const float *x, int64_t t_ms, double v)
{
    uint64_t was[RIDGE_CHANGES_MAX], key = 0;
    assert(n <= RIDGE_CHANGES_MAX);
    memcpy(&key, &v, sizeof v);
    key = n > 0 ? hash64(x, (uint64_t)c[0].ridge->d * sizeof *x, (uint64_t)t_ms ^ key) : 0;
    for (int i = 0; i < n; i++) {
        struct ridge *r = c[i].ridge;
        const struct ridge *twin = c[i].rows ? find_twin(c, i, was) : NULL;
        was[i] = r->rows_id;
        double w = weight_of(r, t_ms, v);
        widen(r, x);
        if (c[i].rows)
            change_rows(r, twin, c[i].rows, w, key + (uint64_t)c[i].rows);
        change_labels(r, &c[i], w);
        r->stale++;
    }
}

void ridge_add(struct ridge *r, const float *x, double y, int64_t t_ms, double v)
{
    ridge_change(&(struct ridge_change){r, 1, 0, y}, 1, x, t_ms, v);
}

void ridge_remove(struct ridge *r, const float *x, double y, int64_t t_ms, double v)
{
    ridge_change(&(struct ridge_change){r, -1, y, 0}, 1, x, t_ms, v);
}

void ridge_amend(struct ridge *r, const float *x, double y_old, double y_new, int64_t t_ms,
                 double v)
{
    ridge_change(&(struct ridge_change){r, 0, y_old, y_new}, 1, x, t_ms, v);
}

void ridge_pend(struct ridge *r, const float *x, int rows, double v)
{
    widen(r, x);
    add_square(r->p, r->d, r->row, rows * v);
    r->pending += rows;
    r->stale++;
    if (r->pending == 0) /* no rounding residue where nothing is out */
        memset(r->p, 0, r->packed * sizeof *r->p);
}

void ridge_set_label_rate(struct ridge *r, double rate)
{
    r->label_rate = rate < 0 ? 0 : rate > 1 ? 1 : rate;
}

void ridge_fade(struct ridge *r, double factor, int64_t now_ms)
{
    for (size_t i = 0; i < r->packed; i++)
        r->s[i] *= factor;
    for (int i = 0; i < r->d; i++)
        r->b[i] *= factor;
    r->yy *= factor;
    r->w *= factor;
    r->w2 *= factor * factor;
    r->loan_share *= factor;
    memmove(r->fade_ms, r->fade_ms + 1, (FADES_MAX - 1) * sizeof *r->fade_ms);
    memmove(r->fade, r->fade + 1, (FADES_MAX - 1) * sizeof *r->fade);
    r->fade_ms[FADES_MAX - 1] = (double)now_ms;
    r->fade[FADES_MAX - 1] = factor;
    r->stale++;
    ridge_identify(r);
}

void ridge_merge(struct ridge *into, const struct ridge *from)
{
    assert(into->d == from->d && into->forgets.half_life_ms == from->forgets.half_life_ms);
    ridge_rebase_if_old(into, from->epoch_ms);
    double f = repro_exp2(ridge_age(into, from->epoch_ms));
    for (size_t i = 0; i < into->packed; i++)
        into->s[i] += f * from->s[i];
    add_scaled(into->b, f, from->b, into->d);
    into->yy += f * from->yy;
    into->w += f * from->w;
    into->w2 += f * f * from->w2;
    into->count += from->count;
    ridge_identify(into);
    into->stale += from->count < 0 ? -from->count : from->count;
}
