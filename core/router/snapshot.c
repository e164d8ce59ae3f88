/* SPDX-License-Identifier: MIT */
/*
 * The router as items. Numbers are stored exactly (doubles bit for bit); what can be derived
 * (request index, merged catalog, priors of models) is rebuilt. The header sorts first, so a host
 * that loads in key order shapes the learner before its regressions arrive.
 *
 * Not done: one blob per snapshot. With 65,536 open decisions each would write tens of megabytes.
 */
#include "core/router/snapshot.h"

#include <assert.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/budget/pacer_codec.h"
#include "core/event/bytes.h"
#include "core/event/row.h"
#include "core/features/lens.h"
#include "core/learn/silence.h"
#include "core/router/book.h"
#include "core/router/counters_codec.h"
#include "core/router/router_state.h"

enum item {
    ITEM_HEADER,
    ITEM_LEARNER,
    ITEM_RIDGE,
    ITEM_OPEN,
    ITEM_WINDOW,
    ITEM_POOLS,
    ITEM_SESSION,
    ITEM_PACE
};
enum { INDEX_LENS = 1 }; /* of ITEM_HEADER: what else shapes the learner and so comes before it */
enum { SNAPSHOT_VERSION = 1, ITEM_BYTES_MAX = 1 << 20 };

static void make_key(uint8_t key[ITEM_KEY_LEN], enum item type, int64_t index)
{
    key[0] = (uint8_t)type;
    for (int i = 0; i < 4; i++)
        key[1 + i] = (uint8_t)(index >> (8 * (3 - i)));
}

/* ---- header ---- */

static void put_header(struct filler *w, const struct router *r)
{
    put_u8(w, SNAPSHOT_VERSION);
    put_u64(w, r->seq);
    put_i64(w, r->clock_ms);
    put_u32(w, r->epoch);
    put_u64(w, r->config_seq);
    put_u64(w, r->file_hash);
    put_i64(w, r->ticked_seq);
    put_f64(w, r->dearest_usd);
    put_f64(w, r->booked_usd);
    put_f64(w, r->guard_ledger);
    put_i64(w, r->pending.cap);
    put_i64(w, r->pending.first);
    put_i64(w, r->pending.total);
    pacer_put(w, &r->pacer);
    put_u32(w, (uint32_t)r->json_len);
    put_raw(w, r->json, r->json_len);
    counters_put(w, &r->counters, r->params.catalog.n);
    influence_put(w, &r->influence);
    put_u32(w, (uint32_t)r->sessions.n);
    hull_guard_put(w, &r->hull);
    canary_put(w, &r->canary);
    put_i64(w, r->dearest_n);
    put_i64(w, r->lent_ms);
    imports_put(w, &r->imports);
    pace_room_put(w, &r->pacer.room);
}

static enum status broken(struct problem *problem, const char *what)
{
    return problem_set(problem, STATUS_INTERNAL, "", "the snapshot is damaged: %s", what);
}

static enum status get_config(struct router *r, struct reader *in, struct problem *problem)
{
    size_t n = get_u32(in);
    const uint8_t *json = get_raw(in, n);
    if (in->bad || n > CONFIG_MAX)
        return broken(problem, "configuration");
    return n == 0 ? STATUS_OK : router_adopt_config(r, (const char *)json, n, problem);
}

static enum status get_header(struct router *r, struct reader *in, struct problem *problem)
{
    if (get_u8(in) != SNAPSHOT_VERSION)
        return broken(problem, "unknown version");
    r->seq = get_u64(in);
    r->clock_ms = r->learner.now_ms = get_i64(in);
    r->epoch = get_u32(in);
    r->config_seq = get_u64(in);
    r->file_hash = get_u64(in);
    r->ticked_seq = get_i64(in);
    double dearest_usd = get_f64(in);
    r->booked_usd = get_f64(in);
    r->guard_ledger = get_f64(in);
    int64_t cap = get_i64(in), first = get_i64(in), total = get_i64(in);
    if (in->bad || cap < 1 || cap > OPEN_MAX || first < 0 || total < first || total - first > cap)
        return broken(problem, "open decisions");
    if (!pending_resize(&r->pending, cap))
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory for open decisions");
    struct reader pacer = *in; /* a configuration starts it anew: to be read again after that */
    pacer_get(in, &r->pacer);
    enum status s = get_config(r, in, problem);
    if (s != STATUS_OK)
        return s;
    r->dearest_usd = dearest_usd;
    pacer_get(&pacer, &r->pacer);
    r->pending.first = first;
    r->pending.total = total;
    counters_get(in, &r->counters, r->params.catalog.n);
    influence_get(in, &r->influence);
    uint32_t sessions = get_u32(in);
    if (sessions > SESSIONS_MAX)
        return broken(problem, "sessions");
    r->sessions.n = (int32_t)sessions;
    hull_guard_get(in, &r->hull);
    if (reader_left(in) > 0) /* a snapshot of before has none */
        canary_get(in, &r->canary);
    r->dearest_n = reader_left(in) > 0 ? get_i64(in) : MEAN_OF;
    r->lent_ms = reader_left(in) > 0 ? get_i64(in) : 0;
    imports_get(in, &r->imports);
    if (reader_left(in) > 0)
        pace_room_get(in, &r->pacer.room);
    return STATUS_OK;
}

