/* SPDX-License-Identifier: MIT */
/*
 * Turns domain labels into regression rows and back. Tokens and latency are learned as log(1 + y)
 * (heavy tails), their means recovered by a smearing ratio: sum of y over sum of exp(theta'x), per
 * model (Duan 1983). Dollars are never learned: cost = tokens x current price x (reported/computed
 * cost), so a price change is exact at once.
 *
 * A shared prior (empirical Bayes, ridge_pool) lets models borrow each other's notion of which
 * requests are hard; each model's own level stays with its bias.
 *
 * A tenant's learner is the same thing with a parent, from which it has its priors and borrows rows
 * (ridge_refresh_from). Labels that reach two learners are the same rows in both, and what a tenant
 * taught its parent it also borrows back: while the parent has few other rows, a tenant's own count
 * up to twice. Their smearing ratios, too, are taken against the prediction that was made.
 *
 * Considered and not done: one Gram matrix for all targets of completion (tokens, latency,
 * failure). It saves memory but needs all of them reported together, which callers do not do.
 */
#include "core/learn/learner.h"

#include <math.h>
#include <string.h>
#include "bandit/pool.h"
#include "bandit/repro.h"
#include "bandit/rng.h"
#include "core/features/features.h"
#include "core/learn/learner_inside.h"

/* Noise guesses, worth NOISE_WEIGHT observations: variance of quality in [0,1], of log(1+tokens),
 * of log(1+ms), of a failure indicator. */
static const double noise_guess[TARGETS] = {0.12, 0.5, 0.3, 0.02};
static const double NOISE_WEIGHT = 20;
/* The level common to all models is worth one observation. */
static const double POOL_LEVEL_PRECISION = 1;
/* Scales of the priors: where they start, how far they may go, and from how many labels on. The
 * shared part follows the data ten times sooner than any model may leave it. */
static const struct precision_scale SCALE_START = {.declared = 1, .text = 1, .shared = 0.1};
static const double SCALE_LEAST = 1.0 / 512, SCALE_MOST = 64;
enum { TUNE_FROM = 100, DRIFT_FROM = 50, QUOTA_FROM = 100 };
static const double LABEL_RATE_SPAN = 512; /* decisions that the label rate is averaged over */
/* Dearer models are better: this much quality per decade of list price, around QUALITY_MIDDLE. */
static const double QUALITY_MIDDLE = 0.5, QUALITY_PER_DECADE = 0.08;
static const double FAILURE_TYPICAL = 0.01;

static double log10_price(const struct model *m)
{
    double price = (double)(m->price.in + m->price.out);
    return price > 0 ? repro_log2(price) * 0.30102999566398120 : 0;
}

