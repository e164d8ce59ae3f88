/* SPDX-License-Identifier: MIT */
/*
 * From a request to a drawn model. Quality, tokens, latency and failure are predicted apart; prices
 * and reward weights enter only here, so changing them relearns nothing: U_a = w_q v q_a - w_l l_a
 * / L0 - w_f p_a - lambda c_a,   lambda = max(w_c / C0, mu) with v the request's value, C0 the cost
 * scale and mu the multiplier of its budgets (quality points per dollar; those of tokens likewise).
 * The policy turns means and deviations of U into probabilities; exploration is mixed in; the model
 * is drawn from exactly the pmf that is logged.
 */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "bandit/pmf.h"
#include "bandit/policy.h"
#include "bandit/rng.h"
#include "core/decide_pools.h"
#include "core/eligible.h"
#include "core/features.h"
#include "core/guard.h"
#include "core/lookahead.h"
#include "core/router_state.h"
#include "core/rules.h"
#include "core/sticky.h"

/* What the lens says of the prompt. A declared task needs no guess. */
static void note_view(const struct lens *lens, const struct lens_view *v, struct event_decided *d)
{
    d->cluster = lens ? (uint8_t)v->cluster : CLUSTER_NONE;
    d->complexity = v->complexity;
    memset(d->domain, 0, sizeof d->domain);
    if (lens && v->label >= 0 && !d->labels.task[0])
        memcpy(d->domain, lens->label[v->label], sizeof d->domain);
}

static void describe(const struct router *r, const struct request *req, struct event_decided *d)
{
    const struct params *p = &r->params;
    const struct lens *lens = r->learner.layout.lens ? r->lens : NULL;
    struct lens_view view;
    memcpy(d->request_id, req->request_id, sizeof d->request_id);
    d->attempt = req->attempt;
    d->labels = req->labels;
    d->learner = (uint8_t)router_learner_of(r, req->labels.tenant);
    d->request_digest = req->digest;
    d->schema = r->learner.schema;
    d->config_seq = r->config_seq;
    d->epoch = r->epoch;
    d->policy = (uint8_t)policy_index(p->policy.name);
    d->n_arms = (uint8_t)p->catalog.n;
    d->value = req->value > 0 ? req->value : value_of(&p->value, &req->labels);
    d->prompt_tokens = req->prompt_tokens >= 0 ? req->prompt_tokens : features_tokens(req);
    d->cached_tokens =
        req->cached_tokens < d->prompt_tokens ? req->cached_tokens : d->prompt_tokens;
    d->max_output_tokens = req->max_output_tokens;
    d->batch = req->batch;
    d->d = r->learner.d;
    features_build(p, lens, req, d->x, &view);
    note_view(req->prompt ? lens : NULL, &view, d);
    d->weight_quality = p->objective.quality;
    d->weight_cost = p->objective.cost;
    d->weight_latency = p->objective.latency;
    d->weight_failure = p->objective.failure;
    int baseline = r->params.baseline[0] ? catalog_find(&p->catalog, p->baseline)
                                         : rules_extreme(&p->catalog, true);
    d->baseline = (uint8_t)(baseline >= 0 ? baseline : 0);
}

static void predict_all(const struct router *r, struct event_decided *d, struct prediction *out)
{
    const struct learner *l = router_learner(r, d->learner);
    double x[DIM_MAX];
    for (int i = 0; i < d->d; i++)
        x[i] = (double)d->x[i];
    for (int a = 0; a < r->params.catalog.n; a++)
        learner_predict(l, &r->params.catalog.model[a], a, x, d, &out[a]);
}

/* What one dollar-sized unit is: configured, or the mean cost of the dearest model so far. */
static double cost_scale(const struct router *r, const struct prediction *pr)
{
    if (r->params.objective.cost_scale_usd > 0)
        return r->params.objective.cost_scale_usd;
    if (r->dearest_usd > 0)
        return r->dearest_usd;
    double dearest = 0;
    for (int a = 0; a < r->params.catalog.n; a++)
        if (r->params.catalog.model[a].active && pr[a].cost_usd > dearest)
            dearest = pr[a].cost_usd;
    return dearest > 0 ? dearest : 1e-3;
}

