/* SPDX-License-Identifier: MIT */
/*
 * The supervised part of a lens: multinomial logistic regression of the commonest labels (ridge;
 * Nesterov's accelerated gradient with a fixed step 1/L, L by Boehning's bound, 1992), its
 * temperature by likelihood on rows it was not fitted to (Guo et al. 2017), and a ridge regression
 * of how hard a request is (1 - mean quality over models).
 *
 * Of the rows to learn from a seventh, by the hash of the prompt, calibrates. Scores are of the
 * held-out rows; without any, of the calibration rows.
 */
#include "sim/lens/lens_fit.h"

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 400, BINS = 15, CALIBRATE = 7 };
static const double RIDGE_LABEL = 1e-4, RIDGE_HARD = 1;

enum part { LEARN, CALIBRATION, HELD_OUT };

struct fitting {
    const struct corpus *c;
    const struct lens_view *view;
    struct lens *l;
    int *of_label; /* corpus label -> lens label, -1 = too rare */
    int inputs;
    double w[LENS_LABELS_MAX * LENS_INPUTS_MAX];
};

static enum part part_of(const struct corpus_row *row)
{
    if (row->held_out)
        return HELD_OUT;
    return row->hash % CALIBRATE == 0 ? CALIBRATION : LEARN;
}

/* The rare labels together are one more. */
static void add_other(struct fitting *f)
{
    bool any = false;
    for (int i = 0; i < f->c->n_labels; i++) {
        if (f->of_label[i] >= 0 || f->c->label_count[i] == 0)
            continue;
        f->of_label[i] = f->l->labels;
        any = true;
    }
    if (any)
        memcpy(f->l->label[f->l->labels++], "other", sizeof "other");
}

/* The commonest labels, names in the lens. */
static void choose_labels(struct fitting *f)
{
    const struct corpus *c = f->c;
    for (int i = 0; i < c->n_labels; i++)
        f->of_label[i] = -1;
    for (f->l->labels = 0; f->l->labels < LENS_LABELS_MAX - 1; f->l->labels++) {
        int best = -1;
        for (int i = 0; i < c->n_labels; i++)
            if (f->of_label[i] < 0 && c->label_count[i] >= 10 &&
                (best < 0 || c->label_count[i] > c->label_count[best]))
                best = i;
        if (best < 0)
            break;
        f->of_label[best] = f->l->labels;
        memcpy(f->l->label[f->l->labels], c->label[best], NAME_CAP);
    }
    if (f->l->labels < 2)
        f->l->labels = 0;
    else
        add_other(f);
}

static int label_at(const struct fitting *f, size_t i)
{
    int label = f->c->row[i].label;
    return label < 0 ? -1 : f->of_label[label];
}

static void softmax(double *z, int n)
{
    double most = z[0], sum = 0;
    for (int k = 1; k < n; k++)
        most = fmax(most, z[k]);
    for (int k = 0; k < n; k++)
        sum += z[k] = exp(z[k] - most);
    for (int k = 0; k < n; k++)
        z[k] /= sum;
}

static void scores_at(const struct fitting *f, const double *w, const float *x, double *z)
{
    for (int k = 0; k < f->l->labels; k++) {
        z[k] = 0;
        for (int j = 0; j < f->inputs; j++)
            z[k] += w[k * f->inputs + j] * (double)x[j];
    }
}

/* Gradient of the mean negative log likelihood at w, ridge included. */
static void gradient_at(const struct fitting *f, const double *w, double *g)
{
    int cells = f->l->labels * f->inputs;
    double n = 0;
    memset(g, 0, (size_t)cells * sizeof *g);
    for (size_t i = 0; i < f->c->n; i++) {
        float x[LENS_INPUTS_MAX];
        double z[LENS_LABELS_MAX];
        int label = label_at(f, i);
        if (label < 0 || part_of(&f->c->row[i]) != LEARN)
            continue;
        (void)lens_inputs(f->l, &f->view[i], x);
        scores_at(f, w, x, z);
        softmax(z, f->l->labels);
        z[label] -= 1;
        for (int k = 0; k < f->l->labels; k++)
            for (int j = 0; j < f->inputs; j++)
                g[k * f->inputs + j] += z[k] * (double)x[j];
        n++;
    }
    for (int i = 0; i < cells; i++)
        g[i] = g[i] / fmax(n, 1) + RIDGE_LABEL * w[i];
}

