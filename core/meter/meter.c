/* SPDX-License-Identifier: MIT */
/*
 * Metering. A decision's share of the sums is a function of its record and of its label book alone
 * (amount_of), so whatever a message does, first word, amendment, retraction, repetition, days
 * later, the difference of two amounts is what is to be added, and the sums are those of the books
 * as they stand. Qualities, values and latencies are rounded to integers once per decision: sums of
 * doubles would depend on the order of the messages, and then nobody could check them.
 * Considered: a small number for each key, kept with the open decision. It would make the keys part
 * of the folded state; the record that the decision left says the same and is read in microseconds.
 */
#include "core/meter/meter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/router/credit.h"

static const char *const names[METER_FIELDS] = {
    "requests",      "attempts",      "settled",        "cost_nano",        "baseline_nano",
    "input_tokens",  "cached_tokens", "output_tokens",  "reasoning_tokens", "labels",
    "quality_e9",    "value_e6",      "latency_labels", "latency_us",       "failures",
    "reported_nano", "computed_nano", "unpriced",       "refused"};

const char *meter_field_name(int field)
{
    return names[field];
}

void meter_sums_add(struct meter_sums *to, const struct meter_sums *from)
{
    for (int i = 0; i < METER_FIELDS; i++)
        to->v[i] += from->v[i];
}

void sums_put(struct filler *w, const struct meter_sums *s)
{
    for (int i = 0; i < METER_FIELDS; i++)
        put_i64(w, s->v[i]);
}

void sums_get(struct reader *r, struct meter_sums *s)
{
    for (int i = 0; i < METER_FIELDS; i++)
        s->v[i] = get_i64(r);
}

/* ---- keys ---- */

size_t meter_key_put(const struct meter_key *k, uint8_t out[METER_KEY_MAX])
{
    struct filler w = filler_over(out, METER_KEY_MAX);
    for (int shift = 24; shift >= 0; shift -= 8) /* big-endian: in order of time */
        put_u8(&w, (uint8_t)(k->hour >> shift));
    put_u8(&w, k->arm);
    put_u8(&w, k->cluster);
    put_u8(&w, k->band);
    put_str(&w, k->tenant);
    put_str(&w, k->user);
    put_str(&w, k->task);
    put_str(&w, k->group);
    put_str(&w, k->domain);
    assert(!w.full);
    return (size_t)(w.at - out);
}

bool meter_key_get(const uint8_t *bytes, size_t n, struct meter_key *out)
{
    struct reader r = reader_over(bytes, n);
    out->hour = 0;
    for (int i = 0; i < 4; i++)
        out->hour = out->hour << 8 | get_u8(&r);
    out->arm = get_u8(&r);
    out->cluster = get_u8(&r);
    out->band = get_u8(&r);
    get_str(&r, out->tenant, sizeof out->tenant);
    get_str(&r, out->user, sizeof out->user);
    get_str(&r, out->task, sizeof out->task);
    get_str(&r, out->group, sizeof out->group);
    get_str(&r, out->domain, sizeof out->domain);
    return reader_done(&r);
}

uint8_t meter_band(float complexity)
{
    if (!(complexity >= 0))
        return BAND_NONE;
    int band = (int)(complexity * BANDS);
    return (uint8_t)(band < BANDS ? band : BANDS - 1);
}

static uint32_t hour_of(int64_t time_ms)
{
    return time_ms > 0 ? (uint32_t)(time_ms / HOUR_MS) : 0;
}

static void key_names(struct meter_key *out, const struct labels *l)
{
    memcpy(out->tenant, l->tenant, sizeof out->tenant);
    memcpy(out->user, l->user, sizeof out->user);
    memcpy(out->task, l->task, sizeof out->task);
    memcpy(out->group, l->group, sizeof out->group);
    memcpy(out->domain, l->domain, sizeof out->domain);
}

void meter_key_of(const struct event *decided, struct meter_key *out)
{
    const struct event_decided *d = &decided->decided;
    *out = (struct meter_key){.hour = hour_of(decided->time_ms),
                              .arm = d->arm,
                              .cluster = d->cluster,
                              .band = meter_band(d->complexity)};
    key_names(out, &d->labels);
    if (out->domain[0] == '\0')
        memcpy(out->domain, d->domain, sizeof out->domain);
}

void meter_key_other(const struct meter_key *k, struct meter_key *out)
{
    *out = (struct meter_key){.hour = k->hour,
                              .arm = k->arm,
                              .cluster = CLUSTER_NONE,
                              .band = BAND_NONE,
                              .tenant = METER_OTHER};
}

