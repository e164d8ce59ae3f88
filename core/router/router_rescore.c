/* SPDX-License-Identifier: MIT */
/* A logged decision, chosen again by another router: how configurations are tried on a log. */
#include <string.h>
#include "bandit/policy/policy.h"
#include "core/router/choose.h"
#include "core/router/router_state.h"

/* What this router predicts of the models that were eligible and that it has. */
static void predict(const struct router *r, struct event_decided *d)
{
    const struct learner *l = router_learner(r, d->learner);
    double x[DIM_MAX];
    uint64_t were = d->eligible;
    for (int i = 0; i < d->d; i++)
        x[i] = (double)d->x[i];
    d->eligible = 0;
    for (uint64_t m = were; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        struct arm_view *v = &d->view[a];
        struct prediction pr;
        if (a >= r->params.catalog.n || !r->params.catalog.model[a].active)
            continue;
        d->eligible |= 1ull << a;
        learner_predict(l, &r->params.catalog.model[a], a, x, d, &pr);
        choose_view(&r->params, d, &pr, v);
    }
}

bool router_rescore(const struct router *r, const struct event *e, struct event_decided *d,
                    double *pmf)
{
    const struct objective *o = &r->params.objective;
    double drawn[MODELS_MAX];
    int slots[MODELS_MAX];
    *d = e->decided;
    const struct learner *l = router_learner(r, d->learner);
    if (l == NULL || d->schema != l->schema || d->d != l->d)
        return false;
    d->policy = (uint8_t)policy_index(r->params.policy.name);
    d->charge.paced = 0;
    d->weight_quality = o->quality;
    d->weight_cost = o->cost;
    d->weight_latency = o->latency;
    d->weight_failure = o->failure;
    predict(r, d);
    int n = choose_slots(d, slots);
    if (n == 0)
        return false;
    const struct chooser c = {.params = &r->params,
                              .pacer = &r->pacer,
                              .rate_usd = r->pacer.rate_usd,
                              .booked_usd = r->booked_usd,
                              .labels = router_census(r, d->learner)->labels[TARGET_QUALITY],
                              .learner = l,
                              .clock_ms = r->clock_ms,
                              .seed = choose_seed(r->init.seed, d->epoch, e->seq)};
    choose_pmf(&c, d, slots, n, choose_preferred(&r->params), drawn);
    memset(pmf, 0, MODELS_MAX * sizeof *pmf);
    for (int i = 0; i < n; i++)
        pmf[slots[i]] = d->view[slots[i]].pmf = drawn[i];
    return true;
}