static void view_arm(const struct router *r, const struct event_decided *d,
                     const struct prediction *pr, struct arm_view *v)
{
    const struct objective *w = &r->params.objective;
    double wq = w->quality * d->value, wl = w->latency / w->latency_scale_ms;
    double merit = wq * pr->quality - wl * pr->latency_ms - w->failure * pr->failure;
    double sq = wq * pr->quality_sd, sl = wl * pr->latency_sd, sf = w->failure * pr->failure_sd;
    v->mean[TARGET_QUALITY] = (float)pr->quality;
    v->mean[TARGET_TOKENS] = (float)pr->tokens;
    v->mean[TARGET_LATENCY] = (float)pr->latency_ms;
    v->mean[TARGET_FAILURE] = (float)pr->failure;
    v->sd[TARGET_QUALITY] = (float)pr->quality_sd;
    v->sd[TARGET_TOKENS] = (float)pr->tokens_sd;
    v->sd[TARGET_LATENCY] = (float)pr->latency_sd;
    v->sd[TARGET_FAILURE] = (float)pr->failure_sd;
    v->merit = (float)merit;
    double width = policy_at(d->policy)->bonus ? 1 : r->params.policy.width;
    v->merit_sd = (float)(width * sqrt(sq * sq + sl * sl + sf * sf));
    v->cost_nano = (int64_t)(pr->cost_usd * 1e9 + 0.5);
}

/* Exploration mass: falls with what has been learned (declared schedule), never below its minimum.
 */
static double exploration(const struct router *r, const struct learner *census)
{
    double n = (double)census->labels[TARGET_QUALITY];
    double e = r->params.policy.floor;
    if (n > 0)
        e = fmin(e, r->params.policy.floor_scale / sqrt(n));
    return fmin(fmax(e, r->params.policy.floor_min), r->params.policy.floor);
}

/* The mass is shared so that exploring a model 500 times dearer does not eat the budget. */
static void exploration_shares(const struct router *r, const struct event_decided *d,
                               const int *slots, int n, double *share)
{
    double paced = router_paced_rate(r, d->charge.paced), least = INFINITY;
    for (int i = 0; i < n; i++)
        least = fmin(least, (double)d->view[slots[i]].cost_nano * 1e-9);
    for (int i = 0; i < n; i++) {
        double cost = (double)d->view[slots[i]].cost_nano * 1e-9;
        share[i] = paced > 0                                   ? pacer_share(paced, least, cost)
                   : r->booked_usd > 0 && cost > r->booked_usd ? r->booked_usd / cost
                                                               : 1;
    }
}

static int preferred_model(const struct router *r, const struct request *req,
                           struct event_decided *d)
{
    const struct params *p = &r->params;
    bool matched;
    if (strcmp(p->policy.name, "rules") == 0) {
        int slot = rules_model(p, req, d->prompt_tokens, &matched);
        d->reasons |= matched ? REASON_RULE : 0;
        return slot;
    }
    if (strcmp(p->policy.name, "fixed") == 0)
        return p->policy.model[0] ? catalog_find(&p->catalog, p->policy.model)
                                  : rules_extreme(&p->catalog, true);
    return -1;
}

static int list_eligible(const struct event_decided *d, int *slots)
{
    int n = 0;
    for (uint64_t m = d->eligible; m; m &= m - 1)
        slots[n++] = __builtin_ctzll(m);
    return n;
}

/* What each model is worth and costs whatever the request: the mean of its predictions over the
 * pacer's window. Averages of its labels instead would be of the requests it was chosen for. A
 * model that the window does not know is taken as it looks now. */
static void overall_views(const struct router *r, const struct event_decided *d, const int *slots,
                          int n, double *value, double *cost)
{
    const struct pacer *p = &r->pacer;
    int64_t entries = p->total < PACE_WINDOW ? p->total : PACE_WINDOW;
    double price = d->weight_cost / d->cost_scale_usd; /* the rate stands in for the multiplier */
    for (int i = 0; i < n; i++) {
        int64_t seen = 0;
        double merit = 0, usd = 0;
        for (int64_t k = 0; k < entries; k++) {
            if (!(p->window[k].eligible >> slots[i] & 1))
                continue;
            merit += (double)p->window[k].merit[slots[i]];
            usd += (double)p->window[k].cost_usd[slots[i]];
            seen++;
        }
        const struct arm_view *now = &d->view[slots[i]];
        cost[i] = seen > 0 ? usd / (double)seen : (double)now->cost_nano * 1e-9;
        value[i] = (seen > 0 ? merit / (double)seen : (double)now->merit) - price * cost[i];
    }
}

/* What beta_ts goes by: quality labels of each model whatever the request, as far as they have not
 * faded, and its utility but for quality. */