static void learn_labels(struct fitting *f)
{
    static double v[LENS_LABELS_MAX * LENS_INPUTS_MAX], g[LENS_LABELS_MAX * LENS_INPUTS_MAX];
    int cells = f->l->labels * f->inputs;
    double most = 0, t = 1;
    for (size_t i = 0; i < f->c->n; i++) {
        float x[LENS_INPUTS_MAX];
        double norm = 0;
        (void)lens_inputs(f->l, &f->view[i], x);
        for (int j = 0; j < f->inputs; j++)
            norm += (double)x[j] * (double)x[j];
        most = fmax(most, norm);
    }
    double step = 1 / (0.5 * most + RIDGE_LABEL);
    memset(v, 0, sizeof v);
    memset(f->w, 0, sizeof f->w);
    for (int round = 0; round < ROUNDS; round++) {
        double next = (1 + sqrt(1 + 4 * t * t)) / 2;
        gradient_at(f, v, g);
        for (int i = 0; i < cells; i++) {
            double w = v[i] - step * g[i];
            v[i] = w + (t - 1) / next * (w - f->w[i]);
            f->w[i] = w;
        }
        t = next;
    }
    for (int k = 0; k < f->l->labels; k++)
        for (int j = 0; j < f->inputs; j++)
            f->l->label_weight[k][j] = (float)f->w[k * f->inputs + j];
}

/* ---- temperature ---- */

static double loss_at(const struct fitting *f, double temperature)
{
    double loss = 0;
    for (size_t i = 0; i < f->c->n; i++) {
        float x[LENS_INPUTS_MAX];
        double z[LENS_LABELS_MAX];
        int label = label_at(f, i);
        if (label < 0 || part_of(&f->c->row[i]) != CALIBRATION)
            continue;
        (void)lens_inputs(f->l, &f->view[i], x);
        scores_at(f, f->w, x, z);
        for (int k = 0; k < f->l->labels; k++)
            z[k] /= temperature;
        softmax(z, f->l->labels);
        loss -= log(fmax(z[label], 1e-300));
    }
    return loss;
}

/* Golden section over log T in [1/16, 16]: the loss is unimodal in 1/T. */
static void calibrate(struct fitting *f)
{
    const double ratio = 0.6180339887498949;
    double low = log(1.0 / 16), high = log(16);
    for (int i = 0; i < 24; i++) {
        double a = high - ratio * (high - low), b = low + ratio * (high - low);
        if (loss_at(f, exp(a)) < loss_at(f, exp(b)))
            high = b;
        else
            low = a;
    }
    f->l->temperature = (float)exp((low + high) / 2);
}

/* ---- complexity ---- */

static void add_outer(gsl_matrix *a, gsl_vector *b, const float *x, int n, double y)
{
    for (int j = 0; j < n; j++) {
        for (int k = 0; k < n; k++)
            gsl_matrix_set(a, (size_t)j, (size_t)k,
                           gsl_matrix_get(a, (size_t)j, (size_t)k) + (double)x[j] * (double)x[k]);
        gsl_vector_set(b, (size_t)j, gsl_vector_get(b, (size_t)j) + (double)x[j] * y);
    }
}

static bool learn_complexity(struct fitting *f)
{
    size_t n = (size_t)f->inputs, rows = 0;
    gsl_matrix *a = gsl_matrix_calloc(n, n);
    gsl_vector *b = gsl_vector_calloc(n);
    bool ok = a && b;
    for (size_t i = 0; ok && i < f->c->n; i++) {
        float x[LENS_INPUTS_MAX];
        if (f->c->row[i].hard < 0 || part_of(&f->c->row[i]) != LEARN)
            continue;
        (void)lens_inputs(f->l, &f->view[i], x);
        add_outer(a, b, x, f->inputs, (double)f->c->row[i].hard);
        rows++;
    }
    for (size_t j = 0; ok && j < n; j++)
        gsl_matrix_set(a, j, j, gsl_matrix_get(a, j, j) + (j + 1 < n ? RIDGE_HARD : 1e-6));
    if (ok && rows >= 50) {
        ok = gsl_linalg_cholesky_decomp1(a) == 0 && gsl_linalg_cholesky_svx(a, b) == 0;
        for (size_t j = 0; ok && j < n; j++)
            f->l->complexity_weight[j] = (float)gsl_vector_get(b, j);
        f->l->has_complexity = ok;
    }
    gsl_matrix_free(a);
    gsl_vector_free(b);
    return ok;
}

