/* SPDX-License-Identifier: MIT */
/* The bytes of a decision in a record of the log: event.c says how records are built. */
#include "core/event/decided_codec.h"

#include <assert.h>
#include <string.h>
#include "core/event/hull_codec.h"
#include "core/event/row.h"

static void labels_put(struct filler *w, const struct labels *l)
{
    put_str(w, l->tenant);
    put_str(w, l->task);
    put_str(w, l->domain);
    put_str(w, l->user_tier);
    put_str(w, l->group);
    put_str(w, l->session);
    put_str(w, l->user);
    put_str(w, l->outcome);
}

static void labels_get(struct reader *r, struct labels *l)
{
    get_str(r, l->tenant, sizeof l->tenant);
    get_str(r, l->task, sizeof l->task);
    get_str(r, l->domain, sizeof l->domain);
    get_str(r, l->user_tier, sizeof l->user_tier);
    get_str(r, l->group, sizeof l->group);
    get_str(r, l->session, sizeof l->session);
    get_str(r, l->user, sizeof l->user);
    get_str(r, l->outcome, sizeof l->outcome);
}

static void attempt_put(struct filler *w, const struct attempt *a)
{
    put_u64(w, a->from);
    put_u8(w, a->tier);
    put_u8(w, a->earlier);
}

static void attempt_get(struct reader *r, struct attempt *a)
{
    a->from = get_u64(r);
    a->tier = get_u8(r);
    a->earlier = get_u8(r);
}

static void view_put(struct filler *w, const struct arm_view *v)
{
    put_f64(w, v->pmf);
    for (int t = 0; t < TARGETS; t++)
        put_f32(w, v->mean[t]);
    for (int t = 0; t < TARGETS; t++)
        put_f32(w, v->sd[t]);
    put_f32(w, v->merit);
    put_f32(w, v->merit_sd);
    put_i64(w, v->cost_nano);
}

static void view_get(struct reader *r, struct arm_view *v)
{
    v->pmf = get_f64(r);
    for (int t = 0; t < TARGETS; t++)
        v->mean[t] = get_f32(r);
    for (int t = 0; t < TARGETS; t++)
        v->sd[t] = get_f32(r);
    v->merit = get_f32(r);
    v->merit_sd = get_f32(r);
    v->cost_nano = get_i64(r);
}

void x_put(struct filler *w, const float *x, int d)
{
    put_u8(w, (uint8_t)d);
    for (int i = 0; i < d; i++)
        put_f32(w, x[i]);
}

/* Reads at most DIM_MAX entries and gives their number. */
uint8_t x_get(struct reader *r, float *x)
{
    uint8_t d = get_u8(r);
    if (d > DIM_MAX)
        r->bad = true;
    for (int i = 0; !r->bad && i < d; i++)
        x[i] = get_f32(r);
    return r->bad ? 0 : d;
}

static void slots_put(struct filler *w, const struct event_decided *d)
{
    put_u8(w, d->policy);
    put_u8(w, d->n_arms);
    put_u8(w, d->arm);
    put_u8(w, d->baseline);
    put_u8(w, d->learner);
    put_u8(w, d->shadow);
    put_u8(w, d->n_fallbacks);
    put_raw(w, d->fallback, d->n_fallbacks);
    put_u32(w, d->reasons);
    put_u64(w, d->eligible);
}

static void slots_get(struct reader *r, struct event_decided *d)
{
    d->policy = get_u8(r);
    d->n_arms = get_u8(r);
    d->arm = get_u8(r);
    d->baseline = get_u8(r);
    d->learner = get_u8(r);
    d->shadow = get_u8(r);
    d->n_fallbacks = get_u8(r);
    if (d->n_fallbacks > FALLBACKS_MAX)
        r->bad = true;
    for (int i = 0; !r->bad && i < d->n_fallbacks; i++)
        d->fallback[i] = get_u8(r);
    d->reasons = get_u32(r);
    d->eligible = get_u64(r);
}

static void objective_put(struct filler *w, const struct event_decided *d)
{
    put_f64(w, d->floor);
    put_f64(w, d->quota);
    put_i64(w, d->quota_nano);
    put_f64(w, d->u);
    put_f64(w, d->value);
    put_f64(w, d->weight_quality);
    put_f64(w, d->weight_cost);
    put_f64(w, d->weight_latency);
    put_f64(w, d->weight_failure);
    put_f64(w, d->cost_scale_usd);
    put_f64(w, d->multiplier);
    put_f64(w, d->token_multiplier);
}

