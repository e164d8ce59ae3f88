/* SPDX-License-Identifier: MIT */
/* What is predicted of a model for the average request: of all that were judged, whichever model
 * answered them, so that models which get other requests can be held against each other. The weight
 * of the bias, what a request without any feature would get, is no such thing: features of a
 * declared request are never all zero. */
#include "core/learn/learner.h"

static double add_up(const struct learner *l, int64_t now_ms, double *x)
{
    double weight = 0;
    for (int i = 0; i < l->d; i++)
        x[i] = 0;
    for (int a = 0; a < l->n_arms; a++)
        weight += ridge_contexts(l->ridge[a][TARGET_QUALITY], now_ms, x);
    return weight;
}

void learner_average(const struct learner *l, int64_t now_ms, double *x)
{
    double weight = add_up(l, now_ms, x);
    if (!(weight > 0) && l->parent)
        weight = add_up(l->parent, now_ms, x);
    for (int i = 0; i < l->d; i++)
        x[i] = weight > 0 ? x[i] / weight : i == 0;
}

double learner_quality(const struct learner *l, int arm, const double *x)
{
    double q = ridge_mean(l->ridge[arm][TARGET_QUALITY], x);
    return q < 0 ? 0 : q > 1 ? 1 : q;
}
