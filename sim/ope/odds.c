/* SPDX-License-Identifier: MIT */
/*
 * For each arm a logistic regression on the features: a row of the log counts with the target's
 * probability of the arm on the one side, and as one on the other if the arm was logged. Both sides
 * have as much mass in all, so the odds are pi / mu of that arm. Newton's method, with a ridge.
 */
#include "sim/ope/odds.h"

#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sim/ope/fit.h"

enum { STEPS = 12, WIDE = DIM_MAX + 1 };
static const double RIDGE = 1, MOST = 30; /* of the log-odds */

struct regression {
    const struct ope_rows *r;
    const double *pi;
    size_t d; /* with the bias */
    double gram[WIDE * WIDE], gradient[WIDE], theta[WIDE];
};

static double log_odds(const struct regression *g, size_t i)
{
    const float *x = g->r->x + i * (size_t)g->r->d;
    double s = g->theta[g->d - 1];
    for (size_t j = 0; j + 1 < g->d; j++)
        s += g->theta[j] * (double)x[j];
    return fmin(fmax(s, -MOST), MOST);
}

/* What a row adds to gradient and curvature. */
static void add(struct regression *g, size_t i, size_t arm)
{
    double z[WIDE], p = 1 / (1 + exp(-log_odds(g, i)));
    double is = g->pi[i * (size_t)g->r->k + arm], was = g->r->arm[i] == arm;
    double slope = is * (1 - p) - was * p, curve = (is + was) * p * (1 - p);
    for (size_t j = 0; j + 1 < g->d; j++)
        z[j] = (double)g->r->x[i * (size_t)g->r->d + j];
    z[g->d - 1] = 1;
    for (size_t a = 0; a < g->d; a++) {
        g->gradient[a] += slope * z[a];
        for (size_t b = 0; b <= a; b++)
            g->gram[a * g->d + b] += curve * z[a] * z[b];
    }
}

/* One step; false when there is no more to gain. */
static bool step(struct regression *g, size_t fold, size_t arm)
{
    double most = 0;
    memset(g->gram, 0, g->d * g->d * sizeof *g->gram);
    for (size_t a = 0; a < g->d; a++) {
        g->gradient[a] = -RIDGE * g->theta[a];
        g->gram[a * g->d + a] = RIDGE;
    }
    for (size_t i = 0; i < g->r->n; i++)
        if (fit_fold(g->r, i) != fold)
            add(g, i, arm);
    gsl_matrix_view A = gsl_matrix_view_array(g->gram, g->d, g->d);
    gsl_vector_view b = gsl_vector_view_array(g->gradient, g->d);
    if (gsl_linalg_cholesky_decomp1(&A.matrix) != 0)
        return false;
    gsl_linalg_cholesky_svx(&A.matrix, &b.vector);
    for (size_t a = 0; a < g->d; a++) {
        g->theta[a] += g->gradient[a];
        most = fmax(most, fabs(g->gradient[a]));
    }
    return most > 1e-8;
}

enum status odds_fill(const struct ope_rows *r, const double *pi, double *weight,
                      struct problem *problem)
{
    struct regression *g = malloc(sizeof *g);
    if (!g)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    *g = (struct regression){.r = r, .pi = pi, .d = (size_t)r->d + 1};
    for (size_t fold = 0; fold < FIT_FOLDS; fold++) {
        for (size_t arm = 0; arm < r->arms.n; arm++) {
            memset(g->theta, 0, sizeof g->theta);
            for (int s = 0; s < STEPS && step(g, fold, arm);)
                s++;
            for (size_t i = 0; i < r->n; i++)
                if (r->arm[i] == arm && fit_fold(r, i) == fold)
                    weight[i] = exp(log_odds(g, i));
        }
    }
    free(g);
    return STATUS_OK;
}