static void counts(const struct router *r, const struct event_decided *d, const int *slots,
                   struct policy_view *v, double *wins, double *losses, double *base)
{
    const struct learner *l = router_learner(r, d->learner);
    v->gain = d->weight_quality * d->value;
    for (int i = 0; i < v->n; i++) {
        double weight, sum;
        ridge_total(l->ridge[slots[i]][TARGET_QUALITY], r->clock_ms, &weight, &sum);
        wins[i] = fmax(sum, 0);
        losses[i] = fmax(weight - sum, 0);
        base[i] = v->mean[i] - v->gain * (double)d->view[slots[i]].mean[TARGET_QUALITY];
    }
}

/* Keyed apart from the draw: its streams have a 32-bit purpose. */
static uint64_t policy_seed(const struct router *r, const struct event_decided *d, uint64_t seq)
{
    struct rng g = rng_stream(r->init.seed, (uint64_t)1 << 32 | d->epoch, seq);
    return rng_next(&g);
}

static struct policy_params policy_params(const struct params *p, uint64_t seed)
{
    return (struct policy_params){.gamma0 = p->policy.gamma,
                                  .beta = p->policy.beta,
                                  .temperature = p->policy.temperature,
                                  .first_n = p->policy.first,
                                  .heads = (int)p->policy.heads,
                                  .seed = seed};
}

/* What a mix may cost on average so that with the exploration mixed in the rate is met. */
static double mix_rate(const struct router *r, const struct event_decided *d, const int *slots,
                       int n, const double *share)
{
    double rate = router_paced_rate(r, d->charge.paced), explored = 0, shares = 0;
    for (int i = 0; i < n; i++) {
        explored += share[i] * (double)d->view[slots[i]].cost_nano * 1e-9;
        shares += share[i];
    }
    if (!(rate > 0) || d->floor >= 1)
        return rate;
    return fmax((rate - d->floor * explored / shares) / (1 - d->floor), 1e-9 * rate);
}

/* The pmf over the eligible slots as the policy has it, before the floor. v is complete but for its
 * arrays and the index of the preferred slot. */
static void policy_pmf(const struct router *r, const struct event_decided *d, const int *slots,
                       int preferred, struct policy_view *v, double *pmf)
{
    const struct policy_ops *policy = policy_at(d->policy);
    double mean[MODELS_MAX], sd[MODELS_MAX], overall[MODELS_MAX], overall_cost[MODELS_MAX];
    double wins[MODELS_MAX], losses[MODELS_MAX], base[MODELS_MAX];
    v->preferred = -1;
    for (int i = 0; i < v->n; i++) {
        mean[i] = decided_utility(d, slots[i]);
        sd[i] = (double)d->view[slots[i]].merit_sd;
        if (slots[i] == preferred)
            v->preferred = i;
    }
    v->mean = mean;
    v->sd = sd;
    if (policy->overall) {
        overall_views(r, d, slots, v->n, overall, overall_cost);
        v->overall = overall;
        v->overall_cost = overall_cost;
    }
    if (policy->counts) {
        counts(r, d, slots, v, wins, losses, base);
        v->wins = wins;
        v->losses = losses;
        v->base = base;
    }
    policy->pmf(v, pmf);
}

/* New and changed models get a share of the draws until they are known, as long as what that costs
 * stays within its part of all spending. */
static void mix_quota(const struct router *r, struct event_decided *d, const int *slots, int n,
                      double *pmf)
{
    double share[MODELS_MAX], shares = 0, usd = 0;
    for (int i = 0; i < n; i++) {
        share[i] = learner_quota(router_census(r, d->learner), slots[i]) ? 1 : 0;
        shares += share[i];
        usd += share[i] * (double)d->view[slots[i]].cost_nano * 1e-9;
    }
    double allowed = r->params.learner.quota_spend * (double)r->counters.spent_nano;
    if (!(shares > 0) || shares >= n || (double)r->counters.explored_nano > allowed)
        return;
    d->quota = r->params.learner.quota;
    d->quota_nano = (int64_t)(d->quota * usd / shares * 1e9 + 0.5);
    pmf_floor(pmf, n, d->quota, share);
}

static void serve_baseline(const struct event_decided *d, const int *slots, int n, double *pmf)
{
    for (int i = 0; i < n; i++)
        pmf[i] = slots[i] == d->baseline ? 1 : 0;
}

/* The policy against the static hull: what is drawn from becomes a mix of both, and *sides what the
 * label will be about. False: not compared here. */
