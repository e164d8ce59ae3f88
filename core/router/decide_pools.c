/* SPDX-License-Identifier: MIT */
/*
 * Rejected: asking the pools for the chosen model only, after the draw. A request would then fail
 * by the luck of the draw while a cheaper model still fits, and the logged probabilities would not
 * be those of what is served.
 */
#include "core/router/decide_pools.h"

#include <math.h>
#include <string.h>
#include "bandit/normal.h"
#include "core/encoding/text.h"
#include "core/router/router_state.h"

/* Of what the cheapest models cost: from there on a pool throttles all that it may. */
static const double SHORT_AT_MOST = 0.25;
/* One request in so many may come to more than its quantile pool has left for it. */
static const double TAIL_RISK = 1e-4;
enum { WAIT_MS_MIN = 1000, WAIT_MS_MAX = 3600 * 1000 };
/* An average has no window that ends: prices or models must change. */
enum { AVERAGE_WAIT_MS = 60 * 1000 };

void decide_path(const struct pools *p, const struct catalog *c, int64_t now_ms,
                 const struct event_decided *d, int arm, struct pool_path *out)
{
    const struct labels *l = &d->labels;
    struct pool_labels labels = {{[POOL_TENANT] = l->tenant,
                                  [POOL_USER] = l->user,
                                  [POOL_TASK] = l->task,
                                  [POOL_DOMAIN] = l->domain,
                                  [POOL_USER_TIER] = l->user_tier,
                                  [POOL_GROUP] = l->group,
                                  [POOL_SESSION] = l->session,
                                  [POOL_MODEL] = c->model[arm].name}};
    pools_path(p, &labels, now_ms, out);
}

void router_path(const struct router *r, int64_t now_ms, const struct event_decided *d, int arm,
                 struct pool_path *out)
{
    decide_path(&r->pools, &r->params.catalog, now_ms, d, arm, out);
}

/* ---- what a model may cost ---- */

/* Rounded up; what is no amount is more than any. */
static int64_t amount_of(double v)
{
    return v >= 0 && v < 2 * (double)POOL_AMOUNT_MAX ? (int64_t)ceil(v) : INT64_MAX;
}

/* Input tokens at most, -1 when not known: byte-level tokens are a byte at least. */
static int64_t most_input(const struct request *req, const struct event_decided *d)
{
    if (req->prompt_tokens >= 0)
        return req->prompt_tokens;
    if (!req->prompt)
        return -1;
    int64_t bytes = (int64_t)req->prompt_len;
    return bytes > d->prompt_tokens ? bytes : d->prompt_tokens;
}

/* Nobody can promise what a call of a model costs that has no prices. */
static void ask_worst(const struct model *m, bool dollars, const struct request *req,
                      const struct event_decided *d, struct pool_ask *ask)
{
    int64_t in = most_input(req, d), out = d->max_output_tokens, *amount = ask->amount[POOL_STRICT];
    ask->bounded = in >= 0 && out > 0 && !(dollars && model_unpriced(m));
    amount[POOL_NANO] = amount[POOL_TOKENS] = 0;
    if (!ask->bounded)
        return;
    const struct rates *price = model_rates(m, d->batch);
    int64_t price_in = price->in > price->cached ? price->in : price->cached,
            price_out = price->out > price->reasoning ? price->out : price->reasoning;
    double pico = (double)price_in * (double)in + (double)price_out * (double)out;
    amount[POOL_NANO] = amount_of(pico / 1000);
    amount[POOL_TOKENS] = in + out;
    if (amount[POOL_NANO] > POOL_AMOUNT_MAX) /* nobody can promise that */
        ask->bounded = false;
}

/* Output tokens that are exceeded with probability `risk`, not below the mean. */
static double likely_output(const struct router *r, const struct event_decided *d, int arm,
                            const struct prediction *pr, double risk)
{
    const struct learner *l = router_learner(r, d->learner);
    double mean = log1p(pr->tokens_raw), sd = pr->tokens_sd / (1 + pr->tokens);
    double sigma2 = ridge_sigma2(l->ridge[arm][TARGET_TOKENS]);
    double out = expm1(mean + normal_above(risk) * sqrt(sd * sd + sigma2));
    out = fmax(out, pr->tokens);
    return d->max_output_tokens > 0 ? fmin(out, (double)d->max_output_tokens) : out;
}

