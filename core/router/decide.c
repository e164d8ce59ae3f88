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
#include "bandit/policy/pmf.h"
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "core/features/features.h"
#include "core/guard/guard.h"
#include "core/router/choose.h"
#include "core/router/decide_pools.h"
#include "core/router/eligible.h"
#include "core/router/lookahead.h"
#include "core/router/router_state.h"
#include "core/router/rules.h"
#include "core/router/sticky.h"

/* Multiplications of a decision from which on threads are worth waking: some 20 us. */
enum { SHARED_WORK = 200000 };

void router_parallel(struct router *r, struct parallel *parallel)
{
    r->parallel = parallel;
}

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
    int baseline = r->params.baseline[0] ? catalog_find(&p->catalog, p->baseline)
                                         : rules_extreme(&p->catalog, true);
    d->baseline = (uint8_t)(baseline >= 0 ? baseline : 0);
}

struct predicting {
    const struct learner *learner;
    const struct model *model;
    const struct event_decided *decided;
    const double *x;
    struct prediction *out;
};

static void predict_one(void *arg, int a)
{
    const struct predicting *p = arg;
    learner_predict(p->learner, &p->model[a], a, p->x, p->decided, &p->out[a]);
}

static void predict_all(const struct router *r, struct event_decided *d, struct prediction *out)
{
    double x[DIM_MAX];
    for (int i = 0; i < d->d; i++)
        x[i] = (double)d->x[i];
    struct predicting p = {router_learner(r, d->learner), r->params.catalog.model, d, x, out};
    int n = r->params.catalog.n;
    if (r->parallel && n * d->d * d->d >= SHARED_WORK)
        r->parallel->each(r->parallel, n, predict_one, &p);
    else
        for (int a = 0; a < n; a++)
            predict_one(&p, a);
}

/* What one dollar-sized unit is: configured, or the mean cost of the dearest model so far. */
static double cost_scale(const struct router *r, const struct params *p,
                         const struct prediction *pr)
{
    if (p->objective.cost_scale_usd > 0)
        return p->objective.cost_scale_usd;
    if (r->dearest_n > 0 && r->dearest_usd > 0)
        return r->dearest_usd;
    double dearest = 0;
    for (int a = 0; a < r->params.catalog.n; a++)
        if (r->params.catalog.model[a].active && pr[a].cost_usd > dearest)
            dearest = pr[a].cost_usd;
    return dearest > 0 ? dearest : 1e-3;
}

/* Weighs what is predicted of the eligible models, under p. */
static void weigh(const struct router *r, const struct params *p, const struct prediction *pr,
                  struct event_decided *d)
{
    d->policy = (uint8_t)policy_index(p->policy.name);
    d->weight_quality = p->objective.quality;
    d->weight_cost = p->objective.cost;
    d->weight_latency = p->objective.latency;
    d->weight_failure = p->objective.failure;
    d->cost_scale_usd = cost_scale(r, p, pr);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        choose_view(p, d, &pr[a], &d->view[a]);
    }
    lookahead_add(p, r->pacer.mu, d);
}

static int preferred_model(const struct params *p, const struct request *req,
                           struct event_decided *d)
{
    bool matched;
    if (strcmp(p->policy.name, "rules") == 0) {
        int slot = rules_model(p, req, d->prompt_tokens, &matched);
        d->reasons |= matched ? REASON_RULE : 0;
        return slot;
    }
    return choose_preferred(p);
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

/* The side that decides: what is in force, or the canary. */
static const struct params *side_of(const struct router *r, const struct event_decided *d)
{
    return d->reasons & REASON_CANARY ? &r->other : &r->params;
}

/* What the side's policy makes of the views, before anything guards it. */
static void policy_of_side(const struct router *r, uint64_t seq, int64_t now_ms,
                           const struct request *req, struct event_decided *d, const int *slots,
                           int n, double *pmf)
{
    const struct params *p = side_of(r, d);
    int preferred = preferred_model(p, req, d);
    struct chooser chooser = {.params = p,
                              .pacer = &r->pacer,
                              .rate_usd = router_paced_rate(r, now_ms, d),
                              .booked_usd = r->booked_usd,
                              .labels = router_census(r, d->learner)->labels[TARGET_QUALITY],
                              .learner = router_learner(r, d->learner),
                              .clock_ms = r->clock_ms,
                              .seed = choose_seed(r->init.seed, d->epoch, seq)};
    router_price(r, now_ms, d);
    choose_pmf(&chooser, d, slots, n, preferred, pmf);
    if (d->floor > 0)
        mix_quota(r, d, slots, n, pmf);
    if (preferred < 0)
        sticky_pmf(r, d, slots, n, pmf);
}

/* Whether the canary is tried on requests like this one. */
static bool on_trial(const struct router *r, const struct event_decided *d)
{
    return r->canary.since > 0 && !d->labels.session[0] && !router_isolated(r, d->learner);
}

/* What the label will say of the two sides; pmf is that of the side which decides. */
static void compare_sides(const struct router *r, uint64_t seq, int64_t now_ms,
                          const struct request *req, const struct prediction *pr, const int *slots,
                          int n, const double *pmf, struct event_decided *d)
{
    struct event_decided *o = r->trial;
    double others[MODELS_MAX];
    bool canary = d->reasons & REASON_CANARY;
    *o = *d;
    o->reasons ^= REASON_CANARY;
    o->quota = 0;
    weigh(r, side_of(r, o), pr, o);
    policy_of_side(r, seq, now_ms, req, o, slots, n, others);
    d->edge = canary_edge(canary ? d : o, slots, n, canary ? pmf : others, canary ? others : pmf,
                          d->arm, r->params.canary.share);
}

static void draw(const struct router *r, uint64_t seq, int64_t now_ms, const struct request *req,
                 const struct prediction *pr, struct event_decided *d)
{
    int slots[MODELS_MAX], n = choose_slots(d, slots);
    double pmf[MODELS_MAX];
    struct hull_sides sides;
    policy_of_side(r, seq, now_ms, req, d, slots, n, pmf);
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
    else if (on_trial(r, d))
        compare_sides(r, seq, now_ms, req, pr, slots, n, pmf, d);
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
    d->booked_nano = (int64_t)((double)d->view[d->arm].cost_nano * pacer_truth(&r->pacer) + 0.5);
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
    if (on_trial(r, d) && canary_draws(r->init.seed, d->epoch, seq, r->params.canary.share))
        d->reasons |= REASON_CANARY;
    weigh(r, side_of(r, d), pr, d);
    draw(r, seq, now_ms, req, pr, d);
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
