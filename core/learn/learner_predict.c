/* SPDX-License-Identifier: MIT */
/*
 * What a learner says of a model and a request: means and deviations of the targets, and dollars,
 * which are tokens times the price in force times what invoices showed.
 */
#include <math.h>
#include "bandit/repro.h"
#include "core/learn/learner_inside.h"

static const double TOKENS_LIMIT = 1e6, LATENCY_LIMIT = 1e7;

/* ---- running quotients ---- */

/* The quotients of a tenant's learner start from those of the shared one. */
static double smear_value(const struct learner *l, int arm, enum target t)
{
    double toward = learner_takes(l) ? smear_value(l->parent, arm, t) : 1;
    return ratio_value(&l->smear[arm][t], &l->forgets, toward, learner_clock(l));
}

double learner_cost_ratio(const struct learner *l, int arm)
{
    double toward = learner_takes(l) ? learner_cost_ratio(l->parent, arm) : 1;
    return ratio_value(&l->cost[arm], &l->forgets, toward, learner_clock(l));
}

/* ---- predicting ---- */

static double clip(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Posterior deviations of the means. Regressions that saw the same rows are as wide. */
static void predict_sds(struct ridge *const *r, const double *x, double *sd)
{
    double work[DIM_MAX + RIDGE_SPARE], width[TARGETS];
    for (int t = 0; t < TARGETS; t++) {
        int u = 0;
        while (u < t && !ridge_like(r[t], r[u]))
            u++;
        width[t] = u < t ? width[u] : ridge_width(r[t], x, work);
        sd[t] = sqrt(ridge_sigma2(r[t]) * width[t]);
    }
}

/* exp(theta'x) - 1, before and after smearing. */
static double predict_log(const struct ridge *r, const double *x, double limit, double *raw)
{
    *raw = clip(repro_exp(clip(ridge_mean(r, x), 0, 40)) - 1, 0, limit);
    return *raw;
}

static void predict_cost(const struct learner *l, const struct model *m, int arm,
                         const struct event_decided *q, struct prediction *out)
{
    const double usd = 1e-12; /* per picodollar */
    double cached = (double)q->cached_tokens, fresh = (double)(q->prompt_tokens - q->cached_tokens);
    const struct rates *price = model_rates(m, q->batch);
    double input = (double)price->in * fresh + (double)price->cached * cached;
    const struct ratio *r = &l->cost[arm];
    bool priced = price->in > 0 || price->out > 0;
    if (!(r->weight > 0) && learner_takes(l))
        r = &l->parent->cost[arm];
    if (!priced && r->weight > 0) { /* not in the price list: what it has cost so far */
        out->cost_usd = r->num / r->weight * 1e-9;
        out->cost_sd = 0;
        return;
    }
    double k = usd * learner_cost_ratio(l, arm);
    out->cost_usd = k * (input + (double)price->out * out->tokens);
    out->cost_sd = k * (double)price->out * out->tokens_sd;
}

void learner_predict(const struct learner *l, const struct model *m, int arm, const double *x,
                     const struct event_decided *q, struct prediction *out)
{
    struct ridge *const *r = l->ridge[arm];
    double sd[TARGETS];
    predict_sds(r, x, sd);
    out->quality = clip(ridge_mean(r[TARGET_QUALITY], x), 0, 1);
    out->quality_sd = sd[TARGET_QUALITY];
    double limit = q->max_output_tokens > 0 ? (double)q->max_output_tokens : TOKENS_LIMIT;
    double tokens = predict_log(r[TARGET_TOKENS], x, TOKENS_LIMIT, &out->tokens_raw);
    out->tokens = clip(tokens * smear_value(l, arm, TARGET_TOKENS), 0, limit);
    out->tokens_sd = (1 + out->tokens) * sd[TARGET_TOKENS];
    double ms = predict_log(r[TARGET_LATENCY], x, LATENCY_LIMIT, &out->latency_raw);
    out->latency_ms = ms * smear_value(l, arm, TARGET_LATENCY);
    out->latency_sd = (1 + ms) * sd[TARGET_LATENCY];
    out->failure = clip(ridge_mean(r[TARGET_FAILURE], x), 0, 1);
    out->failure_sd = sd[TARGET_FAILURE];
    predict_cost(l, m, arm, q, out);
}