/* What a call with so much output costs, in nanodollars. */
static double nano_of(const struct router *r, const struct event_decided *d, int arm, double out)
{
    const struct rates *price = model_rates(&r->params.catalog.model[arm], d->batch);
    double fresh = (double)(d->prompt_tokens - d->cached_tokens);
    double pico = (double)price->in * fresh + (double)price->cached * (double)d->cached_tokens +
                  (double)price->out * out;
    return pico / 1000 * learner_cost_ratio(router_learner(r, d->learner), arm);
}

/* What the far end of a distribution of costs is above its reservation, the most of all models. */
struct tail {
    int64_t amount[POOL_UNITS];
    double share[POOL_UNITS]; /* of the reservation */
};

/* The reservation, and what the far end of the distribution is above it, if more than so far. */
static void ask_likely(const struct router *r, const struct event_decided *d, int arm,
                       const struct prediction *pr, double risk, struct pool_ask *ask,
                       struct tail *tail)
{
    int64_t *amount = ask->amount[POOL_QUANTILE];
    double out = likely_output(r, d, arm, pr, risk), far = likely_output(r, d, arm, pr, TAIL_RISK);
    amount[POOL_NANO] = amount_of(fmax(nano_of(r, d, arm, out), pr->cost_usd * 1e9));
    amount[POOL_TOKENS] = amount_of((double)d->prompt_tokens + ceil(out));
    int64_t most[POOL_UNITS] = {[POOL_NANO] = amount_of(nano_of(r, d, arm, far)),
                                [POOL_TOKENS] = amount_of((double)d->prompt_tokens + ceil(far))};
    for (int u = 0; u < POOL_UNITS; u++) {
        if (most[u] <= amount[u])
            continue;
        int64_t above = most[u] - amount[u];
        tail->amount[u] = above > tail->amount[u] ? above : tail->amount[u];
        tail->share[u] = fmax(tail->share[u], (double)above / (double)(amount[u] + 1));
    }
}

/* Whether a strict pool of the path has a cap in dollars. */
static bool strict_dollars(const struct pool_path *path)
{
    for (int i = 0; i < path->n; i++)
        if (path->strict >> i & 1 && path->entry[i].cap[POOL_NANO] >= 0)
            return true;
    return false;
}

/* What no pool of the path asks for stays zero: it would be noise in the log. */
static void ask_of(const struct router *r, const struct request *req, const struct event_decided *d,
                   int arm, const struct prediction *pr, const struct pool_path *path,
                   struct pool_ask *ask, struct tail *tail)
{
    bool strict = path->strict != 0, likely = path->strict != (1u << path->n) - 1;
    memset(ask, 0, sizeof *ask);
    if (strict)
        ask_worst(&r->params.catalog.model[arm], strict_dollars(path), req, d, ask);
    if (likely)
        ask_likely(r, d, arm, pr, path->risk, ask, tail);
}

/* ---- refusals ---- */

static enum status exhausted(const struct pool_verdict *v, const char *name,
                             struct problem *problem)
{
    char much[64];
    struct text t = text_over(much, sizeof much);
    if (v->unit == POOL_NANO)
        text_usd(&t, v->missing);
    else
        text_printf(&t, "%lld", (long long)v->missing);
    return problem_set(problem, STATUS_BUDGET_EXHAUSTED, "",
                       "pool %s is short of %s %s for the cheapest way to answer this; %s", name,
                       much, v->unit == POOL_NANO ? "dollars" : "tokens",
                       v->retry_after_ms > 0
                           ? "wait for its next window, or raise its cap (pools.set)"
                           : "send a smaller request, or raise its cap (pools.set)");
}

static enum status unbounded(const struct router *r, const struct event_decided *d,
                             const char *name, struct problem *problem)
{
    const struct catalog *c = &r->params.catalog;
    for (int a = 0; a < c->n && d->max_output_tokens > 0; a++)
        if (c->model[a].active && model_unpriced(&c->model[a]))
            return problem_set(problem, STATUS_BUDGET_EXHAUSTED, "",
                               "pool %s is strict in dollars and no model that may be used has a "
                               "worst case in it: %s has no prices; give it prices, or free true "
                               "(models.set), or give prompt_tokens or the prompt",
                               name, c->model[a].name);
    if (d->max_output_tokens == 0)
        return problem_set(problem, STATUS_BAD_REQUEST, "/max_output_tokens",
                           "needed: pool %s is strict and reserves the worst case; give the limit "
                           "that you send to the model, or make the pool's mode quantile",
                           name);
    return problem_set(problem, STATUS_BAD_REQUEST, "/prompt_tokens",
                       "needed: pool %s is strict and reserves the worst case, at most a million "
                       "dollars; give prompt_tokens or the prompt",
                       name);
}

