/* SPDX-License-Identifier: MIT */
#include "core/router/choose.h"

#include <math.h>
#include <string.h>
#include "bandit/policy/pmf.h"
#include "bandit/policy/policy.h"
#include "bandit/rng.h"
#include "core/budget/pace_search.h"
#include "core/router/rules.h"

void choose_view(const struct params *p, const struct event_decided *d, const struct prediction *pr,
                 struct arm_view *v)
{
    const double mean[TARGETS] = {pr->quality, pr->tokens, pr->latency_ms, pr->failure};
    const double sd[TARGETS] = {pr->quality_sd, pr->tokens_sd, pr->latency_sd, pr->failure_sd};
    for (int t = 0; t < TARGETS; t++) {
        v->mean[t] = (float)mean[t];
        v->sd[t] = (float)sd[t];
    }
    choose_weigh(p, d, mean, sd, v);
    v->cost_nano = (int64_t)(pr->cost_usd * 1e9 + 0.5);
}

int choose_slots(const struct event_decided *d, int *slots)
{
    int n = 0;
    for (uint64_t m = d->eligible; m; m &= m - 1)
        slots[n++] = __builtin_ctzll(m);
    return n;
}

int choose_preferred(const struct params *p)
{
    if (strcmp(p->policy.name, "fixed") != 0)
        return -1;
    return p->policy.model[0] ? catalog_find(&p->catalog, p->policy.model)
                              : rules_extreme(&p->catalog, true);
}

/* Streams of draws have a 32-bit purpose. */
uint64_t choose_seed(uint64_t seed, uint32_t epoch, uint64_t seq)
{
    struct rng g = rng_stream(seed, (uint64_t)1 << 32 | epoch, seq);
    return rng_next(&g);
}

void choose_weigh(const struct params *p, const struct event_decided *d, const double *mean,
                  const double *sd, struct arm_view *v)
{
    const struct objective *w = &p->objective;
    double wq = w->quality * d->value, wl = w->latency / w->latency_scale_ms;
    double merit =
        wq * mean[TARGET_QUALITY] - wl * mean[TARGET_LATENCY] - w->failure * mean[TARGET_FAILURE];
    double sq = wq * sd[TARGET_QUALITY], sl = wl * sd[TARGET_LATENCY],
           sf = w->failure * sd[TARGET_FAILURE];
    double width = policy_at(d->policy)->bonus ? 1 : p->policy.width;
    v->merit = (float)merit;
    v->merit_sd = (float)(width * sqrt(sq * sq + sl * sl + sf * sf));
}

/* Exploration mass: falls with what has been learned (declared schedule), never below its minimum.
 */
static double exploration(const struct chooser *c)
{
    double n = (double)c->labels;
    double e = c->params->policy.floor;
    if (n > 0)
        e = fmin(e, c->params->policy.floor_scale / sqrt(n));
    return fmin(fmax(e, c->params->policy.floor_min), c->params->policy.floor);
}

/* The mass is shared so that exploring a model 500 times dearer does not eat the budget. */
static void exploration_shares(const struct chooser *c, const struct event_decided *d,
                               const int *slots, int n, double *share)
{
    double paced = c->rate_usd, least = INFINITY;
    for (int i = 0; i < n; i++)
        least = fmin(least, (double)d->view[slots[i]].cost_nano * 1e-9);
    for (int i = 0; i < n; i++) {
        double cost = (double)d->view[slots[i]].cost_nano * 1e-9;
        share[i] = paced > 0                                   ? pacer_share(paced, least, cost)
                   : c->booked_usd > 0 && cost > c->booked_usd ? c->booked_usd / cost
                                                               : 1;
    }
}

/* What each model is worth and costs whatever the request: the mean of its predictions over the
 * pacer's window. Averages of its labels instead would be of the requests it was chosen for. A
 * model that the window does not know is taken as it looks now. */
static void overall_views(const struct chooser *c, const struct event_decided *d, const int *slots,
                          int n, double *value, double *cost)
{
    const struct pacer *p = c->pacer;
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
static void counts(const struct chooser *c, const struct event_decided *d, const int *slots,
                   struct policy_view *v, double *wins, double *losses, double *base)
{
    v->gain = d->weight_quality * d->value;
    for (int i = 0; i < v->n; i++) {
        double weight, sum;
        ridge_total(c->learner->ridge[slots[i]][TARGET_QUALITY], c->clock_ms, &weight, &sum);
        wins[i] = fmax(sum, 0);
        losses[i] = fmax(weight - sum, 0);
        base[i] = v->mean[i] - v->gain * (double)d->view[slots[i]].mean[TARGET_QUALITY];
    }
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
static double mix_rate(const struct chooser *c, const struct event_decided *d, const int *slots,
                       int n, const double *share)
{
    double rate = c->rate_usd, explored = 0, shares = 0;
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
static void policy_pmf(const struct chooser *c, const struct event_decided *d, const int *slots,
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
        overall_views(c, d, slots, v->n, overall, overall_cost);
        v->overall = overall;
        v->overall_cost = overall_cost;
    }
    if (policy->counts) {
        counts(c, d, slots, v, wins, losses, base);
        v->wins = wins;
        v->losses = losses;
        v->base = base;
    }
    policy->pmf(v, pmf);
}

void choose_pmf(const struct chooser *c, struct event_decided *d, const int *slots, int n,
                int preferred, double *pmf)
{
    double share[MODELS_MAX];
    d->floor = policy_at(d->policy)->explores ? exploration(c) : 0;
    exploration_shares(c, d, slots, n, share);
    struct policy_view view = {.n = n,
                               .labels = c->labels,
                               .width = 1,
                               .unit = d->weight_quality * d->value,
                               .rate = mix_rate(c, d, slots, n, share),
                               .params = policy_params(c->params, c->seed)};
    policy_pmf(c, d, slots, preferred, &view, pmf);
    pmf_floor(pmf, n, d->floor, share);
}