static bool mix_hull(const struct router *r, struct event_decided *d, const int *slots, int n,
                     double *pmf, struct hull_sides *sides)
{
    double usd = 0;
    for (int i = 0; i < n; i++)
        usd += pmf[i] * (double)d->view[slots[i]].cost_nano;
    d->policy_nano = (int64_t)(usd + 0.5);
    if (router_isolated(r, d->learner) ||
        !hull_guard_serve(&r->hull, &r->params, slots, n, pmf, sides))
        return false;
    double kept = r->hull.guarded ? sides->part : 1 - sides->part;
    d->floor *= kept;
    d->quota *= kept;
    d->quota_nano = (int64_t)((double)d->quota_nano * kept);
    d->reasons |= r->hull.guarded ? REASON_HULL : 0;
    return true;
}

/* The ledger must bear what the policy risks in expectation; else the baseline is served. */
static void mix_guard(const struct router *r, struct event_decided *d, const int *slots, int n,
                      double *pmf)
{
    double alpha = r->params.guard.alpha, after = r->guard_ledger;
    if (!guard_applies(d, alpha))
        return;
    for (int i = 0; i < n; i++)
        after += pmf[i] * guard_gain(d, slots[i], alpha);
    if (after >= 0)
        return;
    serve_baseline(d, slots, n, pmf);
    d->floor = d->quota = 0;
    d->quota_nano = 0;
    d->reasons |= REASON_GUARDED;
}

/* An apprentice's draw is noted, the baseline's model is served. */
static void serve_apprentice(const struct router *r, struct event_decided *d, const int *slots,
                             int n, double *pmf)
{
    d->shadow = (uint8_t)slots[pmf_draw(pmf, n, d->u)];
    d->arm = d->shadow;
    if (!r->params.policy.apprentice || !(d->eligible >> d->baseline & 1))
        return;
    serve_baseline(d, slots, n, pmf);
    d->floor = d->quota = 0;
    d->quota_nano = 0;
    d->arm = d->baseline;
    d->reasons |= REASON_APPRENTICE;
}

static void draw(const struct router *r, uint64_t seq, int64_t now_ms, const struct request *req,
                 struct event_decided *d)
{
    int slots[MODELS_MAX], n = list_eligible(d, slots), preferred = preferred_model(r, req, d);
    double pmf[MODELS_MAX], share[MODELS_MAX];
    struct hull_sides sides;
    const struct learner *census = router_census(r, d->learner);
    d->floor = policy_at(d->policy)->explores ? exploration(r, census) : 0;
    router_price(r, now_ms, d);
    exploration_shares(r, d, slots, n, share);
    struct policy_view view = {.n = n,
                               .labels = census->labels[TARGET_QUALITY],
                               .width = 1,
                               .unit = d->weight_quality * d->value,
                               .rate = mix_rate(r, d, slots, n, share),
                               .params = policy_params(&r->params, policy_seed(r, d, seq))};
    policy_pmf(r, d, slots, preferred, &view, pmf);
    pmf_floor(pmf, n, d->floor, share);
    if (d->floor > 0)
        mix_quota(r, d, slots, n, pmf);
    if (preferred < 0)
        sticky_pmf(r, d, slots, n, pmf);
    bool compared = mix_hull(r, d, slots, n, pmf, &sides);
    mix_guard(r, d, slots, n, pmf);
    assert(pmf_valid(pmf, n));
    struct rng g = rng_stream(r->init.seed, d->epoch, seq);
    d->u = rng_uniform(&g);
    serve_apprentice(r, d, slots, n, pmf);
    for (int i = 0; i < n; i++)
        d->view[slots[i]].pmf = pmf[i];
    d->edge = (struct hull_edge){.reach = 0};
    if (compared && !(d->reasons & (REASON_GUARDED | REASON_APPRENTICE)))
        d->edge = hull_guard_edge(&sides, d, slots, n);
}

/* The first of the best of a set of models. */
static int best_of(const struct event_decided *d, uint64_t set,
                   double (*worth)(const struct event_decided *d, int arm))
{
    int best = __builtin_ctzll(set);
    for (uint64_t m = set; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        if (worth(d, a) > worth(d, best))
            best = a;
    }
    return best;
}

/* The models to try next, best first. */
static void rank_fallbacks(struct event_decided *d)
{
    uint64_t left = d->eligible & ~(1ull << d->arm);
    for (d->n_fallbacks = 0; left && d->n_fallbacks < FALLBACKS_MAX; d->n_fallbacks++) {
        int best = best_of(d, left, decided_utility);
        d->fallback[d->n_fallbacks] = (uint8_t)best;
        left &= ~(1ull << best);
    }
}