/* ---- learner ---- */

/* Regressions are numbered through all learners. */
static int64_t ridge_index(int learner, int arm, int t)
{
    return ((int64_t)learner * MODELS_MAX + arm) * TARGETS + t;
}

static void put_ridge(struct filler *w, const struct ridge *ridge, double *work)
{
    ridge_save(ridge, work);
    for (size_t i = 0; i < ridge_state_len(ridge_dim(ridge)); i++)
        put_f64(w, work[i]);
}

static enum status get_ridge(struct router *r, int64_t index, struct reader *in,
                             struct problem *problem)
{
    int64_t arm = index / TARGETS % MODELS_MAX, learner = index / TARGETS / MODELS_MAX;
    struct learner *l = learner <= LEARNERS_MAX ? router_learner(r, (int)learner) : NULL;
    double *work = (double *)(void *)(r->scratch + ITEM_BYTES_MAX);
    if (!l || arm >= l->n_arms)
        return broken(problem, "a regression of no model");
    for (size_t i = 0; i < ridge_state_len(l->d); i++)
        work[i] = get_f64(in);
    bool ok = !in->bad && ridge_load(l->ridge[arm][index % TARGETS], work);
    return ok ? STATUS_OK : broken(problem, "a regression");
}

/* ---- open decisions, one page an item ---- */

static bool held(const struct pending *p, int64_t slot)
{
    int64_t ordinal = p->total - 1 - ((p->total - 1 - slot) % p->cap + p->cap) % p->cap;
    return p->total > 0 && ordinal >= p->first && ordinal >= 0;
}

static void put_page(struct filler *w, const struct pending *p, int64_t page)
{
    int64_t end = (page + 1) * PENDING_PAGE < p->cap ? (page + 1) * PENDING_PAGE : p->cap;
    for (int64_t i = page * PENDING_PAGE; i < end; i++) {
        put_bool(w, held(p, i));
        if (!held(p, i))
            continue;
        struct label_book book;
        pending_book(p, i, &book);
        row_put(w, &p->row[i]);
        book_put(w, &book);
        for (int k = 0; k < p->stride; k++)
            put_f32(w, p->x[i * p->stride + k]);
    }
}

static enum status get_page(struct pending *p, int64_t page, struct reader *r,
                            struct problem *problem)
{
    int64_t end = (page + 1) * PENDING_PAGE < p->cap ? (page + 1) * PENDING_PAGE : p->cap;
    for (int64_t i = page * PENDING_PAGE; i < end && !r->bad; i++) {
        if (!get_bool(r))
            continue;
        row_get(r, &p->row[i]);
        p->row[i].d = (uint8_t)p->stride;
        struct label_book book;
        book_get(r, &book);
        if (book.n_seen > 0 || book.hold.n > 0)
            pending_set_book(p, i, &book);
        for (int k = 0; k < p->stride; k++)
            p->x[i * p->stride + k] = get_f32(r);
    }
    return r->bad ? broken(problem, "open decisions") : STATUS_OK;
}

/* ---- budgets, one page an item ---- */

static bool pool_page_used(const struct pools *p, int64_t page)
{
    for (int64_t i = page * POOL_PAGE; i < (page + 1) * POOL_PAGE && i < p->cap; i++)
        if (p->pool[i].born > 0)
            return true;
    return false;
}

static enum status get_pools(struct router *r, int64_t page, struct reader *in,
                             struct problem *problem)
{
    if (page >= POOL_INSTANCES_MAX / POOL_PAGE || !pools_room(&r->pools, (page + 1) * POOL_PAGE))
        return broken(problem, "too many pools");
    return pools_get_page(&r->pools, page, in) ? STATUS_OK : broken(problem, "pools");
}

/* ---- all items ---- */

struct writing {
    item_sink sink;
    void *ctx;
    uint8_t *bytes; /* ITEM_BYTES_MAX */
    double *work;   /* a regression's state */
};