static enum status refuse(const struct router *r, const struct pool_verdict *v,
                          struct event_decided *d, struct problem *problem)
{
    const char *name = v->spec >= 0 ? r->params.pools.spec[v->spec].name : "";
    enum status s;
    memcpy(d->charge.pool, name, strlen(name) + 1);
    switch (v->action) {
    case POOL_EXHAUSTED:
        s = exhausted(v, name, problem);
        d->charge.missing = v->missing;
        d->charge.unit = v->unit;
        d->charge.at = v->at;
        memcpy(d->charge.value, v->value, strlen(v->value) + 1);
        break;
    case POOL_KILLED:
        s = problem_set(problem, STATUS_THROTTLED, "",
                        "pool %s is switched off: an operator has set kill (pools.set)", name);
        break;
    case POOL_FUSED:
        s = problem_set(problem, STATUS_THROTTLED, "",
                        "the fuse of pool %s has tripped: spending ran ahead of its forecast; an "
                        "operator can rearm it (pools.set)",
                        name);
        break;
    case POOL_UNBOUNDED:
        s = unbounded(r, d, name, problem);
        break;
    case POOL_FULL:
        s = problem_set(problem, STATUS_OVERLOADED, "",
                        "the table of pools is full: raise budget.pool_instances");
        break;
    default:
        s = problem_set(problem, STATUS_OVERLOADED, "",
                        "more than %d pools match this request, or it may cost more than any pool "
                        "can hold: change pools",
                        POOL_PATH_MAX);
    }
    if (problem)
        problem->retry_after_ms = v->retry_after_ms;
    return s;
}

/* Of two refusals the one that is easier to mend: exhausted, and by less. */
static bool milder(const struct pool_verdict *a, const struct pool_verdict *b)
{
    return a->action != b->action ? a->action < b->action
                                  : a->action == POOL_EXHAUSTED && a->missing < b->missing;
}

/* ---- pacing ---- */

/* A budget that cannot pay even the cheapest models for everybody. */
struct scarce {
    const char *pool; /* NULL: the average, budget.usd_per_request */
    double throttle, shortage;
    int64_t wait_ms;
};

/* Requests of little value are put off when even the cheapest models are too dear for what is left;
 * the less there is, the more of them. */
static enum status put_off(const struct scarce *b, struct event_decided *d, struct problem *problem)
{
    double least = b->throttle * fmin(b->shortage / SHORT_AT_MOST, 1);
    if (!(d->value < least))
        return STATUS_OK;
    if (b->pool)
        memcpy(d->charge.pool, b->pool, strlen(b->pool) + 1);
    enum status st = problem_set(
        problem, STATUS_THROTTLED, "",
        "%s%s cannot pay the cheapest models for all %s; requests worth less than %.3g are put "
        "off, this one is worth %.3g",
        b->pool ? "pool " : "budget.usd_per_request", b->pool ? b->pool : "",
        b->pool ? "that is expected until its window ends" : "that is asked", least, d->value);
    if (problem)
        problem->retry_after_ms = b->wait_ms < WAIT_MS_MIN   ? WAIT_MS_MIN
                                  : b->wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX
                                                             : b->wait_ms;
    return st;
}

static enum status decide_throttle(const struct router *r, const struct pool_path *path,
                                   struct event_decided *d, struct problem *problem)
{
    struct scarce b = {.throttle = r->params.budget.throttle, .wait_ms = AVERAGE_WAIT_MS};
    enum status st = STATUS_OK;
    if (d->value < b.throttle) {
        b.shortage = pacer_shortage(&r->pacer);
        st = put_off(&b, d, problem);
    }
    for (int i = 0; i < path->n && st == STATUS_OK; i++) {
        const struct pool_spec *s = &r->params.pools.spec[path->entry[i].spec];
        if (!(d->value < s->throttle))
            continue;
        b = (struct scarce){.pool = s->name, .throttle = s->throttle};
        b.shortage = router_shortage(r, path, i, &b.wait_ms);
        st = put_off(&b, d, problem);
    }
    return st;
}

/* ---- the decision ---- */

/* The path of a model's request: the same for all, unless a pool looks at the model. */
static void path_for(const struct router *r, int64_t now_ms, const struct event_decided *d, int arm,
                     struct pool_path *path)
{
    if (path->n < 0 || r->pools.by_model)
        router_path(r, now_ms, d, arm, path);
}

/* What each eligible model asks for; the tail is the dearest's: one that is open already may have
 * been it. */