/* ---- the table ---- */

void meter_fini(struct meter *m)
{
    free(m->entry);
    free(m->keys);
    free(m->index);
    memset(m, 0, sizeof *m);
}

void meter_clear(struct meter *m)
{
    for (size_t i = 0; i < m->n; i++)
        m->index[m->entry[i].slot] = 0;
    m->n = m->keys_n = 0;
}

/* The slot that a key has, or would get. */
static size_t slot_of(const struct meter *m, const uint8_t *key, size_t n)
{
    size_t mask = m->index_cap - 1;
    size_t slot = (size_t)hash64(key, n, 0) & mask;
    for (; m->index[slot] != 0; slot = (slot + 1) & mask) {
        const struct meter_entry *e = &m->entry[m->index[slot] - 1];
        if (e->key_len == n && memcmp(m->keys + e->key_at, key, n) == 0)
            break;
    }
    return slot;
}

struct meter_entry *meter_find(const struct meter *m, const uint8_t *key, size_t n)
{
    if (m->n == 0)
        return NULL;
    uint32_t at = m->index[slot_of(m, key, n)];
    return at > 0 ? &m->entry[at - 1] : NULL;
}

static bool grow(void **at, size_t *cap, size_t need, size_t size)
{
    size_t to = *cap > 0 ? *cap : 64;
    if (need <= *cap)
        return true;
    while (to < need)
        to *= 2;
    void *bigger = realloc(*at, to * size);
    if (!bigger)
        return false;
    *at = bigger;
    *cap = to;
    return true;
}

/* Keeps the index at most half full. */
static bool make_room(struct meter *m, size_t key_len)
{
    if (!grow((void **)&m->entry, &m->cap, m->n + 1, sizeof *m->entry) ||
        !grow((void **)&m->keys, &m->keys_cap, m->keys_n + key_len, 1))
        return false;
    if (2 * (m->n + 1) <= m->index_cap)
        return true;
    size_t cap = m->index_cap > 0 ? 2 * m->index_cap : 128;
    uint32_t *index = calloc(cap, sizeof *index);
    if (!index)
        return false;
    free(m->index);
    m->index = index;
    m->index_cap = cap;
    for (size_t i = 0; i < m->n; i++) {
        struct meter_entry *e = &m->entry[i];
        e->slot = (uint32_t)slot_of(m, m->keys + e->key_at, e->key_len);
        index[e->slot] = (uint32_t)i + 1;
    }
    return true;
}

bool meter_add(struct meter *m, const uint8_t *key, size_t n, const struct meter_sums *sums,
               int64_t most)
{
    struct meter_entry *e = meter_find(m, key, n);
    if (!e) {
        if (!make_room(m, n))
            return false;
        e = &m->entry[m->n];
        *e = (struct meter_entry){.key_at = (uint32_t)m->keys_n,
                                  .key_len = (uint16_t)n,
                                  .most = most,
                                  .slot = (uint32_t)slot_of(m, key, n)};
        memcpy(m->keys + m->keys_n, key, n);
        m->keys_n += n;
        m->index[e->slot] = (uint32_t)++m->n;
    }
    meter_sums_add(&e->sums, sums);
    return true;
}

/* ---- what a decision amounts to ---- */

/* Rounds to an integer; what is out of range stays in it (a sum of many must not overflow). */
static int64_t rounded(double v)
{
    static const double most = 1e15;
    return v >= most ? (int64_t)most : v > 0 ? (int64_t)(v + 0.5) : 0;
}

static int64_t average(const struct label_book *b, enum feedback_field field, double scale,
                       int64_t without, bool *has)
{
    double v;
    bool any = credit_average(b, field, &v);
    if (has)
        *has = any;
    return any ? rounded(v * scale) : without;
}

