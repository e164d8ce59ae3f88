/* SPDX-License-Identifier: MIT */
/*
 * Random operations on the pools against a model that keeps every decision in a list and adds up
 * anew each time it is asked: what is used, what may be admitted, and that strict caps hold at
 * every step, through rolls, expiries, late and repeated completions, changed caps, overrides,
 * loans, forgotten instances and snapshots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/pools.h"

enum { OPS = 100000, TENANTS = 3, USERS = 5, CAP = OPS };
enum { ORG, TENANTS_POOL, USERS_POOL, GOLD, FREE, BIG, POOLS };
static const int64_t second = 1000, hour = 3600000;
static const int64_t t0 = 1767225600000;
static const char *const tenant_name[] = {"a", "b", "c"};
static const char *const user_name[] = {"u", "v", "w", "x", "y"};
static const char *const tier_name[] = {"gold", "free", "other"};
static const char *const model_name[] = {"small", "big"};

struct who {
    int tenant, user, tier, model;
};
struct decision {
    struct who who;
    uint64_t seq;
    int64_t time;
    struct pool_ask ask;
    struct pool_hold hold;
    bool open;
    int64_t booked[POOL_MODES][POOL_UNITS];
};

static struct fx {
    struct pools pools;
    struct pool_config config;
    struct decision d[CAP];
    int n;
    int64_t now;
    uint64_t seq;
    struct rng g;
    int refused, admitted, borrowed, forgotten;
} fx;

static void configure(struct pool_config *c)
{
    static const struct {
        const char *name;
        int parent;
        enum window_kind kind;
        int each;
        bool quantile;
        int64_t micro, tokens;
    } plan[POOLS] = {
        {"org", -1, WINDOW_HOUR, -1, false, 900000, 400000},
        {"tenants", ORG, WINDOW_MINUTE, POOL_TENANT, true, 60000, -1},
        {"users", TENANTS_POOL, WINDOW_ROLLING, POOL_USER, false, 50000, 20000},
        {"gold", ORG, WINDOW_HOUR, -1, false, -1, -1},
        {"free", ORG, WINDOW_HOUR, -1, false, -1, -1},
        {"big", -1, WINDOW_ONCE, -1, false, 2000000, -1},
    };
    memset(c, 0, sizeof *c);
    c->instances = 64;
    c->n = POOLS;
    for (int i = 0; i < POOLS; i++) {
        struct pool_spec *s = &c->spec[i];
        strcpy(s->name, plan[i].name);
        s->parent = plan[i].parent;
        s->window.kind = plan[i].kind;
        s->each = plan[i].each;
        s->quantile = plan[i].quantile;
        s->soft = s->keep = 1;
        s->limit[POOL_NANO] = plan[i].micro;
        s->limit[POOL_TOKENS] = plan[i].tokens;
        s->has =
            (plan[i].micro >= 0 ? POOL_HAS_USD : 0) | (plan[i].tokens >= 0 ? POOL_HAS_TOKENS : 0u);
    }
    c->spec[USERS_POOL].window.length_ms = 120 * second;
    c->spec[BIG].window.from_ms = t0 + 10 * hour;
    c->spec[BIG].window.until_ms = t0 + 14 * hour;
    strcpy(c->spec[BIG].match[POOL_MODEL], "big");
    for (int i = GOLD; i <= FREE; i++) {
        struct pool_spec *s = &c->spec[i];
        strcpy(s->match[POOL_USER_TIER], tier_name[i - GOLD]);
        s->has = POOL_HAS_SHARE;
        s->share = i == GOLD ? 0.5 : 0.35;
        s->keep = i == GOLD ? 0.2 : 0.5;
        s->borrow = true;
    }
}

/* ---- the model ---- */

static bool charges(int spec, const struct decision *d, const struct who *who)
{
    switch (spec) {
    case ORG:
        return true;
    case TENANTS_POOL:
        return d->who.tenant == who->tenant;
    case USERS_POOL:
        return d->who.tenant == who->tenant && d->who.user == who->user;
    case BIG:
        return d->who.model == 1;
    default:
        return d->who.tier == spec - GOLD;
    }
}