/* What quality to expect of a model nobody has tried: told, or by its price among the others. */
static double typical_quality(const struct catalog *c, int arm)
{
    if (c->model[arm].typical_quality >= 0)
        return c->model[arm].typical_quality;
    double sum = 0;
    int n = 0;
    for (int a = 0; a < c->n; a++)
        if (c->model[a].active) {
            sum += log10_price(&c->model[a]);
            n++;
        }
    double above = n ? log10_price(&c->model[arm]) - sum / n : 0;
    double q = QUALITY_MIDDLE + QUALITY_PER_DECADE * above;
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

static double typical(const struct catalog *c, int arm, enum target t)
{
    switch (t) {
    case TARGET_QUALITY:
        return typical_quality(c, arm);
    case TARGET_TOKENS:
        return repro_log(1 + c->model[arm].typical_output_tokens);
    case TARGET_LATENCY:
        return repro_log(1 + c->model[arm].typical_latency_ms);
    default:
        return FAILURE_TYPICAL;
    }
}

static void set_prior(struct learner *l, const struct params *p, int arm, enum target t)
{
    const struct learner *from = l->parent ? l->parent : l;
    double precision[DIM_MAX], mean[DIM_MAX] = {0};
    features_precision(p, &l->layout, t, &from->scale, precision);
    if (from == l || learner_takes(l))
        memcpy(mean, from->pooled[t], sizeof mean);
    mean[0] += typical(&p->catalog, arm, t);
    ridge_prior(l->ridge[arm][t], precision, mean);
    l->dirty[arm][t] = DIRTY_ALL;
}

static void refresh(struct learner *l, const struct params *p, int arm, enum target t,
                    int64_t now_ms)
{
    const struct ridge *lender = l->parent ? l->parent->ridge[arm][t] : NULL;
    if (l->parent) /* what the models have in common is estimated there */
        set_prior(l, p, arm, t);
    ridge_set_label_rate(l->ridge[arm][t], l->label_rate);
    const struct ridge *sibling = NULL;
    for (int u = 0; u < (int)t; u++)
        if (ridge_twins(l->ridge[arm][u], l->ridge[arm][t]))
            sibling = l->ridge[arm][u]; /* the last: quality has a prior of its own */
    (void)ridge_refresh_from(l->ridge[arm][t], lender, l->borrows, now_ms, sibling);
    l->dirty[arm][t] = DIRTY_ALL;
}

void learner_renew(struct learner *l, const struct params *p, int arm, enum target t,
                   int64_t now_ms)
{
    set_prior(l, p, arm, t);
    refresh(l, p, arm, t, now_ms);
}

void learner_attach(struct learner *l, const struct learner *parent,
                    const struct learner_spec *spec, int index)
{
    l->parent = parent;
    l->borrows = spec->borrows;
    l->index = index;
}

static bool shape_arm(struct learner *l, const struct params *p, int arm, int64_t now_ms)
{
    if (!l->ridge[arm][TARGET_QUALITY] && l->labels[TARGET_QUALITY] >= QUOTA_FROM)
        l->quota_until[arm] = p->learner.quota_labels; /* joins a learner that knows the others */
    for (int t = 0; t < TARGETS; t++) {
        if (!l->ridge[arm][t])
            l->ridge[arm][t] =
                ridge_new(l->d, l->forgets.half_life_ms, noise_guess[t], NOISE_WEIGHT);
        if (!l->ridge[arm][t])
            return false;
        ridge_set_half_life(l->ridge[arm][t], l->forgets.half_life_ms, now_ms);
        learner_renew(l, p, arm, (enum target)t, now_ms);
    }
    return true;
}

/* Carries what was learned over to another layout of x. */
static bool carry_over(struct learner *l, const struct layout *to)
{
    int map[DIM_MAX], d = features_dim(to);
    double pooled[TARGETS][DIM_MAX] = {{0}};
    features_map(&l->layout, to, map);
    for (int a = 0; a < MODELS_MAX; a++)
        for (int t = 0; t < TARGETS; t++) {
            struct ridge *old = l->ridge[a][t];
            if (!old)
                continue;
            if (!(l->ridge[a][t] = ridge_reshape(old, d, map))) {
                l->ridge[a][t] = old;
                return false;
            }
            ridge_free(old);
        }
    for (int t = 0; t < TARGETS; t++)
        for (int i = 0; i < d; i++)
            pooled[t][i] = map[i] >= 0 ? l->pooled[t][map[i]] : 0;
    memcpy(l->pooled, pooled, sizeof pooled);
    l->layout = *to;
    l->d = d;
    return true;
}

bool learner_shape(struct learner *l, const struct params *p, const struct lens *lens,
                   int64_t now_ms)
{
    struct layout layout = features_layout(p, lens);
    uint64_t schema = features_schema(&layout);
    bool first = l->schema == 0, changed = first || schema != features_schema(&l->layout);
    if (first)
        l->scale = SCALE_START;
    if (changed && (!learner_room(l, features_dim(&layout)) || !carry_over(l, &layout)))
        return false;
    if (changed) /* entries that went and came back have lost what they knew: not the same schema */
        l->schema = first ? schema : mix64(l->schema ^ schema);
    learner_forget(l, p, first, now_ms);
    l->n_arms = p->catalog.n;
    for (int a = 0; a < l->n_arms; a++)
        if (!shape_arm(l, p, a, now_ms))
            return false;
    return true;
}

/* ---- learning ---- */

enum { PENDING_AT_ONCE = 64 };

/* Renew a regression often while it knows little, then every refresh_labels rows. known: the rows
 * it has. */
static bool due(const struct ridge *r, const struct params *p, int64_t known)
{
    int64_t stale = ridge_stale(r);
    return stale > 0 && (stale >= p->learner.refresh_labels || stale * 8 >= known);
}

/* How far a label lies from what the regression said when the decision was made, in deviations. */
static bool residual(const struct learner *l, const struct decision_row *row, enum target t,
                     double label, double *z)
{
    const struct ridge *r = l->ridge[row->arm][t];
    double sd = t == TARGET_QUALITY ? (double)row->quality_sd : 0;
    double mean = t == TARGET_QUALITY  ? (double)row->quality_mean
                  : t == TARGET_TOKENS ? repro_log(1 + (double)row->tokens_raw)
                                       : repro_log(1 + (double)row->latency_raw);
    if (t == TARGET_FAILURE || ridge_count(r) < DRIFT_FROM)
        return false;
    *z = (label - mean) / sqrt(ridge_sigma2(r) + sd * sd);
    return true;
}

static void watch(struct learner *l, const struct params *p, const struct decision_row *row,
                  enum target t, double label)
{
    double z;
    if (!(p->learner.drift_threshold > 0) || !residual(l, row, t, label, &z))
        return;
    struct drift *d = &l->drift[row->arm][t];
    if (!drift_add(d, z, (double)row->weight, p->learner.drift_slack, p->learner.drift_threshold) ||
        l->alarm)
        return;
    l->alarm = 1 + row->arm * TARGETS + (int)t;
    l->alarm_up = d->up > d->down;
}

void learner_drifted(struct learner *l, const struct params *p, int arm, enum target t,
                     int64_t now_ms)
{
    l->alarm = 0;
    drift_reset(&l->drift[arm][t]);
    ridge_fade(l->ridge[arm][t], p->learner.drift_keep, now_ms);
    refresh(l, p, arm, t, now_ms);
    if (t == TARGET_QUALITY)
        l->quota_until[arm] = l->arm_labels[arm] + p->learner.quota_labels / 2;
}

bool learner_quota(const struct learner *l, int arm)
{
    return l->arm_labels[arm] < l->quota_until[arm];
}

static void smear_change(struct learner *l, const struct decision_row *row, enum target t,
                         struct label_change c)
{
    double raw = t == TARGET_TOKENS ? (double)row->tokens_raw : (double)row->latency_raw;
    struct ratio *r = &l->smear[row->arm][t];
    if (c.had)
        ratio_add(r, &l->forgets, repro_exp(c.before), raw + 1, row->time_ms, -(double)row->weight);
    if (c.has)
        ratio_add(r, &l->forgets, repro_exp(c.after), raw + 1, row->time_ms, (double)row->weight);
}

/* The priors of the pooled target under a trial of its scales. */
struct trial {
    double precision[DIM_MAX], shared[DIM_MAX], level[MODELS_MAX], mean[DIM_MAX], evidence;
};

static bool try_scales(const struct learner *l, const struct params *p,
                       const struct precision_scale *scale, bool score, int64_t now_ms,
                       struct trial *out)
{
    const enum target t = TARGET_QUALITY;
    struct ridge *ridges[MODELS_MAX];
    features_precision(p, &l->layout, t, scale, out->precision);
    for (int i = 0; i < l->d; i++)
        out->shared[i] = out->precision[i] * scale->shared;
    out->shared[0] = POOL_LEVEL_PRECISION;
    for (int a = 0; a < l->n_arms; a++) {
        ridges[a] = l->ridge[a][t];
        out->level[a] = typical(&p->catalog, a, t);
    }
    struct pool_prior prior = {out->level, out->precision, out->shared, noise_guess[t],
                               NOISE_WEIGHT};
    return ridge_pool(ridges, l->n_arms, &prior, now_ms, l->room, out->mean,
                      score ? &out->evidence : NULL);
}

/* One pass of coordinate ascent over the scales, a factor 4 either way, by marginal likelihood. */
static void tune(struct learner *l, const struct params *p, int64_t now_ms)
{
    struct trial best, other;
    if (!try_scales(l, p, &l->scale, true, now_ms, &best))
        return;
    for (int k = 0; k < 3; k++) {
        for (int up = 0; up < 2; up++) {
            struct precision_scale s = l->scale;
            double *knob = k == 0 ? &s.declared : k == 1 ? &s.text : &s.shared;
            *knob *= up ? 4 : 0.25;
            if (*knob < SCALE_LEAST || *knob > SCALE_MOST)
                continue;
            if (try_scales(l, p, &s, true, now_ms, &other) && other.evidence > best.evidence) {
                best = other;
                l->scale = s;
                break;
            }
        }
    }
}

/* Re-estimates what all models have in common and lets each start from it. The scales of the priors
 * are tuned each time the labels have doubled, and when labels they were tuned on have been taken
 * back.
 */
static void pool(struct learner *l, const struct params *p, int64_t now_ms)
{
    const enum target t = TARGET_QUALITY;
    struct trial now;
    l->since_pool[t] = 0;
    bool grown = l->labels[t] >= 2 * l->tuned_at, shrunk = l->labels[t] < l->tuned_at;
    if ((grown || shrunk) && l->labels[t] >= TUNE_FROM) {
        l->tuned_at = l->labels[t];
        tune(l, p, now_ms);
    }
    if (!try_scales(l, p, &l->scale, false, now_ms, &now))
        return;
    memcpy(l->pooled[t], now.mean, (size_t)l->d * sizeof *now.mean);
    for (int a = 0; a < l->n_arms; a++)
        learner_renew(l, p, a, t, now_ms);
}

/* Quality only: labels are few there. Pooled often while little is known, then ever more rarely. */
static bool pool_due(const struct learner *l, const struct params *p, enum target t)
{
    int64_t since = l->since_pool[t], every = p->learner.pool_labels;
    return !l->parent && t == TARGET_QUALITY && every > 0 && since >= every &&
           since * 8 >= l->labels[t];
}

void learner_pend(struct learner *l, const struct params *p, const struct decision_row *row,
                  const float *x, int rows)
{
    struct ridge *r = l->ridge[row->arm][TARGET_QUALITY];
    double v = (double)row->weight;
    ridge_pend(r, x, rows, v);
    l->dirty[row->arm][TARGET_QUALITY] = DIRTY_ALL;
    if (rows > 0) {
        l->label_rate -= v * l->label_rate / LABEL_RATE_SPAN;
        /* Without labels a row says little: the first at once, then as the others. */
        if (due(r, p, ridge_count(r) + ridge_pending(r) - PENDING_AT_ONCE))
            refresh(l, p, row->arm, TARGET_QUALITY, learner_clock(l));
    }
}

/* What a changed label leads to beyond the sums of its regression. */
static void follow(struct learner *l, const struct params *p, const struct decision_row *row,
                   enum target t, struct label_change c, int64_t now_ms)
{
    const struct ridge *r = l->ridge[row->arm][t];
    int more = (int)c.has - (int)c.had;
    bool own = row->seq != 0 && row->learner == l->index; /* of what was taught, none predicted */
    if (own && more > 0)
        watch(l, p, row, t, c.after);
    if (t == TARGET_TOKENS || t == TARGET_LATENCY)
        smear_change(l, row, t, c);
    l->labels[t] += more;
    if (t == TARGET_QUALITY) {
        l->arm_labels[row->arm] += more;
        l->label_rate += (double)row->weight * more / LABEL_RATE_SPAN;
    }
    l->dirty[row->arm][t] = DIRTY_ALL;
    if (due(r, p, ridge_count(r)))
        refresh(l, p, row->arm, t, now_ms);
    l->since_pool[t]++;
    if (pool_due(l, p, t))
        pool(l, p, now_ms);
}

void learner_change(struct learner *l, const struct params *p, const struct decision_row *row,
                    const float *x, const struct label_change change[TARGETS], int64_t now_ms)
{
    struct ridge_change moved[TARGETS];
    int n = 0;
    if (row->time_ms <= l->since_ms[row->arm])
        return;
    for (int t = 0; t < TARGETS; t++) {
        const struct label_change *c = &change[t];
        if (c->had || c->has)
            moved[n++] = (struct ridge_change){l->ridge[row->arm][t], (int)c->has - (int)c->had,
                                               c->before, c->after};
    }
    ridge_change(moved, n, x, row->time_ms, (double)row->weight);
    for (int t = 0; t < TARGETS; t++)
        if (change[t].had || change[t].has)
            follow(l, p, row, (enum target)t, change[t], now_ms);
}

void learner_cost(struct learner *l, const struct decision_row *row, bool had,
                  int64_t reported_before, int64_t priced_before, bool has, int64_t reported,
                  int64_t priced)
{
    struct ratio *r = &l->cost[row->arm];
    if (row->time_ms <= l->since_ms[row->arm])
        return;
    if (had)
        ratio_add(r, &l->forgets, (double)reported_before, (double)priced_before, row->time_ms,
                  -(double)row->weight);
    if (has)
        ratio_add(r, &l->forgets, (double)reported, (double)priced, row->time_ms,
                  (double)row->weight);
}

bool learner_knows(const struct learner *l, int arm, int64_t labels)
{
    return ridge_count(l->ridge[arm][TARGET_QUALITY]) >= labels ||
           (learner_takes(l) && learner_knows(l->parent, arm, labels));
}

static bool outdated(const struct learner *l, int arm, enum target t, int64_t now_ms)
{
    const struct ridge *r = l->ridge[arm][t];
    return ridge_stale(r) > 0 ||
           (learner_takes(l) && ridge_outdated(r, l->parent->ridge[arm][t], now_ms));
}

int learner_refresh(struct learner *l, const struct params *p, int room, int64_t now_ms)
{
    int64_t since = l->since_pool[TARGET_QUALITY];
    if (!l->parent && p->learner.pool_labels > 0 && since > 0 &&
        since * 256 >= l->labels[TARGET_QUALITY])
        pool(l, p, now_ms);
    for (int a = 0; a < l->n_arms; a++)
        for (int t = 0; t < TARGETS && room > 0; t++)
            if (outdated(l, a, (enum target)t, now_ms)) {
                refresh(l, p, a, (enum target)t, now_ms);
                room--;
            }
    return room;
}
