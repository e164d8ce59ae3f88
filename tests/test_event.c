/* SPDX-License-Identifier: MIT */
/*
 * The codec of the log: what is written comes back, what was changed is refused, and the bytes are
 * those that older stores hold (golden).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/encoding/text.h"
#include "core/event/event.h"
#include "core/event/event_valid.h"

static uint8_t bytes[EVENT_BYTES_MAX], other[EVENT_BYTES_MAX];

/* In [-1, 1), without libm, so that golden sums hold everywhere. */
static double signed_unit(struct rng *r)
{
    return 2 * rng_uniform(r) - 1;
}

static void random_counts(struct rng *r, int64_t **count, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = rng_below(r, 64);
        *count[i] = (int64_t)(rng_next(r) & ((1ull << bits) - 1));
    }
}

static void random_name(struct rng *r, char out[NAME_CAP])
{
    uint64_t n = rng_below(r, 3) == 0 ? rng_below(r, NAME_LEN + 1) : rng_below(r, 12);
    for (uint64_t i = 0; i < n; i++)
        out[i] = "abcdefXYZ019._:/@-"[rng_below(r, 18)];
}

static void random_labels(struct rng *r, struct labels *l)
{
    random_name(r, l->tenant);
    random_name(r, l->task);
    random_name(r, l->domain);
    random_name(r, l->user_tier);
    random_name(r, l->group);
    random_name(r, l->session);
    random_name(r, l->user);
    random_name(r, l->outcome);
}

static void random_view(struct rng *r, struct arm_view *v)
{
    v->pmf = rng_uniform(r);
    for (int t = 0; t < TARGETS; t++) {
        v->mean[t] = (float)signed_unit(r);
        v->sd[t] = (float)rng_uniform(r);
    }
    v->merit = (float)signed_unit(r);
    v->merit_sd = (float)rng_uniform(r);
    v->cost_nano = (int64_t)rng_below(r, 1u << 30);
}

static int random_x(struct rng *r, float *x)
{
    int d = (int)rng_below(r, DIM_MAX + 1);
    for (int i = 0; i < d; i++)
        x[i] = (float)signed_unit(r);
    return d;
}

static void random_objective(struct rng *r, struct event_decided *d)
{
    double *unit[] = {&d->floor,           &d->u,
                      &d->quota,           &d->value,
                      &d->weight_cost,     &d->multiplier,
                      &d->weight_quality,  &d->weight_latency,
                      &d->weight_failure,  &d->cost_scale_usd,
                      &d->token_multiplier};
    int64_t *count[] = {&d->prompt_tokens, &d->cached_tokens, &d->max_output_tokens,
                        &d->price_in,      &d->price_cached,  &d->price_reasoning,
                        &d->booked_nano,   &d->baseline_nano, &d->dearest_nano,
                        &d->quota_nano};
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        *unit[i] = rng_uniform(r);
    random_counts(r, count, sizeof count / sizeof *count);
    d->price_out = INT64_MAX;
    d->batch = rng_below(r, 2) == 1;
    d->cluster = (uint8_t)rng_next(r);
    d->complexity = (float)signed_unit(r);
    random_name(r, d->domain);
    d->tokens_raw = (float)signed_unit(r);
    d->latency_raw = (float)signed_unit(r);
    d->weight = (float)(0.5 + 0.5 * rng_uniform(r));
    d->silence_due_ms = (int64_t)rng_below(r, 1ull << 41);
    d->silence_quality = (float)rng_uniform(r);
}

static void random_charge(struct rng *r, struct charge *c)
{
    c->n = (uint8_t)rng_below(r, POOL_PATH_MAX + 1);
    if (c->n == 0)
        return;
    c->strict = (uint8_t)rng_below(r, 1u << c->n);
    c->paced = rng_next(r);
    c->ask.bounded = true;
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++)
            c->ask.amount[m][u] = (int64_t)rng_below(r, 1u << 30);
    random_name(r, c->pool);
    for (int u = 0; u < POOL_UNITS; u++)
        c->left[u] = (int64_t)rng_below(r, 1u << 30) - 1;
}