static void ask_all(const struct router *r, int64_t now_ms, const struct request *req,
                    const struct prediction *pr, const struct event_decided *d,
                    struct pool_ask price[MODELS_MAX], struct tail *tail)
{
    struct pool_path path = {.n = -1};
    memset(tail, 0, sizeof *tail);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        path_for(r, now_ms, d, a, &path);
        ask_of(r, req, d, a, &pr[a], &path, &price[a], tail);
    }
}

enum status decide_afford(const struct router *r, int64_t now_ms, const struct request *req,
                          const struct prediction *pr, struct event_decided *d,
                          struct pool_ask price[MODELS_MAX], struct problem *problem)
{
    struct pool_path path = {.n = -1};
    struct pool_verdict least = {.action = POOL_FULL + 1};
    struct tail tail;
    if (r->params.pools.n == 0)
        return decide_throttle(r, &path, d, problem);
    ask_all(r, now_ms, req, pr, d, price, &tail);
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        path_for(r, now_ms, d, a, &path);
        memcpy(path.margin, tail.amount, sizeof path.margin);
        memcpy(path.margin_share, tail.share, sizeof path.margin_share);
        struct pool_verdict v = pools_admit(&r->pools, &path, &price[a]);
        if (pools_admitted(v.action))
            continue;
        d->eligible &= ~(1ull << a);
        d->reasons |= REASON_BUDGET;
        if (milder(&v, &least))
            least = v;
    }
    if (!d->eligible)
        return refuse(r, &least, d, problem);
    d->charge.paced = router_paced(r, now_ms, d);
    return decide_throttle(r, &path, d, problem);
}

static bool same_pools(const struct pool_path *a, const struct pool_path *b)
{
    for (int i = 0; i < a->n && a->n == b->n; i++)
        if (a->entry[i].spec != b->entry[i].spec ||
            strcmp(a->entry[i].value, b->entry[i].value) != 0)
            return false;
    return a->n == b->n;
}

static bool within(const struct pool_ask *a, const struct pool_ask *hold)
{
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++)
            if (a->amount[m][u] > hold->amount[m][u])
                return false;
    return true;
}

static void keep_fallbacks(const struct router *r, int64_t now_ms, const struct pool_path *path,
                           const struct pool_ask price[MODELS_MAX], struct event_decided *d)
{
    int kept = 0;
    for (int i = 0; i < d->n_fallbacks; i++) {
        int a = d->fallback[i];
        struct pool_path other;
        bool same = !r->pools.by_model;
        if (!same) {
            router_path(r, now_ms, d, a, &other);
            same = same_pools(path, &other);
        }
        if (same && within(&price[a], &d->charge.ask))
            d->fallback[kept++] = (uint8_t)a;
    }
    d->n_fallbacks = (uint8_t)kept;
}

/* What is told of the pools: the one that warns, else the one with the least money, or tokens. */
static void note_room(const struct router *r, const struct pool_path *path, struct charge *c,
                      uint32_t *reasons)
{
    struct pool_room room = pools_headroom(&r->pools, path);
    struct pool_verdict v = pools_admit(&r->pools, path, &c->ask);
    int at = -1, spec;
    for (int u = POOL_UNITS - 1; u >= 0; u--) {
        c->left[u] = -1;
        if (room.at[u] < 0)
            continue;
        at = room.at[u];
        bool strict = path->strict >> at & 1;
        int64_t taken = c->ask.amount[strict ? POOL_STRICT : POOL_QUANTILE][u];
        c->left[u] = room.left[u] > taken ? room.left[u] - taken : 0;
    }
    spec = v.action == POOL_SOFT ? v.spec : at >= 0 ? path->entry[at].spec : -1;
    if (spec >= 0)
        memcpy(c->pool, r->params.pools.spec[spec].name, sizeof c->pool);
    if (v.action == POOL_SOFT)
        *reasons |= REASON_SOFT_LIMIT;
}

void decide_charge(const struct router *r, int64_t now_ms, const struct pool_ask price[MODELS_MAX],
                   struct event_decided *d)
{
    struct pool_path path;
    if (r->params.pools.n == 0)
        return;
    router_path(r, now_ms, d, d->arm, &path);
    if (path.n == 0)
        return;
    d->charge.n = (uint8_t)path.n;
    d->charge.strict = path.strict;
    d->charge.ask = price[d->arm];
    note_room(r, &path, &d->charge, &d->reasons);
    keep_fallbacks(r, now_ms, &path, price, d);
}
