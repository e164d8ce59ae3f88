/* SPDX-License-Identifier: MIT */
/*
 * Learning a lens from prompts alone: n-grams by the code that will be used to look (lens_counts),
 * idf, principal directions, whitening, clusters. Latent semantic analysis (Deerwester et al. 1990)
 * over hashed n-grams. The directions are rounded to int8 before clusters and classifiers are
 * fitted, so these see what they will see in use.
 */
#include "sim/lens/lens_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sim/lens/lens_svd.h"

static void tell(const struct lens_fit *fit, const char *what)
{
    if (fit->progress)
        fit->progress(fit->progress_ctx, what);
}

static struct excerpt excerpt_row(const struct corpus *c, size_t i)
{
    return excerpt_of(c->text + c->row[i].text, c->row[i].len);
}

/* idf = 1 + ln((1 + n) / (1 + rows with the bucket)). */
static void learn_idf(const struct corpus *c, struct lens *l)
{
    int32_t counts[LENS_BUCKETS_MAX];
    double seen[LENS_BUCKETS_MAX] = {0}, n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct excerpt e = excerpt_row(c, i);
        if (c->row[i].held_out)
            continue;
        (void)lens_counts(&e, l->buckets, counts);
        for (int b = 0; b < l->buckets; b++)
            seen[b] += counts[b] != 0;
        n++;
    }
    for (int b = 0; b < l->buckets; b++)
        l->idf[b] = (float)(1 + log((1 + n) / (1 + seen[b])));
}

static bool fill_matrix(const struct corpus *c, const struct lens *l, struct sparse *a)
{
    int32_t counts[LENS_BUCKETS_MAX];
    float row[LENS_BUCKETS_MAX];
    for (size_t i = 0; i < c->n; i++) {
        struct excerpt e = excerpt_row(c, i);
        double norm = 0;
        if (c->row[i].held_out || lens_counts(&e, l->buckets, counts) == 0)
            continue;
        for (int b = 0; b < l->buckets; b++) {
            row[b] = (counts[b] < 0 ? -1.F : 1.F) * sqrtf((float)abs(counts[b])) * l->idf[b];
            norm += (double)row[b] * (double)row[b];
        }
        for (int b = 0; b < l->buckets; b++)
            row[b] = norm > 0 ? (float)((double)row[b] / sqrt(norm)) : 0;
        if (!sparse_add(a, row))
            return false;
    }
    return true;
}

/* Rounds the directions to int8 and notes their scales; a direction without variance stays zero. */
static void keep_directions(struct lens *l, const double *s, const double *v, const double *mean,
                            size_t n, double whiten)
{
    for (int k = 0; k < l->dims; k++) {
        double most = 0, offset = 0;
        double spread = s[k] / sqrt((double)n);
        double gain = s[k] > 1e-9 * s[0] && s[k] > 0 ? pow(spread, -whiten) : 0;
        for (int b = 0; b < l->buckets; b++)
            most = fmax(most, fabs(v[(size_t)b * (size_t)l->dims + (size_t)k]));
        double unit = most > 0 ? most / 127 : 1;
        for (int b = 0; b < l->buckets; b++) {
            size_t at = (size_t)b * (size_t)l->dims + (size_t)k;
            l->projection[at] = (int8_t)lrint(v[at] / unit);
            offset += l->projection[at] * unit * gain * mean[b];
        }
        l->scale[k] = (float)(unit * gain);
        l->offset[k] = (float)offset;
    }
}

static double explained(const struct sparse *a, const double *mean, const double *s, int k)
{
    double total = 0, kept = 0;
    for (size_t e = 0; e < a->start[a->n]; e++)
        total += (double)a->value[e] * (double)a->value[e];
    for (int j = 0; j < a->m; j++)
        total -= (double)a->n * mean[j] * mean[j];
    for (int c = 0; c < k; c++)
        kept += s[c] * s[c];
    return total > 0 ? kept / total : 0;
}

static enum status learn_directions(const struct lens_fit *fit, const struct corpus *c,
                                    struct lens *l, struct lens_report *report,
                                    struct problem *problem)
{
    struct sparse a = {0};
    double *v = malloc((size_t)l->buckets * (size_t)l->dims * sizeof *v);
    double *mean = malloc((size_t)l->buckets * sizeof *mean);
    double s[LENS_DIMS_MAX];
    bool ok = v && mean && sparse_init(&a, l->buckets) && fill_matrix(c, l, &a);
    enum status st = STATUS_OK;
    report->n = a.n;
    if (ok && a.n < 16)
        st = problem_set(problem, STATUS_BAD_REQUEST, "", "%zu prompts: at least 16 are needed",
                         a.n);
    if (ok && st == STATUS_OK) {
        tell(fit, "principal directions");
        ok = svd_principal(&a, l->dims, fit->seed, s, v, mean);
    }
    if (ok && st == STATUS_OK) {
        keep_directions(l, s, v, mean, a.n, fit->whiten);
        report->variance = explained(&a, mean, s, l->dims);
    }
    sparse_free(&a);
    free(v);
    free(mean);
    return ok ? st : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

/* Looks at every row; x of those learned from goes to `unit`, whose number it gives. */
static size_t look(const struct corpus *c, const struct lens *l, struct lens_view *view,
                   float *unit)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct excerpt e = excerpt_row(c, i);
        lens_apply(l, &e, &view[i]);
        if (unit && !c->row[i].held_out)
            memcpy(unit + n++ * (size_t)l->dims, view[i].x, (size_t)l->dims * sizeof *unit);
    }
    return n;
}

static enum status learn_rest(const struct lens_fit *fit, const struct corpus *c, struct lens *l,
                              struct lens_report *report, struct problem *problem)
{
    struct lens_view *view = malloc((c->n + 1) * sizeof *view);
    float *unit = malloc((c->n + 1) * (size_t)l->dims * sizeof *unit);
    float *centre = malloc((size_t)l->clusters * (size_t)l->dims * sizeof *centre);
    enum status s = STATUS_OK;
    if (!view || !unit || !centre) {
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        goto out;
    }
    tell(fit, "clusters");
    size_t n = look(c, l, view, unit);
    report->cosine = kmeans_unit(unit, n, l->dims, l->clusters, fit->seed, centre);
    for (int k = 0; k < l->clusters; k++)
        memcpy(l->centre[k], centre + k * l->dims, (size_t)l->dims * sizeof *centre);
    if (fit->labels) {
        tell(fit, "labels");
        (void)look(c, l, view, NULL);
        s = lens_fit_labels(c, view, l, &report->score, problem);
    }
out:
    free(view);
    free(unit);
    free(centre);
    return s;
}

enum status lens_fit_run(const struct lens_fit *fit, const struct corpus *c, struct lens *out,
                         struct lens_report *report, struct problem *problem)
{
    memset(out, 0, sizeof *out);
    *report = (struct lens_report){0};
    out->buckets = fit->buckets;
    out->dims = fit->dims;
    out->clusters = fit->clusters;
    out->temperature = 1;
    for (size_t i = 0; i < c->n; i++)
        report->held_out += c->row[i].held_out;
    tell(fit, "n-grams");
    learn_idf(c, out);
    enum status s = learn_directions(fit, c, out, report, problem);
    return s == STATUS_OK ? learn_rest(fit, c, out, report, problem) : s;
}