static void random_hold(struct rng *r, struct pool_hold *h)
{
    h->n = (uint8_t)rng_below(r, POOL_PATH_MAX + 1);
    if (h->n == 0)
        return;
    h->strict = (uint8_t)rng_below(r, 1u << h->n);
    h->open = rng_below(r, 2) == 1;
    for (int i = 0; i < h->n; i++)
        h->at[i] = (uint32_t)rng_below(r, 1u << 20);
    for (int m = 0; m < POOL_MODES; m++)
        for (int u = 0; u < POOL_UNITS; u++) {
            h->reserved[m][u] = (int64_t)rng_below(r, 1u << 30);
            h->booked[m][u] = (int64_t)rng_below(r, 1u << 30);
        }
}

static void random_decided(struct rng *r, struct event_decided *d)
{
    random_name(r, d->request_id);
    random_labels(r, &d->labels);
    d->request_digest = rng_next(r);
    d->schema = rng_next(r);
    d->config_seq = rng_next(r);
    d->epoch = (uint32_t)rng_next(r);
    d->policy = (uint8_t)rng_below(r, 8);
    d->n_arms = (uint8_t)(1 + rng_below(r, MODELS_MAX));
    d->arm = (uint8_t)rng_below(r, d->n_arms);
    d->baseline = (uint8_t)rng_below(r, d->n_arms);
    d->shadow = (uint8_t)rng_below(r, d->n_arms);
    d->learner = (uint8_t)rng_below(r, LEARNERS_MAX + 1);
    d->n_fallbacks = (uint8_t)rng_below(r, FALLBACKS_MAX + 1);
    for (int i = 0; i < d->n_fallbacks; i++)
        d->fallback[i] = (uint8_t)rng_below(r, d->n_arms);
    d->reasons = (uint32_t)rng_below(r, 1024);
    d->eligible = (rng_next(r) >> (MODELS_MAX - d->n_arms)) | 1ull << d->arm;
    random_objective(r, d);
    random_charge(r, &d->charge);
    d->d = random_x(r, d->x);
    for (int i = 0; i < d->n_arms; i++)
        if (d->eligible >> i & 1)
            random_view(r, &d->view[i]);
}

static void random_book(struct rng *r, struct label_book *b)
{
    book_init(b);
    b->n_sources = (uint8_t)rng_below(r, SOURCES_MAX + 1);
    b->n_seen = (uint8_t)rng_below(r, SEEN_MAX + 1);
    for (int s = 0; s < b->n_sources; s++) {
        b->source[s] = rng_next(r);
        for (int c = 0; c < CELLS; c++) {
            struct label_cell *cell = &b->cell[s][c];
            cell->set = rng_below(r, 2) == 1;
            if (!cell->set)
                continue;
            cell->version = (int64_t)rng_next(r);
            cell->value = signed_unit(r);
            cell->present = rng_below(r, 2) == 1;
        }
    }
    for (int i = 0; i < b->n_seen; i++) {
        b->seen_id[i] = rng_next(r);
        b->seen_digest[i] = rng_next(r);
    }
    b->applied = (uint8_t)rng_below(r, 1u << TARGETS);
    for (int t = 0; t < TARGETS; t++)
        b->label[t] = signed_unit(r);
    b->has_cost = rng_below(r, 2) == 1;
    b->cost_nano = (int64_t)rng_below(r, 1000);
    b->learned_nano = (int64_t)rng_below(r, 1000);
    b->priced_nano = (int64_t)rng_below(r, 1000);
    random_hold(r, &b->hold);
}

static void random_row(struct rng *r, struct decision_row *row)
{
    int64_t *count[] = {&row->time_ms,         &row->prompt_tokens, &row->cached_tokens,
                        &row->price_in,        &row->price_cached,  &row->price_out,
                        &row->price_reasoning, &row->booked_nano,   &row->predicted_nano};
    random_counts(r, count, sizeof count / sizeof *count);
    row->seq = 1 + rng_below(r, 1u << 20);
    row->epoch = (uint32_t)rng_next(r);
    row->arm = (uint8_t)rng_below(r, MODELS_MAX);
    row->learner = (uint8_t)rng_below(r, LEARNERS_MAX + 1);
    row->request_hash = rng_next(r);
    row->request_digest = rng_next(r);
    row->schema = rng_next(r);
    row->tokens_raw = (float)signed_unit(r);
    row->latency_raw = (float)signed_unit(r);
    row->quality_mean = (float)signed_unit(r);
    row->quality_sd = (float)rng_uniform(r);
    row->weight = (float)(0.5 + 0.5 * rng_uniform(r));
    row->value = rng_uniform(r);
    row->silence_due_ms = (int64_t)rng_below(r, 1ull << 41);
    row->silence_quality = (float)rng_uniform(r);
}