static void emit(struct writing *w, enum item type, int64_t index, struct filler *f)
{
    uint8_t key[ITEM_KEY_LEN];
    make_key(key, type, index);
    assert(!f->full);
    w->sink(w->ctx, key, w->bytes, (size_t)(f->at - w->bytes));
}

static struct filler blank(struct writing *w)
{
    return filler_over(w->bytes, ITEM_BYTES_MAX);
}

/* What is written here and below: items whose dirty bit of mask is set (mask 0: all); the bit is
 * cleared. */
static void write_learner(struct learner *l, uint8_t mask, struct writing *w)
{
    struct filler f;
    for (int a = 0; a < l->n_arms; a++)
        for (int t = 0; t < TARGETS; t++) {
            if (mask && !(l->dirty[a][t] & mask))
                continue;
            f = blank(w);
            put_ridge(&f, l->ridge[a][t], w->work);
            emit(w, ITEM_RIDGE, ridge_index(l->index, a, t), &f);
            l->dirty[a][t] &= (uint8_t)~mask;
        }
    f = blank(w);
    learner_put(&f, l);
    emit(w, ITEM_LEARNER, l->index, &f);
}

static void write_sessions(struct sessions *s, uint8_t mask, struct writing *w)
{
    for (int64_t page = 0; page * SESSION_PAGE < s->n; page++) {
        if (mask && !(s->dirty[page] & mask))
            continue;
        struct filler f = blank(w);
        sessions_put(&f, s, page);
        emit(w, ITEM_SESSION, page, &f);
        s->dirty[page] &= (uint8_t)~mask;
    }
}

static void write_page(struct pending *p, int64_t page, uint8_t mask, struct writing *w)
{
    struct filler f = blank(w);
    put_page(&f, p, page);
    emit(w, ITEM_OPEN, page, &f);
    p->dirty[page] &= (uint8_t)~mask;
}

static void write_items(struct router *r, uint8_t mask, struct writing *w)
{
    struct filler f;
    for (int i = 0; i <= r->params.learners.n; i++)
        write_learner(router_learner(r, i), mask, w);
    for (int64_t page = 0; page * PENDING_PAGE < r->pending.cap; page++) {
        if (mask ? !(r->pending.dirty[page] & mask) : page * PENDING_PAGE >= r->pending.total)
            continue;
        write_page(&r->pending, page, mask, w);
    }
    for (int64_t page = 0; page * POOL_PAGE < r->pools.cap; page++) {
        if (mask ? !(r->pools.dirty[page] & mask) : !pool_page_used(&r->pools, page))
            continue;
        f = blank(w);
        pools_put_page(&r->pools, page, &f);
        emit(w, ITEM_POOLS, page, &f);
        r->pools.dirty[page] &= (uint8_t)~mask;
    }
    if (mask ? r->lens_dirty & mask : r->lens->id != 0) {
        size_t n = r->lens->id ? lens_save(r->lens, w->bytes, ITEM_BYTES_MAX) : 0;
        f = blank(w);
        f.at += n;
        emit(w, ITEM_HEADER, INDEX_LENS, &f);
        r->lens_dirty &= (uint8_t)~mask;
    }
    write_sessions(&r->sessions, mask, w);
    if (!mask || (r->pacer.dirty & mask)) {
        f = blank(w);
        pacer_put_window(&f, &r->pacer);
        emit(w, ITEM_WINDOW, 0, &f);
        r->pacer.dirty &= (uint8_t)~mask;
    }
    f = blank(w);
    pool_pacers_put(&f, &r->pool_pacers);
    emit(w, ITEM_PACE, 0, &f);
    f = blank(w);
    put_header(&f, r);
    emit(w, ITEM_HEADER, 0, &f);
}

static struct writing writing(struct router *r, item_sink sink, void *ctx)
{
    return (struct writing){.sink = sink,
                            .ctx = ctx,
                            .bytes = r->scratch,
                            .work = (double *)(void *)(r->scratch + ITEM_BYTES_MAX)};
}

static void run(struct router *r, uint8_t mask, item_sink sink, void *ctx)
{
    struct writing w = writing(r, sink, ctx);
    write_items(r, mask, &w);
}

size_t snapshot_scratch(void)
{
    return ITEM_BYTES_MAX + ridge_state_len(DIM_MAX) * sizeof(double);
}

void snapshot_write(struct router *r, int g, item_sink sink, void *ctx)
{
    run(r, (uint8_t)(1u << g), sink, ctx);
}