/* Written anew, not window_at: only what these six pools need. */
static bool counts(int spec, int64_t time)
{
    int64_t part = 120 * second / 12;
    switch (spec) {
    case TENANTS_POOL:
        return time / 60000 == fx.now / 60000;
    case USERS_POOL:
        return time / part >= fx.now / part - 12;
    case BIG:
        return time >= t0 + 10 * hour && time < t0 + 14 * hour && fx.now < t0 + 14 * hour &&
               fx.now >= t0 + 10 * hour;
    default:
        return time / hour == fx.now / hour;
    }
}

static enum pool_mode mode_of(int spec)
{
    return fx.config.spec[spec].quantile ? POOL_QUANTILE : POOL_STRICT;
}

/* What counts of a unit, and (if not NULL) how much of it lies within the reservations. */
static int64_t model_used(int spec, const struct who *who, int u, int64_t *within)
{
    int64_t used = 0, inside = 0;
    enum pool_mode m = mode_of(spec);
    for (int i = fx.n - 1; i >= 0 && fx.d[i].time > fx.now - 4 * hour; i--) {
        const struct decision *d = &fx.d[i];
        if (!charges(spec, d, who) || !counts(spec, d->time) || d->hold.n == 0)
            continue;
        int64_t r = d->ask.amount[m][u], b = d->open ? r : d->booked[m][u];
        used += b;
        inside += b < r ? b : r;
    }
    if (within)
        *within = inside;
    return used;
}

static int64_t model_cap(int spec, const struct who *who, int u)
{
    const struct pool_spec *s = &fx.config.spec[spec];
    if (spec == BIG && (fx.now < t0 + 10 * hour || fx.now >= t0 + 14 * hour))
        return 0;
    if (s->has & POOL_HAS_SHARE)
        return model_cap(ORG, who, u) * (int64_t)(s->share * 100 + 0.5) / 100;
    bool special = fx.now < s->over.until_ms &&
                   (s->over.value[0] == '\0' || strcmp(s->over.value, user_name[who->user]) == 0);
    if (special && (s->has & (POOL_HAS_OVERRIDE_USD << u)))
        return s->over.limit[u] * (u == POOL_NANO ? 1000 : 1);
    return s->has & (POOL_HAS_USD << u) ? s->limit[u] * (u == POOL_NANO ? 1000 : 1) : -1;
}

static int64_t positive(int64_t v)
{
    return v > 0 ? v : 0;
}

/* What gold or free may use above its cap. */
static int64_t model_loan(int spec, const struct who *who, int u)
{
    int other = spec == GOLD ? FREE : GOLD;
    int64_t cap = model_cap(other, who, u), used = model_used(other, who, u, NULL);
    int64_t keep = cap * (int64_t)(fx.config.spec[other].keep * 100 + 0.5) / 100;
    return positive(positive(cap - used - keep) - positive(used - cap));
}

static int64_t model_room(int spec, const struct who *who, int u)
{
    int64_t cap = model_cap(spec, who, u);
    if (cap < 0)
        return INT64_MAX;
    if (spec == GOLD || spec == FREE)
        cap += model_loan(spec, who, u);
    return positive(cap - model_used(spec, who, u, NULL));
}

static bool on_path(int spec, const struct who *who)
{
    return spec == BIG ? who->model == 1 : spec < GOLD || who->tier == spec - GOLD;
}

static bool model_admits(const struct who *who, const struct pool_ask *ask)
{
    for (int spec = 0; spec < POOLS; spec++) {
        for (int u = 0; u < POOL_UNITS && on_path(spec, who); u++) {
            if (ask->amount[mode_of(spec)][u] > model_room(spec, who, u))
                return false;
        }
    }
    return true;
}

/* ---- steps ---- */

static int below(int n)
{
    return (int)rng_below(&fx.g, (uint64_t)n);
}

static struct pool_path path_of(const struct who *who)
{
    struct pool_labels l = {.of = {[POOL_TENANT] = tenant_name[who->tenant],
                                   [POOL_USER] = user_name[who->user],
                                   [POOL_USER_TIER] = tier_name[who->tier],
                                   [POOL_MODEL] = model_name[who->model]}};
    struct pool_path path;
    pools_path(&fx.pools, &l, fx.now, &path);
    return path;
}

/* Every pool on the path has what the model says, and no more within reservations than its cap
 * (with `capped`: no cap was lowered). */
