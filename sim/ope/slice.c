/* SPDX-License-Identifier: MIT */
#include "sim/ope/slice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Columns of a slice: weights and model values of both sides, labels, the model's own. */
enum { COL_WEIGHT, COL_VALUE = 2, COL_LABEL = 4, COL_Q, COL_KIND, SLICE_COLUMNS = COL_KIND + 2 };

static bool picked(const struct ope_rows *r, enum ope_aim aim, const uint32_t *seg, uint32_t which,
                   size_t i)
{
    return !isnan(r->label[aim][i]) && (!seg || seg[i] == which);
}

static double model_value(const struct ope_rows *r, const double *pi, enum ope_aim aim, size_t i)
{
    const double *p = pi + i * (size_t)r->k;
    const float *q = r->q[aim] + i * (size_t)r->k;
    double sum = 0;
    for (size_t a = 0; a < r->arms.n; a++)
        sum += p[a] * (double)q[a];
    return sum;
}

/* The weight of a row by the kind of its arm: how much likelier the target makes that kind. An arm
 * whose kind is not told is one by itself. */
static double kind_weight(const struct ope_rows *r, const double *pi, size_t i)
{
    const double *p = pi + i * (size_t)r->k, *mu = r->pmf + i * (size_t)r->k;
    uint32_t kind = r->kind[r->arm[i]];
    double is = 0, was = 0;
    for (size_t a = 0; a < r->arms.n; a++) {
        if (kind == NAMES_NONE ? a != r->arm[i] : r->kind[a] != kind)
            continue;
        is += p[a];
        was += mu[a];
    }
    return is / was;
}

/* Units by first appearance in the slice; map has room for all units of the log. */
static size_t number_units(const struct ope_rows *r, struct ope_slice *s, size_t n)
{
    uint32_t units = 0, most = 0;
    for (size_t j = 0; j < n; j++)
        most = r->unit[s->row[j]] > most ? r->unit[s->row[j]] : most;
    uint32_t *map = calloc((size_t)most + 1, sizeof *map);
    if (!map)
        return 0;
    for (size_t j = 0; j < n; j++) {
        uint32_t *to = &map[r->unit[s->row[j]]];
        if (*to == 0)
            *to = ++units;
        s->unit[j] = *to - 1;
    }
    free(map);
    return units;
}

bool slice_take(const struct ope_rows *r, double *const pi[2], double *const weight[2],
                enum ope_aim aim, const uint32_t *seg, uint32_t which, struct ope_slice *out)
{
    size_t n = 0, j = 0;
    bool kinds = r->kind != NULL && r->has_pmf;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < r->n; i++)
        n += picked(r, aim, seg, which, i);
    if (n == 0)
        return true;
    double *c = out->room = malloc(n * SLICE_COLUMNS * sizeof *c);
    out->row = malloc(n * sizeof *out->row);
    out->unit = malloc(n * sizeof *out->unit);
    if (!c || !out->row || !out->unit)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        if (!picked(r, aim, seg, which, i))
            continue;
        for (size_t s = 0; s < 2; s++) {
            c[(COL_WEIGHT + s) * n + j] = weight[s][i];
            c[(COL_VALUE + s) * n + j] = model_value(r, pi[s], aim, i);
            if (kinds)
                c[(COL_KIND + s) * n + j] = kind_weight(r, pi[s], i);
        }
        c[COL_LABEL * n + j] = r->label[aim][i];
        c[COL_Q * n + j] = (double)r->q[aim][i * (size_t)r->k + r->arm[i]];
        out->row[j++] = i;
    }
    size_t units = number_units(r, out, n);
    for (size_t s = 0; s < 2; s++)
        out->log[s] = (struct ope_log){.n = n,
                                       .weight = c + (COL_WEIGHT + s) * n,
                                       .label = c + COL_LABEL * n,
                                       .q_logged = r->has_q[aim] ? c + COL_Q * n : NULL,
                                       .q_target = c + (COL_VALUE + s) * n,
                                       .embed = kinds ? c + (COL_KIND + s) * n : NULL,
                                       .cluster = units < n ? out->unit : NULL,
                                       .n_clusters = units};
    return units > 0;
}

void slice_fini(struct ope_slice *s)
{
    free(s->room);
    free(s->row);
    free(s->unit);
    memset(s, 0, sizeof *s);
}
