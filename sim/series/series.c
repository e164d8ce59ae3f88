/* SPDX-License-Identifier: MIT */
#include "sim/series/series.h"

#include "bandit/ope/ope.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double ALPHA = 0.05;
static const enum ope_estimator kinds[SERIES_ESTIMATORS] = {OPE_DM, OPE_IPS, OPE_SNIPS, OPE_DR};

bool series_claims(const struct series_ope *o, enum series_estimator e)
{
    return ope_claims(kinds[e], &(struct ope_health){
                                    .n = (double)o->rows, .ess = o->effective, .mean_z = o->off});
}

const char *series_estimator_name(enum series_estimator e)
{
    return ope_name(kinds[e]);
}

static size_t width(size_t n)
{
    return (n + SERIES_BUCKETS - 1) / SERIES_BUCKETS;
}

int series_buckets(size_t n, size_t end[SERIES_BUCKETS])
{
    int k = 0;
    for (size_t at = 0; at < n; k++) {
        at = at + width(n) < n ? at + width(n) : n;
        end[k] = at;
    }
    return k;
}

bool series_open(struct series_watch *w, const struct table *judged, size_t n, struct series *out)
{
    size_t every = (n + SERIES_OPE_ROWS - 1) / SERIES_OPE_ROWS;
    size_t rows = every > 0 ? n / every + 1 : 1, k = (size_t)judged->n_models;
    memset(out, 0, sizeof *out);
    *w = (struct series_watch){.judged = judged, .out = out, .n = n, .every = every ? every : 1};
    w->kept.p = malloc(rows * sizeof *w->kept.p);
    w->kept.label = malloc(rows * sizeof *w->kept.label);
    w->kept.row = malloc(rows * sizeof *w->kept.row);
    w->kept.model = malloc(rows * sizeof *w->kept.model);
    w->kept.q = malloc(rows * k * sizeof *w->kept.q);
    if (w->kept.p && w->kept.label && w->kept.row && w->kept.model && w->kept.q)
        return true;
    w->n_kept = 0;
    return !series_close(w); /* with nothing to judge it only frees */
}

static void keep(struct series_watch *w, uint32_t row, const struct event_decided *d,
                 const int *model, int chosen)
{
    size_t k = (size_t)w->judged->n_models;
    float *q = w->kept.q + w->n_kept * k;
    for (size_t m = 0; m < k; m++)
        q[m] = NAN;
    for (int a = 0; a < d->n_arms; a++)
        if ((d->eligible >> a & 1) && model[a] >= 0)
            q[model[a]] = d->view[a].mean[TARGET_QUALITY];
    w->kept.p[w->n_kept] = d->view[d->arm].pmf;
    w->kept.label[w->n_kept] = w->judged->q[table_cell(w->judged, row, chosen)];
    w->kept.row[w->n_kept] = row;
    w->kept.model[w->n_kept++] = (int16_t)chosen;
}

void series_saw(struct series_watch *w, size_t i, uint32_t row, const struct event_decided *d,
                const int *model)
{
    int chosen = model[d->arm];
    double predicted = fmin(fmax((double)d->view[d->arm].mean[TARGET_QUALITY], 0), 1);
    int k = (int)(predicted * SERIES_BINS);
    struct series_bin *bin = &w->out->bin[k < SERIES_BINS ? k : SERIES_BINS - 1];
    if (chosen < 0)
        return;
    bin->n++;
    bin->predicted += predicted;
    bin->observed += w->judged->q[table_cell(w->judged, row, chosen)];
    w->out->bucket[i / width(w->n)].multiplier += d->multiplier;
    if (i % w->every == 0)
        keep(w, row, d, model, chosen);
}

void series_chose(struct series_watch *w, size_t i, uint32_t row, int model)
{
    const struct table *t = w->judged;
    struct series_bucket *b = &w->out->bucket[i / width(w->n)];
    double best = 0;
    for (int m = 0; m < t->n_models; m++)
        best = fmax(best, t->q[table_cell(t, row, m)]);
    b->n++;
    b->best += best;
    if (model < 0) {
        b->refused++;
        return;
    }
    b->quality += t->q[table_cell(t, row, model)];
    b->cost_nano += t->cost_nano[table_cell(t, row, model)];
    b->chosen[model]++;
}

/* Arrays of one target. */
struct columns {
    double *weight, *label, *q_logged, *q_target;
};

/* Rows in which model m could have been chosen. */
static size_t gather(const struct series_watch *w, int m, struct columns *c, double *truth)
{
    size_t n = 0;
    *truth = 0;
    for (size_t i = 0; i < w->n_kept; i++) {
        const float *q = w->kept.q + i * (size_t)w->judged->n_models;
        if (isnan(q[m]))
            continue;
        c->weight[n] = w->kept.model[i] == m ? 1 / w->kept.p[i] : 0;
        c->label[n] = w->kept.label[i];
        c->q_logged[n] = (double)q[w->kept.model[i]];
        c->q_target[n++] = (double)q[m];
        *truth += w->judged->q[table_cell(w->judged, w->kept.row[i], m)];
    }
    *truth /= n > 0 ? (double)n : 1;
    return n;
}

static void judge(const struct series_watch *w, int m, struct columns *c, struct series_ope *out)
{
    size_t n = gather(w, m, c, &out->truth);
    const struct ope_log log = {.n = n,
                                .weight = c->weight,
                                .label = c->label,
                                .q_logged = c->q_logged,
                                .q_target = c->q_target,
                                .n_clusters = n};
    const struct ope_tuning tuning = {.clip = 1, .tau = 1, .dros = 1, .sg = 0, .reject = 1};
    out->rows = (int64_t)n;
    struct ope_health health = ope_health(&log);
    out->effective = n > 0 ? health.ess : 0;
    out->off = n > 0 && isfinite(health.mean_z) ? health.mean_z : 0;
    for (int e = 0; n > 0 && e < SERIES_ESTIMATORS; e++) {
        struct ope_estimate x = ope_estimate(&log, kinds[e], &tuning, NULL);
        struct ope_interval i = ope_student(&x, ALPHA);
        out->value[e] = x.value;
        out->low[e] = i.low;
        out->high[e] = i.high;
        if (!x.valid || !isfinite(x.value) || !isfinite(i.low) || !isfinite(i.high))
            out->rows = 0;
    }
    if (out->rows == 0)
        *out = (struct series_ope){0};
}

bool series_close(struct series_watch *w)
{
    size_t n = w->n_kept;
    double *room = n > 0 ? malloc(4 * n * sizeof *room) : NULL;
    for (int m = 0; room != NULL && m < w->judged->n_models; m++) {
        struct columns c = {room, room + n, room + 2 * n, room + 3 * n};
        judge(w, m, &c, &w->out->ope[m]);
    }
    bool ok = n == 0 || room != NULL;
    free(room);
    free(w->kept.p);
    free(w->kept.label);
    free(w->kept.row);
    free(w->kept.model);
    free(w->kept.q);
    memset(&w->kept, 0, sizeof w->kept);
    return ok;
}