static void amount_of(const struct label_book *b, const struct decision_row *row, double value,
                      struct meter_sums *out)
{
    struct credit c;
    bool timed, reported, counted;
    double failed = 0;
    int64_t *v = out->v;
    credit_of(b, row, &c);
    memset(out, 0, sizeof *out);
    v[METER_SETTLED] = c.has_cost;
    v[METER_COST] = c.has_cost ? c.cost_nano : row->booked_nano;
    v[METER_TOKENS_IN] = average(b, FB_PROMPT_TOKENS, 1, row->prompt_tokens, NULL);
    v[METER_TOKENS_CACHED] = average(b, FB_CACHED_TOKENS, 1, row->cached_tokens, NULL);
    v[METER_TOKENS_OUT] = average(b, FB_OUTPUT_TOKENS, 1, 0, &counted);
    v[METER_TOKENS_REASON] = average(b, FB_REASONING_TOKENS, 1, 0, NULL);
    /* What was found wanting was not delivered: the quality is that of the last attempt. */
    v[METER_LABELS] = c.has[TARGET_QUALITY] && !credit_escalated(b);
    if (v[METER_LABELS]) {
        v[METER_QUALITY] = rounded(c.label[TARGET_QUALITY] * 1e9);
        v[METER_VALUE] = rounded(c.label[TARGET_QUALITY] * value * 1e6);
    }
    v[METER_LATENCY] = average(b, FB_LATENCY, 1e3, 0, &timed);
    v[METER_TIMED] = timed;
    v[METER_FAILURES] = credit_average(b, FB_FAILED, &failed) && failed >= 0.5;
    int64_t cost = average(b, FB_COST, 1, 0, &reported);
    if (reported && counted) {
        v[METER_REPORTED] = cost;
        v[METER_COMPUTED] = c.computed_nano;
    }
    v[METER_UNPRICED] = !reported && row->price_in == 0 && row->price_out == 0;
}

static bool post(struct meter *m, const struct meter_key *key, const struct meter_sums *delta,
                 int64_t most)
{
    uint8_t bytes[METER_KEY_MAX];
    size_t n = meter_key_put(key, bytes);
    return meter_add(m, bytes, n, delta, most);
}

bool meter_decided(struct meter *m, const struct event *decided, int64_t most,
                   struct meter_sums *delta)
{
    struct label_book none;
    struct decision_row row;
    struct meter_key key;
    book_init(&none);
    row_from_decided(decided, &row);
    meter_key_of(decided, &key);
    amount_of(&none, &row, decided->decided.value, delta);
    delta->v[METER_ATTEMPTS] = 1;
    if (decided->decided.attempt.from == 0) { /* the baseline would have been asked once */
        delta->v[METER_REQUESTS] = 1;
        delta->v[METER_BASELINE] = decided->decided.baseline_nano;
    }
    return post(m, &key, delta, most);
}

bool meter_feedback(struct meter *m, const struct event *decided, const struct label_book *before,
                    const struct label_book *after, int64_t most, struct meter_sums *delta)
{
    struct decision_row row;
    struct meter_key key;
    struct meter_sums was;
    row_from_decided(decided, &row);
    meter_key_of(decided, &key);
    amount_of(before, &row, decided->decided.value, &was);
    amount_of(after, &row, decided->decided.value, delta);
    for (int i = 0; i < METER_FIELDS; i++)
        delta->v[i] -= was.v[i];
    return post(m, &key, delta, most);
}

bool meter_refused(struct meter *m, int64_t time_ms, const struct labels *labels, int64_t most)
{
    struct meter_sums one = {.v[METER_REFUSED] = 1};
    struct meter_key key = {.hour = hour_of(time_ms),
                            .arm = METER_NO_MODEL,
                            .cluster = CLUSTER_NONE,
                            .band = BAND_NONE};
    key_names(&key, labels);
    return post(m, &key, &one, most);
}

/* ---- with a bound ---- */

void ledger_fini(struct ledger *l)
{
    meter_fini(&l->rows);
    meter_fini(&l->counts);
}

/* Keys are let in as they come, so who is let in depends on the order of the log alone. */
static bool let_in(struct ledger *l, const uint8_t *key, size_t n, int64_t most, bool *in)
{
    static const struct meter_sums one = {.v[0] = 1};
    enum { HOUR_LEN = 4 };
    *in = meter_find(&l->rows, key, n) != NULL;
    if (*in)
        return true;
    const struct meter_entry *count = meter_find(&l->counts, key, HOUR_LEN);
    *in = !count || count->sums.v[0] < most;
    return !*in || meter_add(&l->counts, key, HOUR_LEN, &one, 0);
}

bool ledger_post(struct ledger *l, const struct meter *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct meter_entry *e = &m->entry[i];
        const uint8_t *key = m->keys + e->key_at;
        uint8_t bytes[METER_KEY_MAX];
        struct meter_key k, other;
        size_t n = e->key_len;
        bool in;
        if (!let_in(l, key, n, e->most, &in))
            return false;
        if (!in && meter_key_get(key, n, &k)) {
            meter_key_other(&k, &other);
            n = meter_key_put(&other, bytes);
            key = bytes;
        }
        if (!meter_add(&l->rows, key, n, &e->sums, e->most))
            return false;
    }
    return true;
}
