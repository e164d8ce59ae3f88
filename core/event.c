/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the log. A record is a header, [u32 crc32c of what follows][u8 version][u8 kind]
 * [u16 0][u64 seq][i64 time], and the fields of its kind in the order of the struct, numbers of
 * fixed width, strings with a length byte. One record = one byte string: decode refuses what encode
 * would not have written (a wrong checksum, a byte too many, a slot outside the catalog), and
 * encode asserts the same ranges, so that nothing enters a log that the next start would refuse.
 * The decoder never trusts a count before comparing it with its array.
 * Rejected: JSON or CBOR records (3-5 times the bytes and of the time, for records nobody edits);
 * fields by tag (a new version number is as good while one program writes and reads them).
 */
#include "core/event.h"

#include <assert.h>
#include <string.h>
#include "core/book.h"
#include "core/hull_codec.h"
#include "core/bytes.h"
#include "core/event_valid.h"
#include "core/row.h"

enum { EVENT_VERSION = 1, CRC_LEN = 4 };

/* ---- decided */

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

static void x_put(struct filler *w, const float *x, int d)
{
    put_u8(w, (uint8_t)d);
    for (int i = 0; i < d; i++)
        put_f32(w, x[i]);
}

/* Reads at most DIM_MAX entries and gives their number. */
static uint8_t x_get(struct reader *r, float *x)
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