static void random_feedback(struct rng *r, struct event_feedback *e)
{
    struct feedback *f = &e->feedback;
    int64_t *count[] = {&f->attempt,       &f->prompt_tokens,    &f->cached_tokens,
                        &f->output_tokens, &f->reasoning_tokens, &f->cost_nano};
    f->epoch = (uint32_t)rng_next(r);
    f->seq = 1 + rng_below(r, 1u << 20);
    f->mac = rng_next(r);
    random_name(r, f->feedback_id);
    random_name(r, f->source);
    f->digest = rng_next(r);
    f->has = (unsigned)rng_below(r, 256);
    f->retract = rng_below(r, 2) == 1;
    f->failed = rng_below(r, 2) == 1;
    f->version = (int64_t)rng_below(r, 10) - 1;
    f->quality = rng_uniform(r);
    random_counts(r, count, sizeof count / sizeof *count);
    f->latency_ms = 1e4 * rng_uniform(r);
    e->recalled = rng_below(r, 2) == 1;
    if (!e->recalled)
        return;
    random_row(r, &e->row);
    e->row.d = (uint8_t)random_x(r, e->x);
    random_book(r, &e->book);
}

static void random_taught(struct rng *r, struct event_feedback *e)
{
    do
        random_feedback(r, e);
    while (!e->recalled);
    if (!e->feedback.retract) /* else the record that is taken out */
        e->feedback.seq = 0;
    e->row.seq = 0;
}

/* All but lenses, which are tested with their own codec. */
static const enum event_kind kinds[] = {EVENT_STARTED,  EVENT_CONFIGURED, EVENT_DECIDED,
                                        EVENT_FEEDBACK, EVENT_TICKED,     EVENT_PACED,
                                        EVENT_DRIFTED,  EVENT_TAUGHT,     EVENT_EXPIRED};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void random_event(struct rng *r, struct event *e)
{
    static const char json[] = "{\"models\":[{\"name\":\"tiny\"},{\"name\":\"large\"}]}";
    memset(e, 0, sizeof *e);
    e->seq = 1 + (rng_next(r) >> 1);
    e->time_ms = (int64_t)rng_below(r, 1ull << 41);
    e->kind = kinds[rng_below(r, KINDS)];
    if (e->kind == EVENT_STARTED) {
        e->started.epoch = (uint32_t)rng_next(r);
        e->started.max_open = (int64_t)rng_below(r, 1u << 20);
    }
    if (e->kind == EVENT_CONFIGURED) {
        random_name(r, e->configured.origin);
        e->configured.file_hash = rng_next(r);
        e->configured.len = (uint32_t)rng_below(r, sizeof json);
        e->configured.json = json;
    }
    if (e->kind == EVENT_DECIDED)
        random_decided(r, &e->decided);
    if (e->kind == EVENT_DECIDED && rng_below(r, 2) == 1)
        e->decided.attempt = (struct attempt){.from = 1 + rng_below(r, e->seq - 1),
                                              .tier = (uint8_t)rng_below(r, TIERS_MAX),
                                              .earlier = (uint8_t)(1 + rng_below(r, UINT8_MAX))};
    if (e->kind == EVENT_FEEDBACK)
        random_feedback(r, &e->feedback);
    if (e->kind == EVENT_DRIFTED) {
        e->drifted.arm = (uint8_t)rng_below(r, MODELS_MAX);
        e->drifted.target = (uint8_t)rng_below(r, TARGETS);
        e->drifted.up = rng_below(r, 2) == 1;
        e->drifted.learner = (uint8_t)rng_below(r, LEARNERS_MAX + 1);
    }
    if (e->kind == EVENT_TAUGHT)
        random_taught(r, &e->feedback);
    if (e->kind == EVENT_EXPIRED)
        e->expired.decision = 1 + rng_below(r, e->seq - 1);
    if (e->kind == EVENT_PACED)
        e->paced = (struct event_paced){.pool = (int8_t)((int)rng_below(r, POOL_SPECS_MAX) - 1),
                                        .unit = (uint8_t)rng_below(r, POOL_UNITS),
                                        .multiplier = rng_uniform(r),
                                        .rate = rng_uniform(r),
                                        .least = rng_uniform(r),
                                        .wanted = rng_uniform(r)};
}