static void check_path(const struct who *who, bool capped)
{
    struct pool_path path = path_of(who);
    for (int i = 0; i < path.n; i++) {
        const struct pool_entry *e = &path.entry[i];
        for (int u = 0; u < POOL_UNITS; u++) {
            int64_t within = 0, used = model_used(e->spec, who, u, &within);
            assert_int_equal(pools_used(&fx.pools, e, (enum pool_unit)u), used);
            assert_int_equal(e->cap[u], model_cap(e->spec, who, u));
            bool lends = e->spec == GOLD || e->spec == FREE;
            if (capped && e->cap[u] >= 0 && !lends && mode_of(e->spec) == POOL_STRICT)
                assert_true(within <= e->cap[u]);
            fx.borrowed += lends && used > e->cap[u];
        }
    }
}

static void route(bool capped)
{
    struct who who = {below(TENANTS), below(USERS), below(3), below(4) == 0};
    struct pool_ask ask = {.bounded = true};
    for (int u = 0; u < POOL_UNITS; u++) {
        ask.amount[POOL_STRICT][u] = (int64_t)rng_below(&fx.g, u == POOL_NANO ? 9000001 : 5000);
        ask.amount[POOL_QUANTILE][u] = ask.amount[POOL_STRICT][u] / (1 + below(4));
    }
    struct pool_path path = path_of(&who);
    bool ours = pools_admitted(pools_admit(&fx.pools, &path, &ask).action);
    assert_int_equal(ours, model_admits(&who, &ask));
    fx.refused += !ours;
    if (!ours)
        return;
    struct decision *d = &fx.d[fx.n++];
    *d = (struct decision){.who = who, .seq = ++fx.seq, .time = fx.now, .ask = ask, .open = true};
    assert_true(pools_reserve(&fx.pools, &path, &ask, d->seq, &d->hold));
    fx.admitted++;
    check_path(&who, capped);
}

static void complete(bool capped)
{
    if (fx.n == 0)
        return;
    int back = below(fx.n < 300 ? fx.n : 300);
    struct decision *d = &fx.d[fx.n - 1 - (below(50) == 0 ? below(fx.n) : back)];
    int64_t actual[POOL_UNITS];
    bool raising = !capped || d->open; /* what came free is given out: raising it again exceeds */
    fx.seq++;
    if (below(4) == 0 && raising) {
        assert_true(pools_expire(&fx.pools, &d->hold, d->seq, d->time, fx.now));
        memcpy(d->booked, d->ask.amount, sizeof d->booked);
    } else {
        for (int u = 0; u < POOL_UNITS; u++) {
            int64_t most = d->ask.amount[POOL_STRICT][u], before = d->booked[POOL_STRICT][u];
            bool whole = raising || before >= most;
            actual[u] = (int64_t)rng_below(&fx.g, (uint64_t)(whole ? most : before) + 1) +
                        (whole && below(20) == 0 ? most : 0);
            d->booked[POOL_STRICT][u] = d->booked[POOL_QUANTILE][u] = actual[u];
        }
        for (int twice = below(3); twice >= 0; twice--)
            assert_true(pools_settle(&fx.pools, &d->hold, d->seq, d->time, actual, fx.now));
    }
    d->open = false;
    check_path(&d->who, capped);
}

static void change(void)
{
    struct pool_config *c = &fx.config;
    c->spec[ORG].limit[POOL_NANO] = 500000 + below(800000);
    c->spec[USERS_POOL].limit[POOL_NANO] = 20000 + below(60000);
    if (below(2)) {
        struct pool_spec *s = &c->spec[USERS_POOL];
        strcpy(s->over.value, user_name[below(USERS)]);
        s->over.limit[POOL_NANO] = below(100000);
        s->over.until_ms = fx.now + below(600000);
        s->has |= POOL_HAS_OVERRIDE_USD;
    }
    assert_true(pools_configure(&fx.pools, c));
}

/* The state written and read back is the same state, and goes on in place of the old one. */
static void reload(void)
{
    static uint8_t bytes[POOL_PAGE_BYTES_MAX];
    struct pools again;
    assert_true(pools_init(&again, &fx.config));
    for (int64_t page = 0; page * POOL_PAGE < fx.pools.cap; page++) {
        struct filler f = filler_over(bytes, sizeof bytes);
        pools_put_page(&fx.pools, page, &f);
        assert_false(f.full);
        struct reader r = reader_over(bytes, (size_t)(f.at - bytes));
        assert_true(pools_get_page(&again, page, &r) && reader_done(&r));
    }
    assert_true(pools_reindex(&again));
    assert_int_equal(again.used, fx.pools.used);
    for (int64_t i = 0; i < fx.pools.cap; i++) {
        const struct pool *a = &fx.pools.pool[i], *b = &again.pool[i];
        assert_int_equal(a->born, b->born);
        for (int k = 0; a->born && k < a->n_books; k++)
            assert_memory_equal(&a->book[k], &b->book[k], sizeof a->book[k]);
    }
    pools_fini(&fx.pools);
    fx.pools = again;
}

