/* SPDX-License-Identifier: MIT */
/*
 * Rows: from the record of a decision to the few numbers that learning from it later needs. A row
 * made when the decision was applied equals the one made from the stored record, since both come
 * from row_from_decided; that is why feedback to a recalled decision teaches the same.
 * Rejected: storing rows in the log beside the records (they are a function of them).
 */
#include "core/event/row.h"

#include <assert.h>
#include <string.h>
#include "bandit/rng.h"

uint64_t request_hash(const char *tenant, const char *request_id)
{
    if (request_id[0] == 0)
        return 0;
    uint64_t h = hash64(request_id, strlen(request_id), hash64(tenant, strlen(tenant), 0));
    return h != 0 ? h : 1;
}

void row_from_decided(const struct event *e, struct decision_row *row)
{
    assert(e->kind == EVENT_DECIDED);
    const struct event_decided *d = &e->decided;
    *row = (struct decision_row){
        .seq = e->seq,
        .time_ms = e->time_ms,
        .epoch = d->epoch,
        .arm = d->arm,
        .learner = d->learner,
        .d = (uint8_t)d->d,
        .request_hash = request_hash(d->labels.tenant, d->request_id),
        .request_digest = d->request_digest,
        .schema = d->schema,
        .prompt_tokens = d->prompt_tokens,
        .cached_tokens = d->cached_tokens,
        .price_in = d->price_in,
        .price_cached = d->price_cached,
        .price_out = d->price_out,
        .price_reasoning = d->price_reasoning,
        .booked_nano = d->booked_nano,
        .predicted_nano = d->view[d->arm].cost_nano,
        .tokens_raw = d->tokens_raw,
        .latency_raw = d->latency_raw,
        .quality_mean = d->view[d->arm].mean[TARGET_QUALITY],
        .quality_sd = d->view[d->arm].sd[TARGET_QUALITY],
        .weight = d->weight,
        .value = d->value,
        .edge = d->edge,
        .silence_due_ms = d->silence_due_ms,
        .silence_quality = d->silence_quality,
    };
}

double decided_price(const struct event_decided *d)
{
    double weight = d->weight_cost / d->cost_scale_usd;
    return d->multiplier > weight ? d->multiplier : weight;
}

bool decided_binds(const struct event_decided *d)
{
    return d->multiplier > d->weight_cost / d->cost_scale_usd || d->token_multiplier > 0;
}

double decided_utility(const struct event_decided *d, int arm)
{
    const struct arm_view *v = &d->view[arm];
    double tokens = (double)d->prompt_tokens + (double)v->mean[TARGET_TOKENS];
    return (double)v->merit - decided_price(d) * (double)v->cost_nano * 1e-9 -
           d->token_multiplier * tokens;
}

double decided_plain(const struct event_decided *d, int arm)
{
    const struct arm_view *v = &d->view[arm];
    return (double)v->merit - d->weight_cost / d->cost_scale_usd * (double)v->cost_nano * 1e-9;
}

void row_put(struct filler *w, const struct decision_row *row)
{
    put_u64(w, row->seq);
    put_i64(w, row->time_ms);
    put_u32(w, row->epoch);
    put_u8(w, row->arm);
    put_u8(w, row->learner);
    put_u64(w, row->request_hash);
    put_u64(w, row->request_digest);
    put_u64(w, row->schema);
    put_i64(w, row->prompt_tokens);
    put_i64(w, row->cached_tokens);
    put_i64(w, row->price_in);
    put_i64(w, row->price_cached);
    put_i64(w, row->price_out);
    put_i64(w, row->price_reasoning);
    put_i64(w, row->booked_nano);
    put_i64(w, row->predicted_nano);
    put_f32(w, row->tokens_raw);
    put_f32(w, row->latency_raw);
    put_f32(w, row->quality_mean);
    put_f32(w, row->quality_sd);
    put_f32(w, row->weight);
    put_f64(w, row->value);
    put_f32(w, row->edge.direct);
    put_f32(w, row->edge.ratio);
    put_f32(w, row->edge.reach);
    put_i64(w, row->silence_due_ms);
    put_f32(w, row->silence_quality);
}

void row_get(struct reader *r, struct decision_row *row)
{
    row->seq = get_u64(r);
    row->time_ms = get_i64(r);
    row->epoch = get_u32(r);
    row->arm = get_u8(r);
    row->learner = get_u8(r);
    row->request_hash = get_u64(r);
    row->request_digest = get_u64(r);
    row->schema = get_u64(r);
    row->prompt_tokens = get_i64(r);
    row->cached_tokens = get_i64(r);
    row->price_in = get_i64(r);
    row->price_cached = get_i64(r);
    row->price_out = get_i64(r);
    row->price_reasoning = get_i64(r);
    row->booked_nano = get_i64(r);
    row->predicted_nano = get_i64(r);
    row->tokens_raw = get_f32(r);
    row->latency_raw = get_f32(r);
    row->quality_mean = get_f32(r);
    row->quality_sd = get_f32(r);
    row->weight = get_f32(r);
    row->value = get_f64(r);
    row->edge.direct = get_f32(r);
    row->edge.ratio = get_f32(r);
    row->edge.reach = get_f32(r);
    row->silence_due_ms = get_i64(r);
    row->silence_quality = get_f32(r);
}