static void note_reasons(const struct router *r, struct event_decided *d)
{
    if (!learner_knows(router_learner(r, d->learner), d->arm, 20))
        d->reasons |= REASON_COLD_START;
    if (!(d->reasons & REASON_SESSION) && d->n_fallbacks > 0 &&
        decided_utility(d, d->fallback[0]) > decided_utility(d, d->arm))
        d->reasons |= REASON_EXPLORED;
    if (decided_binds(d)) {
        d->reasons |= REASON_BUDGET_PRESSURE;
        if (best_of(d, d->eligible, decided_plain) != best_of(d, d->eligible, decided_utility))
            d->reasons |= REASON_DEGRADED;
    }
    if (d->attempt.from > 0)
        d->reasons |= REASON_ESCALATED;
    if (d->n_fallbacks == 0)
        d->reasons |= REASON_ONLY_MODEL;
}

static void book_chosen(const struct router *r, const struct prediction *pr,
                        struct event_decided *d)
{
    const struct rates *rates = model_rates(&r->params.catalog.model[d->arm], d->batch);
    d->price_in = rates->in;
    d->price_cached = rates->cached;
    d->price_out = rates->out;
    d->price_reasoning = rates->reasoning;
    d->booked_nano = d->view[d->arm].cost_nano;
    d->tokens_raw = (float)pr[d->arm].tokens_raw;
    d->latency_raw = (float)pr[d->arm].latency_raw;
    double dearest = 0;
    for (int a = 0; a < d->n_arms; a++)
        if (r->params.catalog.model[a].active && pr[a].cost_usd > dearest)
            dearest = pr[a].cost_usd;
    d->dearest_nano = (int64_t)(dearest * 1e9 + 0.5);
}

enum status decide(const struct router *r, uint64_t seq, int64_t now_ms, const struct request *req,
                   struct event_decided *d, struct problem *problem)
{
    struct prediction pr[MODELS_MAX];
    struct pool_ask price[MODELS_MAX];
    d->reasons = 0;
    d->quota = 0;
    d->quota_nano = 0;
    memset(&d->charge, 0, sizeof d->charge);
    describe(r, req, d);
    predict_all(r, d, pr);
    d->baseline_nano = (int64_t)(pr[d->baseline].cost_usd * 1e9 + 0.5); /* as if it were kept to */
    sticky_prices(r, req, d, pr);
    enum status s =
        eligible_models(&r->params, req, d->prompt_tokens, pr, &d->eligible, &d->reasons, problem);
    if (s == STATUS_OK)
        s = decide_afford(r, now_ms, req, pr, d, price, problem);
    if (s != STATUS_OK)
        return s;
    d->cost_scale_usd = cost_scale(r, pr);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        view_arm(r, d, &pr[a], &d->view[a]);
    }
    lookahead_add(&r->params, r->pacer.mu, d);
    draw(r, seq, now_ms, req, d);
    sticky_settle(r, d);
    rank_fallbacks(d);
    note_reasons(r, d);
    book_chosen(r, pr, d);
    decide_charge(r, now_ms, price, d);
    return STATUS_OK;
}

void decide_row(const struct router *r, const struct request *req, int arm,
                struct decision_row *row, float *x)
{
    const struct model *m = &r->params.catalog.model[arm];
    struct event_decided *d = r->trial;
    struct prediction pr;
    double at[DIM_MAX];
    describe(r, req, d);
    for (int i = 0; i < d->d; i++)
        at[i] = (double)d->x[i];
    learner_predict(router_learner(r, d->learner), m, arm, at, d, &pr);
    const struct rates *rates = model_rates(m, d->batch);
    memcpy(x, d->x, (size_t)d->d * sizeof *x);
    *row = (struct decision_row){.time_ms = r->clock_ms,
                                 .arm = (uint8_t)arm,
                                 .learner = d->learner,
                                 .d = (uint8_t)d->d,
                                 .schema = d->schema,
                                 .prompt_tokens = d->prompt_tokens,
                                 .cached_tokens = d->cached_tokens,
                                 .price_in = rates->in,
                                 .price_cached = rates->cached,
                                 .price_out = rates->out,
                                 .price_reasoning = rates->reasoning,
                                 .tokens_raw = (float)pr.tokens_raw,
                                 .latency_raw = (float)pr.latency_raw,
                                 .weight = 1};
}
