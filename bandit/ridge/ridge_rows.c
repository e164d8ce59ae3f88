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
#include "bandit/repro.h"
#include "bandit/ridge/clones.h"
#include "bandit/ridge/packed.h"
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"

#include <assert.h>
#include <string.h>

/* Weight of a row as of the epoch. The first row of all moves the epoch from 0 to its own time.
 * What fades does so by the row's time alone: rows of that very millisecond may be in the sums. */
static double weight_of(const struct ridge *r, int64_t t_ms, double v)
{
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

WIDE_CLONES static void add_square(double *s, int d, const double *row, double w, double *room)
{
    packed_add_square(s, d, row, w, room);
}

/* Of a row's entries, each in its place. One after the other, as hash64 takes them, costs more than
 * to add the row. */
WIDE_CLONES static uint64_t row_key(const double *row, int d, int64_t t_ms, double v)
{
    uint64_t sum = mix64((uint64_t)t_ms ^ mix64(bits_of(v)));
    for (int i = 0; i < d; i++)
        sum += mix64(bits_of(row[i]) ^ (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u);
    return sum;
}

/* What a change of a row does to the sums that have no label in them. */
static void change_rows(struct ridge *r, const struct ridge *twin, const struct ridge_change *c,
                        double w, uint64_t key, const double *row)
{
    if (twin)
        memcpy(r->s, twin->s, r->packed * sizeof *r->s);
    else
        add_square(r->s, r->d, row, c->rows * w, r->work);
    r->rows_id = mix64(r->rows_id ^ (key + (uint64_t)c->rows));
    r->w += c->rows * w;
    r->w2 += c->rows * (w * w);
    r->count += c->rows;
}

WIDE_CLONES static void change_labels(struct ridge *r, const struct ridge_change *c, double w,
                                      const double *row)
{
    if (c->rows <= 0) {
        add_scaled(r->b, -(w * c->before), row, r->d);
        r->yy -= w * c->before * c->before;
    }
    if (c->rows >= 0) {
        add_scaled(r->b, w * c->after, row, r->d);
        r->yy += w * c->after * c->after;
    }
}

/* An earlier regression of the list whose sums were the same, and with them how they forget; was:
 * names before. -1: none. */
static int find_twin(const uint64_t *was, int at)
{
    for (int i = 0; i < at; i++)
        if (was[i] == was[at])
            return i;
    return -1;
}

void ridge_change(const struct ridge_change *c, int n, const float *x, int64_t t_ms, double v)
{
    uint64_t was[RIDGE_CHANGES_MAX], key = 0;
    double weight[RIDGE_CHANGES_MAX];
    assert(n <= RIDGE_CHANGES_MAX);
    if (n == 0)
        return;
    const double *row = c[0].ridge->row; /* the same for all */
    widen(c[0].ridge, x);
    key = row_key(row, c[0].ridge->d, t_ms, v);
    for (int i = 0; i < n; i++) {
        struct ridge *r = c[i].ridge;
        assert(r->d == c[0].ridge->d);
        ridge_rebase_if_old(r, t_ms);
        was[i] = r->rows_id;
        int twin = find_twin(was, i);
        bool alike = twin >= 0 && c[twin].rows == c[i].rows;
        weight[i] = twin >= 0 ? weight[twin] : weight_of(r, t_ms, v);
        if (c[i].rows)
            change_rows(r, alike ? c[twin].ridge : NULL, &c[i], weight[i], key, row);
        change_labels(r, &c[i], weight[i], row);
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
    add_square(r->p, r->d, r->row, rows * v, r->work);
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
