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

/* The quotients of a tenant's learner start from those of the shared one. left: as of now, of the
 * weight that they had at their epoch. */
static double smear_toward(const struct learner *l, int arm, enum target t)
{
    if (!learner_takes(l))
        return 1;
    return ratio_value(&l->parent->smear[arm][t], &l->parent->forgets,
                       smear_toward(l->parent, arm, t), learner_clock(l->parent));
}

static double smear_value(const struct learner *l, int arm, enum target t, double left)
{
    return ratio_value_at(&l->smear[arm][t], smear_toward(l, arm, t), left);
}

static double cost_toward(const struct learner *l, int arm)
{
    return learner_takes(l) ? learner_cost_ratio(l->parent, arm) : 1;
}

double learner_cost_ratio(const struct learner *l, int arm)
{
    return ratio_value(&l->cost[arm], &l->forgets, cost_toward(l, arm), learner_clock(l));
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

/* What a prediction needs of exponentials: exp(theta'x) of tokens and latency, and how much of the
 * running quotients is left of what they were at their epochs. */
enum { EXP_TOKENS, EXP_LATENCY, LEFT_TOKENS, LEFT_LATENCY, LEFT_COST, EXPS };

static void predict_exps(const struct learner *l, int arm, const double *x, double e[EXPS])
{
    struct ridge *const *r = l->ridge[arm];
    int64_t now = learner_clock(l);
    e[EXP_TOKENS] = clip(ridge_mean(r[TARGET_TOKENS], x), 0, 40);
    e[EXP_LATENCY] = clip(ridge_mean(r[TARGET_LATENCY], x), 0, 40);
    e[LEFT_TOKENS] = ratio_age(&l->smear[arm][TARGET_TOKENS], &l->forgets, now);
    e[LEFT_LATENCY] = ratio_age(&l->smear[arm][TARGET_LATENCY], &l->forgets, now);
    e[LEFT_COST] = ratio_age(&l->cost[arm], &l->forgets, now);
    repro_exps(e, LEFT_TOKENS, EXPS);
}

static void predict_cost(const struct learner *l, const struct model *m, int arm,
                         const struct event_decided *q, double left, struct prediction *out)
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
    double k = usd * ratio_value_at(&l->cost[arm], cost_toward(l, arm), left);
    out->cost_usd = k * (input + (double)price->out * out->tokens);
    out->cost_sd = k * (double)price->out * out->tokens_sd;
}

void learner_predict(const struct learner *l, const struct model *m, int arm, const double *x,
                     const struct event_decided *q, struct prediction *out)
{
    struct ridge *const *r = l->ridge[arm];
    double sd[TARGETS], e[EXPS];
    predict_exps(l, arm, x, e);
    predict_sds(r, x, sd);
    out->quality = clip(ridge_mean(r[TARGET_QUALITY], x), 0, 1);
    out->quality_sd = sd[TARGET_QUALITY];
    double limit = q->max_output_tokens > 0 ? (double)q->max_output_tokens : TOKENS_LIMIT;
    out->tokens_raw = clip(e[EXP_TOKENS] - 1, 0, TOKENS_LIMIT);
    out->tokens =
        clip(out->tokens_raw * smear_value(l, arm, TARGET_TOKENS, e[LEFT_TOKENS]), 0, limit);
    out->tokens_sd = (1 + out->tokens) * sd[TARGET_TOKENS];
    out->latency_raw = clip(e[EXP_LATENCY] - 1, 0, LATENCY_LIMIT);
    out->latency_ms = out->latency_raw * smear_value(l, arm, TARGET_LATENCY, e[LEFT_LATENCY]);
    out->latency_sd = (1 + out->latency_raw) * sd[TARGET_LATENCY];
    out->failure = clip(ridge_mean(r[TARGET_FAILURE], x), 0, 1);
    out->failure_sd = sd[TARGET_FAILURE];
    predict_cost(l, m, arm, q, e[LEFT_COST], out);
}
