/* SPDX-License-Identifier: MIT */
#include "sim/ope/fit.h"

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

enum { FOLDS = FIT_FOLDS, FOLD_PURPOSE = 0x666f6c64 };
static const double RIDGE = 1; /* per feature, in rows */

struct fit {
    struct ope_rows *r;
    size_t d, width; /* d with the bias; [d][d] then [d], sums of a fold and an arm */
    double *sums;    /* [FOLDS][arms][width] */
    double *theta;   /* [FOLDS][arms][d] */
    double mean;     /* of all labels: what an arm without rows is worth */
};

size_t fit_fold(const struct ope_rows *r, size_t i)
{
    return (size_t)(mix64(r->unit[i] ^ ((uint64_t)FOLD_PURPOSE << 32)) % FOLDS);
}

static void accumulate(struct fit *f, enum ope_aim aim)
{
    const struct ope_rows *r = f->r;
    double sum = 0, n = 0, z[DIM_MAX + 1];
    memset(f->sums, 0, FOLDS * r->arms.n * f->width * sizeof *f->sums);
    for (size_t i = 0; i < r->n; i++) {
        double y = r->label[aim][i];
        if (isnan(y))
            continue;
        double *s = f->sums + (fit_fold(r, i) * r->arms.n + r->arm[i]) * f->width;
        for (size_t j = 0; j + 1 < f->d; j++)
            z[j] = (double)r->x[i * (size_t)r->d + j];
        z[f->d - 1] = 1;
        for (size_t a = 0; a < f->d; a++)
            for (size_t b = 0; b <= a; b++)
                s[a * f->d + b] += z[a] * z[b];
        for (size_t a = 0; a < f->d; a++)
            s[f->d * f->d + a] += z[a] * y;
        sum += y;
        n++;
    }
    f->mean = n > 0 ? sum / n : 0;
}

/* theta of all folds but one; the ridge pulls towards the mean of all labels. */
static void solve(struct fit *f, size_t fold, size_t arm)
{
    size_t d = f->d, arms = f->r->arms.n;
    double a[(DIM_MAX + 1) * (DIM_MAX + 1)], b[DIM_MAX + 1];
    for (size_t i = 0; i < d * d; i++)
        a[i] = i % (d + 1) == 0 ? RIDGE : 0;
    memset(b, 0, sizeof b);
    b[d - 1] = RIDGE * f->mean;
    for (size_t g = 0; g < FOLDS; g++) {
        const double *s = f->sums + (g * arms + arm) * f->width;
        for (size_t i = 0; g != fold && i < d * d; i++)
            a[i] += s[i];
        for (size_t i = 0; g != fold && i < d; i++)
            b[i] += s[d * d + i];
    }
    gsl_matrix_view A = gsl_matrix_view_array(a, d, d);
    gsl_vector_view B = gsl_vector_view_array(b, d);
    if (gsl_linalg_cholesky_decomp1(&A.matrix) == 0)
        gsl_linalg_cholesky_svx(&A.matrix, &B.vector);
    memcpy(f->theta + (fold * arms + arm) * d, b, d * sizeof *b);
}

static void predict(struct fit *f, enum ope_aim aim)
{
    struct ope_rows *r = f->r;
    for (size_t i = 0; i < r->n; i++) {
        const double *theta = f->theta + fit_fold(r, i) * r->arms.n * f->d;
        const float *x = r->x + i * (size_t)r->d;
        for (size_t a = 0; a < r->arms.n; a++, theta += f->d) {
            double y = theta[f->d - 1];
            for (size_t j = 0; j + 1 < f->d; j++)
                y += theta[j] * (double)x[j];
            r->q[aim][i * (size_t)r->k + a] = (float)y;
        }
    }
    r->has_q[aim] = true;
}

enum status fit_crossed(struct ope_rows *r, struct problem *problem)
{
    size_t d = (size_t)r->d + 1;
    struct fit f = {.r = r, .d = d, .width = d * d + d};
    f.sums = calloc(FOLDS * r->arms.n * f.width + 1, sizeof *f.sums);
    f.theta = calloc(FOLDS * r->arms.n * d + 1, sizeof *f.theta);
    bool ok = f.sums && f.theta;
    for (int aim = 0; ok && aim < AIM_UTILITY; aim++) {
        accumulate(&f, (enum ope_aim)aim);
        for (size_t fold = 0; fold < FOLDS; fold++)
            for (size_t arm = 0; arm < r->arms.n; arm++)
                solve(&f, fold, arm);
        predict(&f, (enum ope_aim)aim);
    }
    free(f.sums);
    free(f.theta);
    return ok ? STATUS_OK : problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
}
