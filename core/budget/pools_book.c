/* SPDX-License-Identifier: MIT */
/*
 * Reservations and settlements. Each call first works out every sum, then writes: a refusal leaves
 * nothing behind.
 *
 * A decision belongs to the book that was running when it was made, found again by its time. When
 * that window has passed, what is settled or given back corrects it, not the present one. A book is
 * begun by the first decision of a window; a quiet pool has none to roll.
 *
 * A fuse is a bucket that fills with what is committed and drains at the forecast; it trips when it
 * holds more than the burst. A flood of requests that cost c each is thus stopped behind request
 * burst/c + 1 at the latest. What reservations had too much is taken out again at settlement.
 */
#include "core/budget/pools_inside.h"

#include <assert.h>
#include <string.h>

/* ---- fuses ---- */

bool pool_fused(const struct pool *pool, const struct pool_spec *spec, int64_t now_ms)
{
    const int64_t reset = spec->fuse.reset_ms;
    return pool->tripped_ms > spec->fuse.rearmed_ms && pool->tripped_ms > 0 &&
           (spec->has & (POOL_HAS_FUSE_USD | POOL_HAS_FUSE_TOKENS)) &&
           (reset == 0 || now_ms < pool->tripped_ms + reset);
}

/* What drains in so many seconds, `level` at most. */
static int64_t drained(int64_t level, int64_t per_hour, int64_t seconds)
{
    int64_t hours = seconds / 3600, rest = seconds % 3600;
    if (hours > 0 && per_hour > level / hours)
        return level;
    int64_t out = hours * per_hour;
    int64_t more = per_hour / 3600 * rest + per_hour % 3600 * rest / 3600;
    return more > level - out ? level : out + more;
}

int64_t pool_fuse_level(const struct pool *pool, const struct pool_spec *spec, enum pool_unit unit,
                        int64_t now_ms)
{
    int64_t level = pool->fuse_level[unit];
    return level - drained(level, pool_native(spec->fuse.per_hour[unit], unit),
                           (now_ms - pool->fuse_ms) / 1000);
}

/* Brings the buckets to the present, in whole seconds so that nothing is lost by rounding. */
static void fuse_advance(struct pool *pool, const struct pool_spec *s, int64_t now)
{
    int64_t seconds = (now - pool->fuse_ms) / 1000;
    bool closed = pool->tripped_ms > 0 && !pool_fused(pool, s, now);
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t level = pool_fuse_level(pool, s, (enum pool_unit)u, now);
        pool->fuse_level[u] = closed ? 0 : level;
    }
    pool->fuse_ms += seconds * 1000;
    if (closed)
        pool->tripped_ms = 0;
}

/* Adds what was committed, or takes out what came back. */
static void fuse_feed(struct pool *pool, const struct pool_spec *s,
                      const int64_t change[POOL_UNITS], int64_t now)
{
    if (!(s->has & (POOL_HAS_FUSE_USD | POOL_HAS_FUSE_TOKENS)))
        return;
    fuse_advance(pool, s, now);
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t *level = &pool->fuse_level[u];
        *level = change[u] < 0 ? *level + change[u] : pool_add(*level, change[u]);
        *level = *level < 0 ? 0 : *level;
        if (pool->tripped_ms > 0 || !(s->has & (POOL_HAS_FUSE_USD << u)) ||
            *level <= pool_native(s->fuse.burst[u], (enum pool_unit)u))
            continue;
        pool->tripped_ms = now;
        pool->trips++;
    }
}

/* ---- books ---- */

static struct pool_book *newest(struct pool *pool)
{
    return &pool->book[pool->n_books - 1];
}

/* The oldest book goes into the one for all that is past. */
static void merge_oldest(struct pool *pool)
{
    for (int c = 0; c < BOOK_COLUMNS; c++) {
        for (int u = 0; u < POOL_UNITS; u++)
            pool->book[0].sum[c][u] = pool_add(pool->book[0].sum[c][u], pool->book[1].sum[c][u]);
    }
    memmove(&pool->book[1], &pool->book[2], (POOL_BOOKS - 2) * sizeof pool->book[0]);
    pool->n_books--;
}

/* The window of the present, begun if this is its first decision. After a change of the window's
 * length its start may lie before decisions that stand in the old book: theirs must stay the last
 * that starts no later than they were made. */
static struct pool_book *running_book(struct pool *pool, int64_t start, int64_t now)
{
    if (start <= newest(pool)->start)
        return newest(pool);
    if (pool->n_books > 1 && start <= pool->last_ms)
        start = pool->last_ms + 1;
    if (start > now)
        return newest(pool);
    if (pool->n_books == POOL_BOOKS)
        merge_oldest(pool);
    pool->book[pool->n_books++] = (struct pool_book){.start = start};
    return newest(pool);
}