int64_t snapshot_ahead(struct router *r, int g, int64_t from, int64_t left, int most,
                       item_sink sink, void *ctx)
{
    struct pending *p = &r->pending;
    uint8_t mask = (uint8_t)(1u << g);
    struct writing w = writing(r, sink, ctx);
    int64_t keeps = p->total + left - p->cap; /* older ones may be gone by then */
    if (from < keeps)
        from = keeps;
    if (from < p->first)
        from = p->first;
    while (most > 0) {
        int64_t slot = from % p->cap, page = slot / PENDING_PAGE;
        int64_t end = (page + 1) * PENDING_PAGE < p->cap ? (page + 1) * PENDING_PAGE : p->cap;
        if (from + end - slot > p->total) /* the newest page goes on filling */
            break;
        if (p->dirty[page] & mask) {
            write_page(p, page, mask, &w);
            most--;
        }
        from += end - slot;
    }
    return from;
}

void snapshot_header_key(uint8_t key[ITEM_KEY_LEN])
{
    make_key(key, ITEM_HEADER, 0);
}

enum status snapshot_load(struct router *r, int g, const uint8_t key[ITEM_KEY_LEN],
                          const void *bytes, size_t n, struct problem *problem)
{
    struct reader in = reader_over(bytes, n);
    int64_t index = (int64_t)key[1] << 24 | key[2] << 16 | key[3] << 8 | key[4];
    enum status s = STATUS_OK;
    switch ((enum item)key[0]) {
    case ITEM_HEADER:
        if (index == INDEX_LENS)
            return router_adopt_lens(r, bytes, n, problem);
        s = get_header(r, &in, problem);
        break;
    case ITEM_LEARNER:
        if (index > r->params.learners.n || !learner_get(&in, router_learner(r, (int)index)))
            return broken(problem, "the learner does not fit the configuration");
        break;
    case ITEM_RIDGE:
        s = get_ridge(r, index, &in, problem);
        break;
    case ITEM_OPEN:
        if (index * PENDING_PAGE >= r->pending.cap)
            return STATUS_OK; /* of a larger ring that was made smaller since */
        s = get_page(&r->pending, index, &in, problem);
        break;
    case ITEM_POOLS:
        s = get_pools(r, index, &in, problem);
        break;
    case ITEM_WINDOW:
        pacer_get_window(&in, &r->pacer, &r->params);
        break;
    case ITEM_PACE:
        pool_pacers_get(&in, &r->pool_pacers);
        break;
    case ITEM_SESSION:
        if (index * SESSION_PAGE >= r->sessions.n)
            return STATUS_OK; /* of a table that was made smaller since */
        sessions_get(&in, &r->sessions, index);
        break;
    default:
        return broken(problem, "an item of unknown type");
    }
    (void)g;
    if (s == STATUS_OK && !reader_done(&in))
        s = broken(problem, "an item of wrong length");
    return s;
}

static void forget_dirt(struct router *r, int g)
{
    uint8_t keep = (uint8_t) ~(1u << g);
    for (int i = 0; i <= r->params.learners.n; i++)
        for (int a = 0; a < r->learner.n_arms; a++)
            for (int t = 0; t < TARGETS; t++)
                router_learner(r, i)->dirty[a][t] &= keep;
    for (int64_t page = 0; page * PENDING_PAGE < r->pending.cap; page++)
        r->pending.dirty[page] &= keep;
    for (int64_t page = 0; page * POOL_PAGE < r->pools.cap; page++)
        r->pools.dirty[page] &= keep;
    for (int64_t page = 0; page * SESSION_PAGE < r->sessions.n; page++)
        r->sessions.dirty[page] &= keep;
    r->pacer.dirty &= keep;
    r->lens_dirty &= keep;
}

enum status snapshot_done(struct router *r, int g, struct problem *problem)
{
    if (r->json_len == 0 && r->seq > 0 && r->config_seq > 0)
        return broken(problem, "no configuration");
    if (!pools_reindex(&r->pools))
        return broken(problem, "pools");
    if (!sessions_reindex(&r->sessions))
        return broken(problem, "sessions");
    pending_reindex(&r->pending);
    if (!silence_rebuild(r))
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory for open decisions");
    forget_dirt(r, g);
    return STATUS_OK;
}

struct hashing {
    uint64_t sum;
};

static void hash_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct hashing *h = ctx;
    h->sum = hash64(key, ITEM_KEY_LEN, h->sum);
    h->sum = hash64(bytes, n, h->sum);
}

uint64_t snapshot_digest(struct router *r)
{
    struct hashing h = {0};
    run(r, 0, hash_item, &h);
    return h.sum;
}