/* The books of every instance, old windows included, are the sum of its decisions, to the nano. */
static void balance(void)
{
    for (int64_t at = 0; at < fx.pools.cap; at++) {
        const struct pool *pool = &fx.pools.pool[at];
        int64_t sum[BOOK_COLUMNS][POOL_UNITS] = {0};
        for (int i = 0; pool->born && i < fx.n; i++) {
            const struct decision *d = &fx.d[i];
            bool here = false;
            for (int k = 0; k < d->hold.n; k++)
                here |= d->hold.at[k] == at && d->seq >= pool->born;
            for (int u = 0; here && u < POOL_UNITS; u++) {
                enum pool_mode m = mode_of(pool->spec);
                int64_t r = d->ask.amount[m][u], b = d->booked[m][u];
                sum[BOOK_RESERVED][u] += d->open ? r : 0;
                sum[BOOK_SETTLED][u] += d->open ? 0 : b < r ? b : r;
                sum[BOOK_OVER][u] += d->open ? 0 : positive(b - r);
            }
        }
        for (int c = 0; c < BOOK_COLUMNS; c++) {
            for (int u = 0; pool->born && u < POOL_UNITS; u++) {
                for (int b = 0; b < pool->n_books; b++)
                    sum[c][u] -= pool->book[b].sum[c][u];
                assert_int_equal(sum[c][u], 0);
            }
        }
    }
}

/* No stretch of two minutes, wherever it begins, has more within reservations than a user's cap. */
static void check_rolling(void)
{
    const struct pool_spec *s = &fx.config.spec[USERS_POOL];
    for (int last = 0; last < fx.n; last++) {
        int64_t sum = 0;
        for (int i = last; i >= 0 && fx.d[i].time > fx.d[last].time - s->window.length_ms; i--) {
            const struct decision *d = &fx.d[i];
            int64_t r = d->ask.amount[POOL_STRICT][POOL_NANO];
            int64_t b = d->open ? r : d->booked[POOL_STRICT][POOL_NANO];
            if (charges(USERS_POOL, d, &fx.d[last].who))
                sum += b < r ? b : r;
        }
        assert_true(sum <= s->limit[POOL_NANO] * 1000);
    }
}

static void run(uint64_t seed, bool changing, int64_t instances)
{
    pools_fini(&fx.pools);
    memset(&fx, 0, sizeof fx);
    configure(&fx.config);
    fx.config.instances = instances;
    assert_true(pools_init(&fx.pools, &fx.config));
    fx.now = t0;
    fx.g = rng_stream(seed, 0, 0);
    for (int op = 0; op < OPS; op++) {
        int dice = below(1000);
        fx.now += below(4) == 0 ? below(8000) : 0;
        if (dice < 600)
            route(!changing);
        else if (dice < 990)
            complete(!changing);
        else if (dice < 993 && changing)
            change();
        else if (dice < 994)
            fx.now += below(2 * 3600000); /* a quiet time */
        else if (dice < 996)
            fx.forgotten += (int)pools_tidy(&fx.pools, fx.now);
        else if (dice < 997)
            reload();
    }
    balance();
    print_message("%d admitted, %d refused, %d seen above their share, %d forgotten, %lld hours\n",
                  fx.admitted, fx.refused, fx.borrowed, fx.forgotten,
                  (long long)((fx.now - t0) / hour));
    assert_true(fx.admitted > OPS / 10 && fx.refused > OPS / 10 && fx.borrowed > 0);
}

/* covers: S5 S6 K7 */
static void fixed_caps(void **state)
{
    (void)state;
    run(1, false, 64);
    check_rolling();
}

static void changing_caps(void **state)
{
    (void)state;
    run(2, true, 26);
    assert_true(fx.forgotten > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_caps),
        cmocka_unit_test(changing_caps),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pools_fini(&fx.pools);
    return failed;
}