static void objective_get(struct reader *r, struct event_decided *d)
{
    d->floor = get_f64(r);
    d->quota = get_f64(r);
    d->quota_nano = get_i64(r);
    d->u = get_f64(r);
    d->value = get_f64(r);
    d->weight_quality = get_f64(r);
    d->weight_cost = get_f64(r);
    d->weight_latency = get_f64(r);
    d->weight_failure = get_f64(r);
    d->cost_scale_usd = get_f64(r);
    d->multiplier = get_f64(r);
    d->token_multiplier = get_f64(r);
}

/* Charged to no pool, though with another model it would have been, to paced ones. */
enum { MIGHT_BE = 255 };

static void charge_put(struct filler *w, const struct charge *c)
{
    put_u8(w, c->n == 0 && c->paced ? MIGHT_BE : c->n);
    if (c->n == 0) {
        if (c->paced)
            put_u64(w, c->paced);
        return;
    }
    put_u8(w, c->strict);
    put_u64(w, c->paced);
    put_bool(w, c->ask.bounded);
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++)
            put_i64(w, c->ask.amount[m][u]);
    put_str(w, c->pool);
    for (int u = 0; u < POOL_UNITS; u++)
        put_i64(w, c->left[u]);
}

static void charge_get(struct reader *r, struct charge *c)
{
    c->n = get_u8(r);
    if (c->n == MIGHT_BE) {
        c->n = 0;
        c->paced = get_u64(r);
        r->bad = r->bad || c->paced == 0;
    }
    if (c->n == 0)
        return;
    c->strict = get_u8(r);
    c->paced = get_u64(r);
    c->ask.bounded = get_bool(r);
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++)
            c->ask.amount[m][u] = get_i64(r);
    get_str(r, c->pool, sizeof c->pool);
    for (int u = 0; u < POOL_UNITS; u++)
        c->left[u] = get_i64(r);
}

void decided_put(struct filler *w, const struct event_decided *d)
{
    put_str(w, d->request_id);
    attempt_put(w, &d->attempt);
    labels_put(w, &d->labels);
    put_u64(w, d->request_digest);
    put_u64(w, d->schema);
    put_u64(w, d->config_seq);
    put_u32(w, d->epoch);
    slots_put(w, d);
    objective_put(w, d);
    put_i64(w, d->prompt_tokens);
    put_i64(w, d->cached_tokens);
    put_i64(w, d->max_output_tokens);
    put_i64(w, d->price_in);
    put_i64(w, d->price_cached);
    put_i64(w, d->price_out);
    put_i64(w, d->price_reasoning);
    put_bool(w, d->batch);
    put_i64(w, d->booked_nano);
    put_i64(w, d->policy_nano);
    put_i64(w, d->baseline_nano);
    put_i64(w, d->dearest_nano);
    put_u8(w, d->cluster);
    put_f32(w, d->complexity);
    put_str(w, d->domain);
    put_f32(w, d->tokens_raw);
    put_f32(w, d->latency_raw);
    put_f32(w, d->weight);
    hull_edge_put(w, &d->edge);
    put_i64(w, d->silence_due_ms);
    put_f32(w, d->silence_quality);
    charge_put(w, &d->charge);
    x_put(w, d->x, d->d);
    for (int i = 0; i < MODELS_MAX; i++)
        if (d->eligible >> i & 1)
            view_put(w, &d->view[i]);
}

void decided_get(struct reader *r, struct event_decided *d)
{
    get_str(r, d->request_id, sizeof d->request_id);
    attempt_get(r, &d->attempt);
    labels_get(r, &d->labels);
    d->request_digest = get_u64(r);
    d->schema = get_u64(r);
    d->config_seq = get_u64(r);
    d->epoch = get_u32(r);
    slots_get(r, d);
    objective_get(r, d);
    d->prompt_tokens = get_i64(r);
    d->cached_tokens = get_i64(r);
    d->max_output_tokens = get_i64(r);
    d->price_in = get_i64(r);
    d->price_cached = get_i64(r);
    d->price_out = get_i64(r);
    d->price_reasoning = get_i64(r);
    d->batch = get_bool(r);
    d->booked_nano = get_i64(r);
    d->policy_nano = get_i64(r);
    d->baseline_nano = get_i64(r);
    d->dearest_nano = get_i64(r);
    d->cluster = get_u8(r);
    d->complexity = get_f32(r);
    get_str(r, d->domain, sizeof d->domain);
    d->tokens_raw = get_f32(r);
    d->latency_raw = get_f32(r);
    d->weight = get_f32(r);
    hull_edge_get(r, &d->edge);
    d->silence_due_ms = get_i64(r);
    d->silence_quality = get_f32(r);
    charge_get(r, &d->charge);
    d->d = x_get(r, d->x);
    for (int i = 0; i < MODELS_MAX; i++)
        if (d->eligible >> i & 1)
            view_get(r, &d->view[i]);
}