/* The n-th event of a kind. */
static void sample(enum event_kind kind, uint64_t n, struct event *e)
{
    struct rng r = rng_stream(7, (uint64_t)kind, n);
    do
        random_event(&r, e);
    while (e->kind != kind);
}

/* ---- tests */

static void test_round_trip(void **state)
{
    (void)state;
    static struct event in, out;
    for (uint64_t i = 0; i < 10000; i++) {
        struct rng r = rng_stream(1, 2, i);
        struct problem p;
        random_event(&r, &in);
        size_t n = event_encode(&in, bytes, sizeof bytes);
        assert_true(n > 0);
        assert_int_equal(event_decode(bytes, n, &out, &p), STATUS_OK);
        assert_int_equal(event_encode(&out, other, sizeof other), n);
        assert_memory_equal(bytes, other, n);
        if (in.kind == EVENT_CONFIGURED) {
            assert_memory_equal(in.configured.json, out.configured.json, in.configured.len);
            out.configured.json = in.configured.json;
        }
        assert_memory_equal(&in, &out, sizeof in);
    }
}

static void test_too_small(void **state)
{
    (void)state;
    static struct event e;
    for (int k = 0; k < KINDS; k++) {
        sample(kinds[k], 0, &e);
        size_t n = event_encode(&e, bytes, sizeof bytes);
        for (size_t cap = 0; cap < n; cap++)
            assert_int_equal(event_encode(&e, other, cap), 0);
        assert_int_equal(event_encode(&e, other, n), n);
    }
    static char json[CONFIG_MAX]; /* and the largest fits EVENT_BYTES_MAX */
    sample(EVENT_CONFIGURED, 0, &e);
    e.configured.json = json;
    e.configured.len = sizeof json;
    assert_true(event_encode(&e, bytes, sizeof bytes) > 0);
}

/* Any changed byte, and any cut, is refused. */
static void test_damage(void **state)
{
    (void)state;
    static struct event e, out;
    struct rng r = rng_stream(3, 0, 0);
    for (int k = 0; k < KINDS; k++) {
        for (uint64_t i = 0; i < 4; i++) {
            sample(kinds[k], i, &e);
            size_t n = event_encode(&e, bytes, sizeof bytes);
            for (size_t at = 0; at < n; at++) {
                uint8_t was = bytes[at];
                bytes[at] ^= (uint8_t)(1 + rng_below(&r, 255));
                assert_int_equal(event_decode(bytes, n, &out, NULL), STATUS_INTERNAL);
                bytes[at] = was;
                assert_int_equal(event_decode(bytes, at, &out, NULL), STATUS_INTERNAL);
            }
            bytes[n] = 0;
            assert_int_equal(event_decode(bytes, n + 1, &out, NULL), STATUS_INTERNAL);
        }
    }
}

static void seal(size_t n)
{
    uint32_t crc = crc32c(bytes + 4, n - 4, 0);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(crc >> (8 * i));
}

/* A right checksum over wrong contents: cuts, random bytes, extra bytes. Nothing is read or written
 * out of bounds (sanitizers), and what is accepted is what encode would write. covers: N16 */
static void test_sealed_garbage(void **state)
{
    (void)state;
    static struct event e, out;
    uint64_t accepted = 0;
    for (uint64_t i = 0; i < 40000; i++) {
        struct rng r = rng_stream(4, 0, i);
        random_event(&r, &e);
        size_t n = event_encode(&e, bytes, sizeof bytes);
        for (uint64_t k = rng_below(&r, 4); k > 0; k--)
            bytes[4 + rng_below(&r, n - 4)] = (uint8_t)rng_next(&r);
        if (rng_below(&r, 4) == 0)
            n = 4 + rng_below(&r, n - 4);
        seal(n);
        if (event_decode(bytes, n, &out, NULL) != STATUS_OK)
            continue;
        accepted++;
        assert_int_equal(event_encode(&out, other, sizeof other), n);
        assert_memory_equal(bytes, other, n);
    }
    assert_true(accepted > 1000);
}