static void charge_put(struct filler *w, const struct charge *c)
{
    put_u8(w, c->n);
    if (c->n == 0)
        return;
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

static void decided_put(struct filler *w, const struct event_decided *d)
{
    put_str(w, d->request_id);
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

static void decided_get(struct reader *r, struct event_decided *d)
{
    get_str(r, d->request_id, sizeof d->request_id);
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

/* ---- feedback */

static void message_put(struct filler *w, const struct feedback *f)
{
    put_u32(w, f->epoch);
    put_u64(w, f->seq);
    put_u64(w, f->mac);
    put_str(w, f->feedback_id);
    put_str(w, f->source);
    put_u64(w, f->digest);
    put_u8(w, (uint8_t)f->has);
    put_bool(w, f->retract);
    put_bool(w, f->failed);
    put_i64(w, f->version);
    put_i64(w, f->attempt);
    put_f64(w, f->quality);
    put_i64(w, f->prompt_tokens);
    put_i64(w, f->cached_tokens);
    put_i64(w, f->output_tokens);
    put_i64(w, f->cost_nano);
    put_f64(w, f->latency_ms);
}

static void message_get(struct reader *r, struct feedback *f)
{
    f->epoch = get_u32(r);
    f->seq = get_u64(r);
    f->mac = get_u64(r);
    get_str(r, f->feedback_id, sizeof f->feedback_id);
    get_str(r, f->source, sizeof f->source);
    f->digest = get_u64(r);
    f->has = get_u8(r);
    f->retract = get_bool(r);
    f->failed = get_bool(r);
    f->version = get_i64(r);
    f->attempt = get_i64(r);
    f->quality = get_f64(r);
    f->prompt_tokens = get_i64(r);
    f->cached_tokens = get_i64(r);
    f->output_tokens = get_i64(r);
    f->cost_nano = get_i64(r);
    f->latency_ms = get_f64(r);
}

static void paced_put(struct filler *w, const struct event_paced *p)
{
    put_u8(w, (uint8_t)(p->pool + 1));
    put_u8(w, p->unit);
    put_f64(w, p->multiplier);
    put_f64(w, p->rate);
    put_f64(w, p->least);
    put_f64(w, p->wanted);
}

static void paced_get(struct reader *r, struct event_paced *p)
{
    p->pool = (int8_t)(get_u8(r) - 1);
    p->unit = get_u8(r);
    p->multiplier = get_f64(r);
    p->rate = get_f64(r);
    p->least = get_f64(r);
    p->wanted = get_f64(r);
}

static void feedback_put(struct filler *w, const struct event_feedback *f)
{
    message_put(w, &f->feedback);
    put_bool(w, f->recalled);
    if (!f->recalled)
        return;
    row_put(w, &f->row);
    x_put(w, f->x, f->row.d);
    book_put(w, &f->book);
}

static void feedback_get(struct reader *r, struct event_feedback *f)
{
    message_get(r, &f->feedback);
    f->recalled = get_bool(r);
    if (!f->recalled)
        return;
    row_get(r, &f->row);
    f->row.d = x_get(r, f->x);
    book_get(r, &f->book);
}

/* ---- the record */

static void body_put(struct filler *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        put_u32(w, e->started.epoch);
        put_i64(w, e->started.max_open);
        break;
    case EVENT_CONFIGURED:
        put_str(w, e->configured.origin);
        put_u64(w, e->configured.file_hash);
        put_u32(w, e->configured.len);
        put_raw(w, e->configured.json, e->configured.len);
        break;
    case EVENT_LENS:
        put_str(w, e->lens.origin);
        put_u32(w, e->lens.len);
        put_raw(w, e->lens.bytes, e->lens.len);
        break;
    case EVENT_DECIDED:
        decided_put(w, &e->decided);
        break;
    case EVENT_FEEDBACK:
    case EVENT_TAUGHT:
        feedback_put(w, &e->feedback);
        break;
    case EVENT_PACED:
        paced_put(w, &e->paced);
        break;
    case EVENT_DRIFTED:
        put_u8(w, e->drifted.arm);
        put_u8(w, e->drifted.target);
        put_bool(w, e->drifted.up);
        put_u8(w, e->drifted.learner);
        break;
    case EVENT_EXPIRED:
        put_u64(w, e->expired.decision);
        break;
    case EVENT_HULL:
        hull_event_put(w, &e->hull);
        break;
    case EVENT_TICKED:
    case EVENT_NONE:
        break;
    }
}

static void body_get(struct reader *r, struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        e->started.epoch = get_u32(r);
        e->started.max_open = get_i64(r);
        break;
    case EVENT_CONFIGURED:
        get_str(r, e->configured.origin, sizeof e->configured.origin);
        e->configured.file_hash = get_u64(r);
        e->configured.len = get_u32(r);
        e->configured.json = (const char *)get_raw(r, e->configured.len);
        break;
    case EVENT_LENS:
        get_str(r, e->lens.origin, sizeof e->lens.origin);
        e->lens.len = get_u32(r);
        e->lens.bytes = get_raw(r, e->lens.len);
        break;
    case EVENT_DECIDED:
        decided_get(r, &e->decided);
        break;
    case EVENT_FEEDBACK:
    case EVENT_TAUGHT:
        feedback_get(r, &e->feedback);
        break;
    case EVENT_PACED:
        paced_get(r, &e->paced);
        break;
    case EVENT_DRIFTED:
        e->drifted.arm = get_u8(r);
        e->drifted.target = get_u8(r);
        e->drifted.up = get_bool(r);
        e->drifted.learner = get_u8(r);
        break;
    case EVENT_EXPIRED:
        e->expired.decision = get_u64(r);
        break;
    case EVENT_HULL:
        hull_event_get(r, &e->hull);
        break;
    case EVENT_TICKED:
        break;
    case EVENT_NONE:
    default:
        r->bad = true;
    }
}

size_t event_encode(const struct event *e, uint8_t *out, size_t cap)
{
    assert(event_valid(e));
    struct filler w = filler_over(out, cap);
    put_u32(&w, 0);
    put_u8(&w, EVENT_VERSION);
    put_u8(&w, (uint8_t)e->kind);
    put_u16(&w, 0);
    put_u64(&w, e->seq);
    put_i64(&w, e->time_ms);
    body_put(&w, e);
    if (w.full)
        return 0;
    size_t n = (size_t)(w.at - out);
    struct filler head = filler_over(out, CRC_LEN);
    put_u32(&head, crc32c(out + CRC_LEN, n - CRC_LEN, 0));
    return n;
}

enum status event_decode(const uint8_t *bytes, size_t n, struct event *out, struct problem *problem)
{
    struct reader r = reader_over(bytes, n);
    uint32_t crc = get_u32(&r);
    if (r.bad || crc != crc32c(r.at, reader_left(&r), 0))
        return problem_set(problem, STATUS_INTERNAL, "", "record of %zu bytes has a wrong checksum",
                           n);
    unsigned version = get_u8(&r);
    unsigned kind = get_u8(&r);
    if (version != EVENT_VERSION)
        return problem_set(problem, STATUS_INTERNAL, "",
                           "record has format version %u, this program reads version %d", version,
                           EVENT_VERSION);
    memset(out, 0, sizeof *out);
    out->kind = kind;
    bool reserved = get_u16(&r) != 0;
    out->seq = get_u64(&r);
    out->time_ms = get_i64(&r);
    body_get(&r, out);
    if (reserved || !reader_done(&r) || !event_valid(out))
        return problem_set(problem, STATUS_INTERNAL, "",
                           "record %llu of kind %u has a right checksum but impossible contents",
                           (unsigned long long)out->seq, (unsigned)out->kind);
    return STATUS_OK;
}