/* ---- scores ---- */

struct bin {
    double n, right, sure;
};

static double calibration_error(const struct bin *bin)
{
    double error = 0, n = 0;
    for (int i = 0; i < BINS; i++) {
        error += fabs(bin[i].right - bin[i].sure);
        n += bin[i].n;
    }
    return n > 0 ? error / n : 0;
}

/* right: what p foretold, as it turned out, [0,1]. */
static void count_bin(struct bin *bin, double p, double right)
{
    int i = (int)(p * BINS) < BINS ? (int)(p * BINS) : BINS - 1;
    bin[i].n++;
    bin[i].right += right;
    bin[i].sure += p;
}

static void score_labels(const struct fitting *f, enum part part, struct lens_score *out)
{
    struct bin cool[BINS] = {0}, raw[BINS] = {0};
    size_t of[LENS_LABELS_MAX] = {0}, right = 0, most = 0;
    struct lens warm = *f->l;
    warm.temperature = 1;
    for (size_t i = 0; i < f->c->n; i++) {
        struct lens_view v = f->view[i];
        int label = label_at(f, i);
        if (label < 0 || part_of(&f->c->row[i]) != part)
            continue;
        lens_judge(f->l, &v);
        right += v.label == label;
        count_bin(cool, (double)v.posterior[v.label], v.label == label);
        lens_judge(&warm, &v);
        count_bin(raw, (double)v.posterior[v.label], v.label == label);
        most = label >= 0 && ++of[label] > most ? of[label] : most;
        out->n++;
    }
    out->accuracy = out->n ? (double)right / (double)out->n : 0;
    out->majority = out->n ? (double)most / (double)out->n : 0;
    out->ece = calibration_error(cool);
    out->ece_raw = calibration_error(raw);
}

static void score_complexity(const struct fitting *f, enum part part, struct lens_score *out)
{
    double n = 0, sum = 0, square = 0, residual = 0, error = 0;
    struct bin bin[BINS] = {0};
    for (size_t i = 0; i < f->c->n; i++) {
        struct lens_view v = f->view[i];
        double y = (double)f->c->row[i].hard;
        if (y < 0 || part_of(&f->c->row[i]) != part)
            continue;
        lens_judge(f->l, &v);
        n++;
        sum += y;
        square += y * y;
        residual += (y - (double)v.complexity) * (y - (double)v.complexity);
        error += fabs(y - (double)v.complexity);
        count_bin(bin, (double)v.complexity, y);
    }
    double spread = square - sum * sum / fmax(n, 1);
    out->n_hard = (size_t)n;
    out->complexity_r2 = spread > 0 ? 1 - residual / spread : 0;
    out->complexity_error = n > 0 ? error / n : 0;
    out->complexity_ece = calibration_error(bin);
}

enum status lens_fit_labels(const struct corpus *c, const struct lens_view *view, struct lens *l,
                            struct lens_score *score, struct problem *problem)
{
    struct fitting *f = calloc(1, sizeof *f);
    int *of_label = calloc((size_t)c->n_labels + 1, sizeof *of_label);
    bool ok = f && of_label, held_out = false;
    if (ok) {
        *f = (struct fitting){.c = c,
                              .view = view,
                              .l = l,
                              .of_label = of_label,
                              .inputs = l->dims + l->clusters + 1};
        choose_labels(f);
        if (l->labels > 0) {
            learn_labels(f);
            calibrate(f);
        }
        ok = learn_complexity(f);
        for (size_t i = 0; i < c->n; i++)
            held_out = held_out || c->row[i].held_out;
        enum part part = held_out ? HELD_OUT : CALIBRATION;
        if (l->labels > 0)
            score_labels(f, part, score);
        if (l->has_complexity)
            score_complexity(f, part, score);
    }
    free(of_label);
    free(f);
    return ok ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}