static struct pool_book *book_of(struct pool *pool, int64_t time)
{
    int i = pool->n_books - 1;
    while (i > 0 && pool->book[i].start > time)
        i--;
    return &pool->book[i];
}

/* ---- reservation ---- */

static bool in_range(const int64_t amount[POOL_UNITS])
{
    for (int u = 0; u < POOL_UNITS; u++) {
        if (amount[u] < 0 || amount[u] > POOL_AMOUNT_MAX)
            return false;
    }
    return true;
}

static bool fits(const struct pools *p, const struct pool_entry *e,
                 const int64_t amount[POOL_UNITS])
{
    const struct pool *pool = e->at < 0 ? NULL : &p->pool[e->at];
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t running = pool ? pool->book[pool->n_books - 1].sum[BOOK_RESERVED][u] : 0;
        int64_t used = pools_used(p, e, (enum pool_unit)u);
        if (amount[u] > INT64_MAX - used || amount[u] > INT64_MAX - running)
            return false;
    }
    return true;
}

static enum pool_mode mode_of(uint8_t strict, int i)
{
    return strict >> i & 1 ? POOL_STRICT : POOL_QUANTILE;
}

static bool reservable(const struct pools *p, const struct pool_path *path,
                       const struct pool_ask *ask)
{
    int missing = 0;
    if (path->crowded || (path->strict && !ask->bounded))
        return false;
    for (int i = 0; i < path->n; i++) {
        const int64_t *amount = ask->amount[mode_of(path->strict, i)];
        missing += path->entry[i].at < 0;
        if (!in_range(amount) || !fits(p, &path->entry[i], amount))
            return false;
    }
    return missing <= pools_vacant(p);
}

static void reserve_one(struct pools *p, int32_t at, const struct window *w,
                        const int64_t amount[POOL_UNITS], int64_t now)
{
    struct pool *pool = &p->pool[at];
    struct pool_book *book = running_book(pool, w->start, now);
    for (int u = 0; u < POOL_UNITS; u++)
        book->sum[BOOK_RESERVED][u] += amount[u];
    pool->last_ms = now;
    fuse_feed(pool, &p->config.spec[pool->spec], amount, now);
    pools_touch(p, at);
}

bool pools_reserve(struct pools *p, const struct pool_path *path, const struct pool_ask *ask,
                   uint64_t seq, struct pool_hold *hold)
{
    assert(seq > 0);
    if (!reservable(p, path, ask))
        return false;
    memset(hold, 0, sizeof *hold);
    hold->n = (uint8_t)path->n;
    hold->strict = path->strict;
    hold->open = path->n > 0;
    for (int i = 0; i < path->n; i++) {
        const struct pool_entry *e = &path->entry[i];
        enum pool_mode mode = mode_of(path->strict, i);
        int32_t parent = e->up < 0 ? -1 : (int32_t)hold->at[e->up];
        int32_t at = e->at >= 0 ? e->at : pools_take(p, e->spec, parent, e->value, seq);
        hold->at[i] = (uint32_t)at;
        p->window[e->spec] = e->window;
        memcpy(hold->reserved[mode], ask->amount[mode], sizeof hold->reserved[mode]);
        reserve_one(p, at, &e->window, ask->amount[mode], path->now_ms);
    }
    return true;
}

/* ---- settlement ---- */