static void test_ranges(void **state)
{
    (void)state;
    static struct event e;
    sample(EVENT_TICKED, 0, &e);
    size_t n = event_encode(&e, bytes, sizeof bytes);
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{4, 2}, {5, 0}, {5, 7}, {5, 255}, {6, 1}, {7, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t was = bytes[wrong[i].at];
        bytes[wrong[i].at] = wrong[i].value;
        seal(n);
        assert_int_equal(event_decode(bytes, n, &e, NULL), STATUS_INTERNAL);
        bytes[wrong[i].at] = was;
    }
    seal(n);
    assert_int_equal(event_decode(bytes, n, &e, NULL), STATUS_OK);
    memset(bytes + 8, 0, 8); /* seq 0 */
    seal(n);
    assert_int_equal(event_decode(bytes, n, &e, NULL), STATUS_INTERNAL);
}

/* A valid record with one flaw is none. Each line of FLAW changes one thing of a fresh sample. */
#define FLAW(change)                                                                               \
    do {                                                                                           \
        e = good;                                                                                  \
        change;                                                                                    \
        if (event_valid(&e))                                                                       \
            fail_msg("taken: %s", #change);                                                        \
    } while (0)

static void test_flaws_decided(void **state)
{
    (void)state;
    static struct event good, e;
    struct event_decided *d = &e.decided;
    for (uint64_t n = 0; n == 0 || good.decided.n_arms == MODELS_MAX || good.decided.d == 0; n++)
        sample(EVENT_DECIDED, n, &good);
    assert_true(event_valid(&good));
    FLAW(e.seq = 0);
    FLAW(d->n_arms = 0);
    FLAW(d->n_arms = MODELS_MAX + 1);
    FLAW(d->arm = d->n_arms);
    FLAW(d->baseline = d->n_arms);
    FLAW(d->learner = LEARNERS_MAX + 1);
    FLAW(d->shadow = d->n_arms);
    FLAW(d->eligible |= (uint64_t)1 << d->n_arms);
    FLAW(d->eligible &= ~((uint64_t)1 << d->arm));
    FLAW(d->n_fallbacks = FALLBACKS_MAX + 1);
    FLAW((d->n_fallbacks = 1, d->fallback[0] = d->n_arms));
    FLAW(d->d = DIM_MAX + 1);
    FLAW(d->x[d->d - 1] = INFINITY);
    FLAW(d->value = NAN);
    FLAW(d->multiplier = INFINITY);
    FLAW(d->token_multiplier = NAN);
    FLAW(d->tokens_raw = NAN);
    FLAW(d->latency_raw = INFINITY);
    FLAW(d->complexity = NAN);
    FLAW(d->weight = 0);
    FLAW(d->weight = 1.5f);
    FLAW(d->silence_due_ms = -1);
    FLAW(d->silence_quality = 2);
    FLAW(d->charge.n = POOL_PATH_MAX + 1);
    FLAW(d->charge.ask.amount[0][0] = -1);
    FLAW(d->charge.ask.amount[0][0] = POOL_AMOUNT_MAX + 1);
    FLAW(d->charge.left[POOL_NANO] = -2);
    FLAW(d->charge.left[POOL_TOKENS] = -2);
    FLAW((d->charge.n = 1, d->charge.strict = 1, d->charge.ask.bounded = false));
    FLAW(d->edge.direct = NAN);
    FLAW(d->edge.ratio = INFINITY);
    FLAW(d->edge.reach = -1);
    FLAW(d->edge.reach = HULL_REACH_MAX + 2);
    FLAW(d->view[d->arm].merit = NAN);
    FLAW(d->view[d->arm].merit_sd = NAN);
    FLAW(d->view[d->arm].mean[0] = NAN);
    FLAW(d->view[d->arm].sd[TARGETS - 1] = NAN);
    FLAW(d->view[d->arm].pmf = 1.5);
    FLAW(d->floor = -0.5);
    FLAW(d->quota = NAN);
    FLAW(d->u = 1);
    FLAW((d->attempt.from = 0, d->attempt.tier = 1));
    FLAW((d->attempt.from = 0, d->attempt.tier = 0, d->attempt.earlier = 1));
    FLAW((d->attempt.from = e.seq, d->attempt.tier = 0, d->attempt.earlier = 1));
    FLAW((e.seq = 9, d->attempt.from = 8, d->attempt.tier = TIERS_MAX, d->attempt.earlier = 1));
    FLAW((e.seq = 9, d->attempt.from = 8, d->attempt.tier = 0, d->attempt.earlier = 0));
}

static void test_flaws_feedback(void **state)
{
    (void)state;
    static struct event good, e;
    struct event_feedback *f = &e.feedback;
    for (uint64_t n = 0; !good.feedback.recalled || good.feedback.row.d == 0; n++)
        sample(EVENT_FEEDBACK, n, &good);
    assert_true(event_valid(&good));
    FLAW(f->feedback.seq = 0);
    FLAW(f->row.seq = 0);
    FLAW(f->feedback.has = 256);
    FLAW((f->feedback.has |= FB_QUALITY, f->feedback.quality = 1.5));
    FLAW((f->feedback.has |= FB_LATENCY, f->feedback.latency_ms = -1));
    FLAW((f->feedback.has |= FB_LATENCY, f->feedback.latency_ms = INFINITY));
    FLAW(f->row.arm = MODELS_MAX);
    FLAW(f->row.learner = LEARNERS_MAX + 1);
    FLAW(f->row.d = DIM_MAX + 1);
    FLAW(f->x[f->row.d - 1] = NAN);
    FLAW(f->row.value = INFINITY);
    FLAW(f->row.edge.direct = NAN);
    FLAW(f->row.tokens_raw = NAN);
    FLAW(f->row.latency_raw = NAN);
    FLAW(f->row.quality_mean = NAN);
    FLAW(f->row.quality_sd = INFINITY);
    FLAW(f->row.weight = 0);
    FLAW(e.kind = EVENT_TAUGHT); /* which is of no decision */
}

static void test_flaws_others(void **state)
{
    (void)state;
    static struct event good, e;
    sample(EVENT_PACED, 0, &good);
    assert_true(event_valid(&good));
    FLAW(e.paced.pool = -2);
    FLAW(e.paced.pool = POOL_SPECS_MAX);
    FLAW(e.paced.unit = POOL_UNITS);
    FLAW(e.paced.multiplier = -1);
    FLAW(e.paced.rate = INFINITY);
    FLAW(e.paced.least = NAN);
    FLAW(e.paced.wanted = -1);
    sample(EVENT_DRIFTED, 0, &good);
    assert_true(event_valid(&good));
    FLAW(e.drifted.arm = MODELS_MAX);
    FLAW(e.drifted.target = TARGETS);
    FLAW(e.drifted.learner = LEARNERS_MAX + 1);
    sample(EVENT_EXPIRED, 0, &good);
    assert_true(event_valid(&good));
    FLAW(e.expired.decision = 0);
    FLAW(e.expired.decision = e.seq);
    good = (struct event){.seq = 5, .kind = EVENT_HULL, .hull = {.mix = {0.25, 0.75}}};
    assert_true(event_valid(&good));
    FLAW(e.hull.mix[0] = -0.5);
    FLAW(memset(e.hull.mix, 0, sizeof e.hull.mix));
    FLAW(e.hull.mix[0] = e.hull.mix[1] = 1);
    FLAW(e.hull.turn = HULL_RETURNED + 1);
    FLAW(e.hull.spend_usd = NAN);
    FLAW(e.hull.policy = NAN);
    FLAW(e.hull.lower = INFINITY);
    FLAW(e.hull.upper = NAN);
    FLAW(e.kind = EVENT_NONE);
}

static void test_books(void **state)
{
    (void)state;
    static struct label_book in, out;
    for (uint64_t i = 0; i < 2000; i++) {
        struct rng r = rng_stream(5, 0, i);
        memset(&in, 0, sizeof in);
        random_book(&r, &in);
        size_t n = book_encode(&in, bytes, BOOK_BYTES_MAX);
        assert_true(n > 0);
        memset(&out, 0, sizeof out);
        assert_int_equal(book_decode(bytes, n, &out), STATUS_OK);
        assert_memory_equal(&in, &out, sizeof in);
        size_t at = rng_below(&r, n);
        bytes[at] ^= 16;
        assert_int_equal(book_decode(bytes, n, &out), STATUS_INTERNAL);
        assert_int_equal(book_decode(bytes, at, &out), STATUS_INTERNAL);
    }
}

static void check_golden(const struct event *e, const char *hex)
{
    char got[1024] = "";
    size_t n = event_encode(e, bytes, sizeof bytes);
    for (size_t i = 0; i < n && i < 500; i++)
        snprintf(got + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(got, hex);
}

/* If this fails the format has changed: old stores cannot be read unless EVENT_VERSION goes up and
 * the old version is still decoded. */
static void test_golden(void **state)
{
    (void)state;
    static struct event e;
    e = (struct event){.seq = 1, .time_ms = 1700000000000, .kind = EVENT_STARTED};
    e.started.epoch = 7;
    e.started.max_open = 65536;
    check_golden(&e, "048d17290101000001000000000000000068e5cf8b010000070000000000010000000000");
    e = (struct event){.seq = 0x0102030405060708, .time_ms = 5, .kind = EVENT_TICKED};
    check_golden(&e, "945faa1f0105000008070605040302010500000000000000");
    e = (struct event){
        .seq = 2, .time_ms = 6, .kind = EVENT_PACED, .paced = {-1, POOL_NANO, 0.5, 1, 0, 2}};
    check_golden(&e, "0db4f17701060000020000000000000006000000000000000000000000000000e03f000000000"
                     "000f03f00000000000000000000000000000040");
    e = (struct event){.seq = 3, .time_ms = 7, .kind = EVENT_CONFIGURED};
    strcpy(e.configured.origin, "file");
    e.configured.json = "{}";
    e.configured.len = 2;
    check_golden(
        &e,
        "ea4614fb01020000030000000000000007000000000000000466696c650000000000000000020000007b7d");
    e = (struct event){.seq = 4, .time_ms = 8, .kind = EVENT_FEEDBACK};
    e.feedback.feedback = (struct feedback){.epoch = 1,
                                            .seq = 2,
                                            .mac = 3,
                                            .feedback_id = "f",
                                            .digest = 4,
                                            .has = FB_QUALITY | FB_COST,
                                            .version = -1,
                                            .quality = 1,
                                            .cost_nano = 1000};
    check_golden(
        &e, "7834a51c0104000004000000000000000800000000000000010000000200000000000000030000000000"
            "00000166000400000000000000110000ffffffffffffffff0000000000000000000000000000f03f0000"
            "000000000000000000000000000000000000000000000000000000000000e80300000000000000000000"
            "0000000000");
}

/* The larger kinds by a checksum over many. */
static void test_golden_random(void **state)
{
    (void)state;
    static struct event e;
    uint32_t crc = 0;
    for (uint64_t i = 0; i < 100; i++) {
        sample(i % 2 ? EVENT_DECIDED : EVENT_FEEDBACK, i, &e);
        crc = crc32c(bytes, event_encode(&e, bytes, sizeof bytes), crc);
    }
    assert_int_equal(crc, 0x4522dca9);
}

/* The hull's record keeps the slots with a part in the mix; a mix of nothing is no fact. */
static void test_hull(void **state)
{
    (void)state;
    static struct event e, out;
    e = (struct event){.seq = 5, .time_ms = 9, .kind = EVENT_HULL};
    e.hull.turn = HULL_TRIPPED;
    e.hull.spend_usd = 0.001;
    e.hull.mix[0] = 0.25;
    e.hull.mix[MODELS_MAX - 1] = 0.75;
    e.hull.labels = 700;
    e.hull.policy = -0.25;
    e.hull.lower = -0.5;
    e.hull.upper = -0.125;
    size_t n = event_encode(&e, bytes, sizeof bytes);
    assert_true(n > 0 && n < 100);
    assert_int_equal(event_decode(bytes, n, &out, NULL), STATUS_OK);
    assert_memory_equal(&out.hull, &e.hull, sizeof e.hull);
    for (size_t at = 0; at < n; at++) {
        assert_int_equal(event_encode(&e, other, at), 0);
        bytes[at] ^= 64;
        assert_int_equal(event_decode(bytes, n, &out, NULL), STATUS_INTERNAL);
        bytes[at] ^= 64;
    }
    assert_true(event_valid(&e));
    e.hull.mix[0] = 0;
    assert_false(event_valid(&e));
    e = (struct event){.seq = 6, .time_ms = 10, .kind = EVENT_LENT, .lent = {true}};
    n = event_encode(&e, bytes, sizeof bytes);
    assert_int_equal(event_decode(bytes, n, &out, NULL), STATUS_OK);
    assert_true(out.kind == EVENT_LENT && out.lent.on);
}

/* A decision that is charged to no pool keeps which paced ones it might have been charged to. */
static void test_might_be(void **state)
{
    (void)state;
    static struct event e, out;
    uint64_t i = 0;
    do
        sample(EVENT_DECIDED, i++, &e);
    while (e.decided.charge.n > 0);
    e.decided.charge.paced = 1ull << 63 | 5;
    size_t n = event_encode(&e, bytes, sizeof bytes);
    assert_int_equal(event_decode(bytes, n, &out, NULL), STATUS_OK);
    assert_memory_equal(&e, &out, sizeof e);
}

/* Bit by bit, from the definition. */
static uint32_t crc_slow(const uint8_t *p, size_t n, uint32_t seed)
{
    uint32_t c = ~seed;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = (c >> 1) ^ ((c & 1) ? 0x82f63b78u : 0);
    }
    return ~c;
}

static void test_crc32c(void **state)
{
    (void)state;
    assert_int_equal(crc32c("123456789", 9, 0), 0xe3069283); /* RFC 3720 */
    struct rng r = rng_stream(6, 0, 0);
    for (size_t i = 0; i < 4096; i++)
        bytes[i] = (uint8_t)rng_next(&r);
    for (int i = 0; i < 2000; i++) {
        size_t at = rng_below(&r, 64), n = rng_below(&r, 300), cut = rng_below(&r, n + 1);
        uint32_t want = crc_slow(bytes + at, n, 0);
        assert_int_equal(crc32c(bytes + at, n, 0), want);
        assert_int_equal(crc32c(bytes + at + cut, n - cut, crc32c(bytes + at, cut, 0)), want);
    }
}

static void test_row(void **state)
{
    (void)state;
    static struct event e;
    struct decision_row row, same;
    sample(EVENT_DECIDED, 3, &e);
    strcpy(e.decided.request_id, "r1");
    row_from_decided(&e, &row);
    assert_int_equal(row.seq, e.seq);
    assert_int_equal(row.arm, e.decided.arm);
    assert_int_equal(row.learner, e.decided.learner);
    assert_int_equal(row.d, e.decided.d);
    assert_true(row.request_hash != 0);
    assert_int_equal(row.silence_due_ms, e.decided.silence_due_ms);
    assert_true(row.weight == e.decided.weight && row.silence_quality == e.decided.silence_quality);
    assert_true(row.value == e.decided.value);
    strcpy(e.decided.labels.tenant, "another");
    row_from_decided(&e, &same);
    assert_true(same.request_hash != row.request_hash);
    e.decided.request_id[0] = 0;
    row_from_decided(&e, &same);
    assert_int_equal(same.request_hash, 0);
}

static void test_describe(void **state)
{
    (void)state;
    static struct event e;
    static char line[65536];
    for (uint64_t i = 0; i < 600; i++) {
        sample(kinds[i % KINDS], i, &e);
        struct text t = text_over(line, sizeof line);
        event_describe(&e, &t);
        assert_false(t.full);
        assert_null(strchr(line, '\n'));
        assert_true(line[0] == '{' && line[t.len - 1] == '}');
    }
    e = (struct event){.seq = 9, .time_ms = 10, .kind = EVENT_STARTED};
    e.started.epoch = 3;
    e.started.max_open = 4;
    struct text t = text_over(line, sizeof line);
    event_describe(&e, &t);
    assert_string_equal(
        line, "{\"seq\":9,\"time_ms\":10,\"kind\":\"started\",\"epoch\":3,\"max_open\":4}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_too_small),

        cmocka_unit_test(test_damage),         cmocka_unit_test(test_sealed_garbage),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_books),
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_golden_random),
        cmocka_unit_test(test_hull),           cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_might_be),       cmocka_unit_test(test_row),
        cmocka_unit_test(test_describe),       cmocka_unit_test(test_flaws_decided),
        cmocka_unit_test(test_flaws_feedback), cmocka_unit_test(test_flaws_others),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
