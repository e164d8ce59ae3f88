/* SPDX-License-Identifier: MIT */
/*
 * Switching costs what is cached: tokens of the context that the new model reads at its full price
 * instead of its cached one. That is part of each model's expected cost, so utilities have it, and
 * so does what is booked. Against noise stand an inertia, in utility, and the deviations of the two
 * means that are compared: while little is known no difference is one.
 * With an apprentice the session is the policy's: it follows what would have been served.
 * Considered: drawing again at each request with a bonus for the model in use. Draws of a wide
 * posterior would still flip a conversation now and then, and it is the flipping that hurts.
 */
#include "core/router/sticky.h"

#include <math.h>
#include "core/router/router_state.h"

static const struct session *session_of(const struct router *r, const struct event_decided *d)
{
    if (r->params.session.most == 0)
        return NULL;
    return sessions_find(&r->sessions, session_key(d->labels.tenant, d->labels.session));
}

/* Dollars between fresh and cached reading of so many tokens. */
static double cached_saving(const struct router *r, const struct event_decided *d, int arm,
                            int64_t tokens)
{
    const struct rates *price = model_rates(&r->params.catalog.model[arm], d->batch);
    double saved = (double)(price->in - price->cached) * (double)tokens * 1e-12;
    return saved * learner_cost_ratio(router_learner(r, d->learner), arm);
}

void sticky_prices(const struct router *r, const struct request *req, const struct event_decided *d,
                   struct prediction *pr)
{
    const struct session *s = session_of(r, d);
    if (!s)
        return;
    if (req->cached_tokens > 0) { /* predicted as if every model had them cached */
        for (int a = 0; a < r->params.catalog.n; a++)
            if (a != s->arm)
                pr[a].cost_usd += cached_saving(r, d, a, d->cached_tokens);
        return;
    }
    int64_t tokens = s->prompt_tokens < d->prompt_tokens ? s->prompt_tokens : d->prompt_tokens;
    double cost = pr[s->arm].cost_usd - cached_saving(r, d, s->arm, tokens);
    pr[s->arm].cost_usd = cost > 0 ? cost : 0;
}

/* The model of highest utility if it is surely better than the session's, else the session's. */
static int best_or_same(const struct router *r, const struct event_decided *d, const int *slots,
                        int n, int same)
{
    int best = same;
    for (int i = 0; i < n; i++)
        if (decided_utility(d, slots[i]) > decided_utility(d, best))
            best = slots[i];
    double a = (double)d->view[best].merit_sd, b = (double)d->view[same].merit_sd;
    double noise = r->params.session.deviations * sqrt(a * a + b * b);
    double more = decided_utility(d, best) - decided_utility(d, same);
    return more > r->params.session.inertia + noise ? best : same;
}

void sticky_pmf(const struct router *r, struct event_decided *d, const int *slots, int n,
                double *pmf)
{
    const struct session *s = session_of(r, d);
    if (!s || !(d->eligible >> s->arm & 1))
        return;
    int arm = best_or_same(r, d, slots, n, s->arm);
    for (int i = 0; i < n; i++)
        pmf[i] = slots[i] == arm ? 1 : 0;
    d->floor = d->quota = 0;
    d->quota_nano = 0;
    d->reasons |= REASON_SESSION;
}

void sticky_settle(const struct router *r, struct event_decided *d)
{
    const struct session *s = session_of(r, d);
    if (s && s->arm != d->arm)
        d->cached_tokens = 0;
}

void sticky_note(struct router *r, const struct event *ev)
{
    const struct event_decided *d = &ev->decided;
    struct session s = {.key = session_key(d->labels.tenant, d->labels.session),
                        .used = ev->seq,
                        .prompt_tokens = d->prompt_tokens,
                        .arm = d->shadow};
    if (s.key && r->params.session.most > 0)
        sessions_note(&r->sessions, r->params.session.most, &s);
}