/* One decision's part in one pool: reserved, what it came to before (NULL: open), and now. */
struct turn {
    const int64_t *reserved, *before, *now;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Moves one unit of a book on. False when a sum leaves 0..INT64_MAX. */
static bool turn_unit(struct pool_book *b, const struct turn *t, int u)
{
    int64_t r = t->reserved[u], change[BOOK_COLUMNS];
    int64_t within = least(t->now[u], r), over = t->now[u] - within;
    change[BOOK_SETTLED] = within - (t->before ? least(t->before[u], r) : 0);
    change[BOOK_OVER] = over - (t->before ? t->before[u] - least(t->before[u], r) : 0);
    change[BOOK_RESERVED] = t->before ? 0 : -r;
    for (int c = 0; c < BOOK_COLUMNS; c++) {
        int64_t *sum = &b->sum[c][u];
        if (*sum < -change[c] || (change[c] > 0 && *sum > INT64_MAX - change[c]))
            return false;
        *sum += change[c];
    }
    return true;
}

static int overrun(const struct turn *t, const int64_t *amount)
{
    return amount && (amount[POOL_NANO] > t->reserved[POOL_NANO] ||
                      amount[POOL_TOKENS] > t->reserved[POOL_TOKENS]);
}

/* Gives the pool that entry i of a hold is charged to, NULL if it is no longer there. */
static struct pool *held(struct pools *p, const struct pool_hold *hold, int i, uint64_t seq)
{
    struct pool *pool = hold->at[i] < p->cap ? &p->pool[hold->at[i]] : NULL;
    return pool && pool->born > 0 && pool->born <= seq ? pool : NULL;
}

static struct turn turn_of(const struct pool_hold *hold, int i,
                           const int64_t now[POOL_MODES][POOL_UNITS])
{
    enum pool_mode mode = mode_of(hold->strict, i);
    return (struct turn){hold->reserved[mode], hold->open ? NULL : hold->booked[mode], now[mode]};
}

static bool turnable(struct pools *p, const struct pool_hold *hold, uint64_t seq, int64_t time,
                     const int64_t now[POOL_MODES][POOL_UNITS])
{
    for (int i = 0; i < hold->n; i++) {
        struct pool *pool = held(p, hold, i, seq);
        struct turn t = turn_of(hold, i, now);
        struct pool_book trial = pool ? *book_of(pool, time) : (struct pool_book){0};
        for (int u = 0; pool && u < POOL_UNITS; u++) {
            if (!turn_unit(&trial, &t, u))
                return false;
        }
    }
    return true;
}

static void turn_pool(struct pools *p, struct pool *pool, const struct turn *t, bool strict,
                      int64_t time, int64_t now_ms)
{
    struct pool_book *book = book_of(pool, time);
    int64_t change[POOL_UNITS];
    for (int u = 0; u < POOL_UNITS; u++) {
        bool ok = turn_unit(book, t, u);
        assert(ok);
        change[u] = t->now[u] - (t->before ? t->before[u] : t->reserved[u]);
    }
    if (strict)
        pool->overruns += (uint64_t)(overrun(t, t->now) - overrun(t, t->before));
    fuse_feed(pool, &p->config.spec[pool->spec], change, now_ms);
    pools_touch(p, pool - p->pool);
}

static bool rebook(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time,
                   const int64_t now[POOL_MODES][POOL_UNITS], int64_t now_ms)
{
    if (!in_range(now[POOL_STRICT]) || !in_range(now[POOL_QUANTILE]) ||
        !turnable(p, hold, seq, time, now))
        return false;
    for (int i = 0; i < hold->n; i++) {
        struct pool *pool = held(p, hold, i, seq);
        struct turn t = turn_of(hold, i, now);
        if (pool)
            turn_pool(p, pool, &t, mode_of(hold->strict, i) == POOL_STRICT, time, now_ms);
    }
    memcpy(hold->booked, now, sizeof hold->booked);
    hold->open = false;
    return true;
}

bool pools_settle(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                  const int64_t actual[POOL_UNITS], int64_t now_ms)
{
    int64_t now[POOL_MODES][POOL_UNITS];
    memcpy(now[POOL_STRICT], actual, sizeof now[0]);
    memcpy(now[POOL_QUANTILE], actual, sizeof now[0]);
    return rebook(p, hold, seq, time_ms, (const int64_t(*)[POOL_UNITS])now, now_ms);
}

bool pools_expire(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                  int64_t now_ms)
{
    int64_t now[POOL_MODES][POOL_UNITS];
    memcpy(now, hold->reserved, sizeof now);
    return rebook(p, hold, seq, time_ms, (const int64_t(*)[POOL_UNITS])now, now_ms);
}

/* ---- leases ---- */

static bool promises(const struct pools *p, int64_t slot)
{
    const struct pool *pool = &p->pool[slot];
    return pool->born > 0 && (pools_lease(&p->config, pool->spec, POOL_NANO) >= 0 ||
                              pools_lease(&p->config, pool->spec, POOL_TOKENS) >= 0);
}

static void strand_one(struct pools *p, int64_t slot, int64_t now)
{
    struct pool *pool = &p->pool[slot];
    struct pool_book *book = running_book(pool, pools_window(p, pool->spec, now).start, now);
    for (int u = 0; u < POOL_UNITS; u++) {
        int64_t block = pools_lease(&p->config, pool->spec, (enum pool_unit)u);
        int64_t most = INT64_MAX - pool_add(pool->stranded[u], book->sum[BOOK_SETTLED][u]);
        block = block < 0 ? 0 : block < most ? block : most;
        book->sum[BOOK_SETTLED][u] += block;
        pool->stranded[u] += block;
    }
    pools_touch(p, slot);
}

int64_t pools_strand(struct pools *p, int64_t lent_ms, int64_t now_ms)
{
    int64_t latest = INT64_MIN, n = 0;
    for (int64_t i = 0; i < p->cap && p->used > 0; i++)
        if (promises(p, i) && p->pool[i].last_ms > latest)
            latest = p->pool[i].last_ms;
    for (int64_t i = 0; i < p->cap && p->used > 0; i++) {
        int64_t last = p->pool[i].last_ms;
        if (!promises(p, i) || last < lent_ms || last < latest - POOL_LEASE_IDLE_MS)
            continue;
        strand_one(p, i, now_ms);
        n++;
    }
    return n;
}
