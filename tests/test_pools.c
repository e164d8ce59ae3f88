/* SPDX-License-Identifier: MIT */
/* Budgets by known answers: limits, loans, fuses, windows, late completions, the bound on the
 * table. The random comparison with a naive model is in test_pools_model.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/budget/pools.h"

static const int64_t second = 1000, hour = 3600000, usd = 1000000000, cent = 10000000;
static const int64_t t0 = 1767225600000; /* 2026-01-01T00:00:00Z */

static struct pool_config config;
static struct pools pools;
static uint64_t seq;

/* Adds a strict pool of so many dollars; the caller changes what it wants to. */
static struct pool_spec *add(const char *name, int parent, double dollars)
{
    struct pool_spec *s = &config.spec[config.n++];
    memset(s, 0, sizeof *s);
    strcpy(s->name, name);
    s->parent = parent;
    s->each = -1;
    s->window.kind = WINDOW_DAY;
    s->soft = s->keep = 1;
    s->risk = 0.05;
    s->limit[POOL_NANO] = (int64_t)(dollars * 1e6 + 0.5);
    s->has = dollars >= 0 ? POOL_HAS_USD : 0;
    return s;
}

static int setup(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    config.instances = 64;
    seq = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pools_fini(&pools);
    return 0;
}

static void begin(void)
{
    assert_true(pools_init(&pools, &config));
}

static struct pool_path path_of(const char *tenant, const char *user, int64_t now)
{
    struct pool_labels labels = {.of = {[POOL_TENANT] = tenant, [POOL_USER] = user}};
    struct pool_path path;
    pools_path(&pools, &labels, now, &path);
    return path;
}

static struct pool_ask ask_of(int64_t nano, int64_t tokens)
{
    return (struct pool_ask){true, {{nano, tokens}, {nano, tokens}}};
}

/* One request: admitted and then reserved, or not. */
static struct pool_verdict request(const char *tenant, const char *user, int64_t nano, int64_t now,
                                   struct pool_hold *hold)
{
    struct pool_path path = path_of(tenant, user, now);
    struct pool_ask ask = ask_of(nano, 100);
    struct pool_verdict v = pools_admit(&pools, &path, &ask);
    if (pools_admitted(v.action))
        assert_true(pools_reserve(&pools, &path, &ask, ++seq, hold));
    return v;
}

static void settle(struct pool_hold *hold, int64_t time, int64_t nano, int64_t now)
{
    const int64_t actual[POOL_UNITS] = {nano, 80};
    assert_true(pools_settle(&pools, hold, seq, time, actual, now));
}

static const struct pool_book *book_at(const char *tenant, const char *user, int64_t time)
{
    struct pool_path path = path_of(tenant, user, time);
    const struct pool *pool = &pools.pool[path.entry[path.n - 1].at];
    int i = pool->n_books - 1;
    while (pool->book[i].start > time)
        i--;
    return &pool->book[i];
}

static void check_book(const struct pool_book *b, int64_t settled, int64_t over, int64_t reserved)
{
    assert_int_equal(b->sum[BOOK_SETTLED][POOL_NANO], settled);
    assert_int_equal(b->sum[BOOK_OVER][POOL_NANO], over);
    assert_int_equal(b->sum[BOOK_RESERVED][POOL_NANO], reserved);
}

/* A thousand requests when one unit is left: one of them gets it. */
static void last_unit(void **state)
{
    struct pool_hold hold, won;
    int admitted = 0;
    (void)state;
    add("org", -1, 1);
    begin();
    assert_int_equal(request("a", "u", usd - 1, t0, &hold).action, POOL_ADMIT);
    for (int i = 0; i < 1000; i++) {
        struct pool_verdict v = request("a", "u", 1, t0, &won);
        admitted += pools_admitted(v.action);
        assert_int_equal(v.action, i == 0 ? POOL_ADMIT : POOL_EXHAUSTED);
        assert_int_equal(v.missing, i == 0 ? 0 : 1);
        assert_int_equal(v.retry_after_ms, i == 0 ? 0 : 24 * hour);
    }
    assert_int_equal(admitted, 1);
    assert_true(pools_expire(&pools, &won, seq, t0, t0)); /* not released: settled as reserved */
    assert_int_equal(request("a", "u", 1, t0, &won).action, POOL_EXHAUSTED);
    assert_int_equal(request("a", "u", 1, t0 + 24 * hour, &won).action, POOL_ADMIT);
}

/* All or none: the user's pool is full, so the tenant's is not charged. */
static void nested(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("org", -1, 10);
    add("tenants", 0, 5)->each = POOL_TENANT;
    add("users", 1, 1)->each = POOL_USER;
    begin();
    for (int i = 0; i < 5; i++)
        assert_int_equal(request("a", i < 3 ? "u" : "v", 30 * cent, t0, &hold).action, POOL_ADMIT);
    struct pool_verdict v = request("a", "u", 30 * cent, t0, &hold);
    assert_int_equal(v.action, POOL_EXHAUSTED);
    assert_int_equal(v.spec, 2);
    assert_int_equal(v.missing, 20 * cent);
    struct pool_path path = path_of("a", "u", t0);
    assert_int_equal(path.n, 3);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 150 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[1], POOL_NANO), 150 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[2], POOL_NANO), 90 * cent);
    struct pool_room room = pools_headroom(&pools, &path);
    assert_int_equal(room.left[POOL_NANO], 10 * cent);
    assert_int_equal(room.at[POOL_NANO], 2);
    assert_true(room.left[POOL_TOKENS] == INT64_MAX && room.at[POOL_TOKENS] == -1);
    path = path_of("b", "u", t0); /* another tenant's user of the same name */
    assert_int_equal(path.entry[2].at, -1);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], usd);
    path = path_of("a", NULL, t0); /* no user said: no user's pool */
    assert_int_equal(path.n, 2);
}

/* Completion after expiry refunds; twice the same changes nothing; above the worst case: overrun.
 */
static void late_and_over(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("org", -1, 1);
    begin();
    request("a", "u", 50 * cent, t0, &hold);
    check_book(book_at("a", "u", t0), 0, 0, 50 * cent);
    assert_true(pools_expire(&pools, &hold, seq, t0, t0 + hour));
    check_book(book_at("a", "u", t0), 50 * cent, 0, 0);
    settle(&hold, t0, 20 * cent, t0 + hour);
    settle(&hold, t0, 20 * cent, t0 + hour);
    check_book(book_at("a", "u", t0), 20 * cent, 0, 0);
    settle(&hold, t0, 70 * cent, t0 + hour);
    check_book(book_at("a", "u", t0), 50 * cent, 20 * cent, 0);
    assert_int_equal(pools.pool[0].overruns, 1);
    struct pool_path path = path_of("a", "u", t0);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 30 * cent);
    settle(&hold, t0, 120 * cent, t0 + hour); /* no negative headroom */
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 0);
    settle(&hold, t0, 30 * cent, t0 + hour);
    assert_int_equal(pools.pool[0].overruns, 0);
    check_book(book_at("a", "u", t0), 30 * cent, 0, 0);
}

/* What is settled after the window has passed corrects that window. */
static void other_window(void **state)
{
    struct pool_hold first, second_one;
    (void)state;
    add("org", -1, 1);
    begin();
    request("a", "u", usd, t0, &first);
    int64_t next = t0 + 24 * hour;
    assert_int_equal(request("a", "u", 60 * cent, next - 1, &second_one).action, POOL_EXHAUSTED);
    assert_int_equal(request("a", "u", 60 * cent, next, &second_one).action, POOL_ADMIT);
    settle(&first, t0, 10 * cent, next);
    check_book(book_at("a", "u", next - 1), 10 * cent, 0, 0);
    check_book(book_at("a", "u", next), 0, 0, 60 * cent);
    assert_int_equal(pools.pool[0].n_books, 3);
    for (int i = 0; i < 40; i++) /* its book goes into the one for all that is past */
        request("a", "u", cent, next + i * 24 * hour, &second_one);
    settle(&first, t0, 30 * cent, next + 40 * 24 * hour);
    assert_int_equal(pools.pool[0].n_books, POOL_BOOKS);
    assert_int_equal(pools.pool[0].book[0].sum[BOOK_SETTLED][POOL_NANO], 30 * cent);
}

static void lowered(void **state)
{
    struct pool_hold hold;
    (void)state;
    struct pool_spec *s = add("org", -1, 1);
    begin();
    request("a", "u", 80 * cent, t0, &hold);
    s->limit[POOL_NANO] = 500000;
    assert_true(pools_configure(&pools, &config));
    struct pool_path path = path_of("a", "u", t0);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 80 * cent);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 0);
    assert_int_equal(request("a", "u", 1, t0, &hold).action, POOL_EXHAUSTED);
    assert_int_equal(request("a", "u", 50 * cent, t0 + 24 * hour, &hold).action, POOL_ADMIT);
    s->over.limit[POOL_NANO] = 900000; /* an override holds until it ends */
    s->over.until_ms = t0 + 25 * hour;
    s->has |= POOL_HAS_OVERRIDE_USD;
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(request("a", "u", 40 * cent, t0 + 25 * hour, &hold).action, POOL_EXHAUSTED);
    assert_int_equal(request("a", "u", 40 * cent, t0 + 25 * hour - 1, &hold).action, POOL_ADMIT);
    s->kill = true;
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(request("a", "u", 0, t0 + 48 * hour, &hold).action, POOL_KILLED);
}

static void soft(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("org", -1, 1)->soft = 0.5;
    begin();
    assert_int_equal(request("a", "u", 50 * cent, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("a", "u", 1, t0, &hold).action, POOL_SOFT);
    config.spec[0].soft_only = true;
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(request("a", "u", 2 * usd, t0, &hold).action, POOL_SOFT);
}

static void strict_needs_bound(void **state)
{
    struct pool_hold hold;
    struct pool_ask ask = {false, {{0, 0}, {cent, 100}}};
    (void)state;
    add("org", -1, 1);
    add("quantile", -1, 1)->quantile = true;
    config.spec[1].risk = 0.1;
    begin();
    struct pool_path path = path_of("a", "u", t0);
    assert_int_equal(path.strict, 1);
    assert_true(path.risk == 0.1);
    assert_int_equal(pools_admit(&pools, &path, &ask).action, POOL_UNBOUNDED);
    assert_false(pools_reserve(&pools, &path, &ask, ++seq, &hold));
    assert_int_equal(pools.used, 0);
    ask = (struct pool_ask){true, {{40 * cent, 1000}, {cent, 100}}};
    assert_true(pools_reserve(&pools, &path, &ask, ++seq, &hold));
    path = path_of("a", "u", t0);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 40 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[1], POOL_NANO), cent);
    assert_true(pools_expire(&pools, &hold, seq, t0, t0)); /* each at its own reservation */
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 40 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[1], POOL_NANO), cent);
    settle(&hold, t0, 3 * cent, t0);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 3 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[1], POOL_NANO), 3 * cent);
}

/* Two tiers of a tenant with shares 0.6 and 0.4. */
static void two_tiers(bool borrow, double keep)
{
    add("org", -1, 10);
    for (int i = 0; i < 2; i++) {
        struct pool_spec *s = add(i == 0 ? "gold" : "free", 0, -1);
        strcpy(s->match[POOL_TENANT], i == 0 ? "gold" : "free");
        s->has = POOL_HAS_SHARE;
        s->share = i == 0 ? 0.6 : 0.4;
        s->borrow = borrow;
        s->keep = keep;
    }
    begin();
}

static void shares(void **state)
{
    struct pool_hold hold;
    (void)state;
    two_tiers(false, 1);
    assert_int_equal(request("gold", NULL, 6 * usd, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("gold", NULL, 1, t0, &hold).action, POOL_EXHAUSTED);
    assert_int_equal(request("free", NULL, 4 * usd, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("other", NULL, 1, t0, &hold).action, POOL_EXHAUSTED);
}

/* Gold borrows what free leaves above a quarter of its cap; what free then needs is no longer lent,
 * and the parent's cap holds for both. */
static void loans(void **state)
{
    struct pool_hold hold, loan;
    (void)state;
    two_tiers(true, 0.25);
    assert_int_equal(request("gold", NULL, 6 * usd, t0, &hold).action, POOL_ADMIT);
    struct pool_path path = path_of("gold", NULL, t0);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 3 * usd);
    assert_int_equal(request("gold", NULL, 2 * usd, t0, &loan).action, POOL_SOFT);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], usd);
    assert_int_equal(request("free", NULL, 50 * cent, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 50 * cent);
    assert_int_equal(request("free", NULL, 50 * cent, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("gold", NULL, 1, t0, &hold).action, POOL_EXHAUSTED); /* clawed back */
    assert_int_equal(request("free", NULL, usd, t0, &hold).action, POOL_ADMIT);   /* what it kept */
    assert_int_equal(request("free", NULL, 1, t0, &hold).action, POOL_EXHAUSTED); /* the parent */
    assert_true(pools_settle(&pools, &loan, 2, t0, (const int64_t[2]){0, 0}, t0));
    assert_int_equal(request("free", NULL, 2 * usd, t0, &hold).action, POOL_ADMIT);
    path = path_of("free", NULL, t0);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 10 * usd);
}

/* What one sibling has borrowed is not lent to another. */
static void lent_once(void **state)
{
    static const char *const name[] = {"one", "two", "three"};
    struct pool_hold hold;
    (void)state;
    add("org", -1, 12);
    for (int i = 0; i < 3; i++) {
        struct pool_spec *s = add(name[i], 0, 3);
        strcpy(s->match[POOL_TENANT], name[i]);
        s->borrow = i < 2;
        s->keep = i < 2 ? 1 : 0;
    }
    begin();
    assert_int_equal(request("one", NULL, 5 * usd, t0, &hold).action, POOL_SOFT);
    assert_int_equal(request("two", NULL, 4 * usd + 1, t0, &hold).action, POOL_EXHAUSTED);
    assert_int_equal(request("two", NULL, 4 * usd, t0, &hold).action, POOL_SOFT);
    assert_int_equal(request("one", NULL, 1, t0, &hold).action, POOL_EXHAUSTED);
}

/* Siblings are those below the same instance of the parent. */
static void loans_per_tenant(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("tenants", -1, 10)->each = POOL_TENANT;
    for (int i = 0; i < 2; i++) {
        struct pool_spec *s = add(i == 0 ? "one" : "two", 0, -1);
        strcpy(s->match[POOL_USER], i == 0 ? "one" : "two");
        s->has = POOL_HAS_SHARE;
        s->share = 0.5;
        s->borrow = i == 0;
        s->keep = 0;
    }
    begin();
    assert_int_equal(request("a", "two", 4 * usd, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("a", "one", 6 * usd + 1, t0, &hold).action, POOL_EXHAUSTED);
    assert_int_equal(request("a", "one", 6 * usd, t0, &hold).action, POOL_SOFT);
    assert_int_equal(request("b", "one", 10 * usd, t0, &hold).action, POOL_SOFT);
    assert_int_equal(request("c", "two", 5 * usd + 1, t0, &hold).action, POOL_EXHAUSTED);
}

static void fuse(void **state)
{
    struct pool_hold hold[20];
    (void)state;
    struct pool_spec *s = add("org", -1, 1000);
    s->has |= POOL_HAS_FUSE_USD;
    s->fuse.burst[POOL_NANO] = 1000000;    /* a dollar */
    s->fuse.per_hour[POOL_NANO] = 3600000; /* a thousandth each second */
    s->fuse.reset_ms = 600 * second;
    begin();
    for (int i = 0; i < 40; i++) /* at the forecast: never */
        assert_int_equal(request("a", "u", usd / 1000, t0 + i * second, &hold[0]).action,
                         POOL_ADMIT);
    int64_t now = t0 + hour;
    int admitted = 0;
    while (request("a", "u", 10 * cent, now, &hold[0]).action == POOL_ADMIT)
        admitted++;
    assert_int_equal(admitted, 11); /* burst/c + 1 */
    assert_int_equal(pools.pool[0].trips, 1);
    struct pool_verdict v = request("a", "u", 1, now + second, &hold[0]);
    assert_int_equal(v.action, POOL_FUSED);
    assert_int_equal(v.retry_after_ms, 599 * second);
    struct pool_path path = path_of("a", "u", now);
    assert_int_equal(pools_headroom(&pools, &path).left[POOL_NANO], 0);
    assert_int_equal(request("a", "u", 10 * cent, now + 600 * second, &hold[0]).action, POOL_ADMIT);
    now += 600 * second;
    while (request("a", "u", 10 * cent, now, &hold[0]).action == POOL_ADMIT)
        admitted++;
    assert_int_equal(admitted, 21); /* it trips as soon the next time */
    s->fuse.rearmed_ms = now + 1;
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(request("a", "u", 10 * cent, now + 2, &hold[0]).action, POOL_ADMIT);
}

/* Reservations far above what is spent do not trip it once they are settled. */
static void fuse_refund(void **state)
{
    struct pool_hold hold;
    (void)state;
    struct pool_spec *s = add("org", -1, 1000);
    s->has |= POOL_HAS_FUSE_USD;
    s->fuse.burst[POOL_NANO] = 1000000;
    s->fuse.per_hour[POOL_NANO] = 10000;
    begin();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(request("a", "u", 90 * cent, t0, &hold).action, POOL_ADMIT);
        settle(&hold, t0, cent / 5, t0);
    }
}

/* A request while one answer may come to 40 cents, and what is open to `share`, above what is
 * reserved. */
static struct pool_verdict with_margin(double share, int64_t nano, int64_t now,
                                       struct pool_hold *hold)
{
    struct pool_path path = path_of("a", "u", now);
    struct pool_ask ask = ask_of(nano, 100);
    path.margin[POOL_NANO] = 40 * cent;
    path.margin_share[POOL_NANO] = share;
    struct pool_verdict v = pools_admit(&pools, &path, &ask);
    if (hold && pools_admitted(v.action))
        assert_true(pools_reserve(&pools, &path, &ask, ++seq, hold));
    return v;
}

/* A quantile pool keeps free what one open answer may come to above its reservation: the share of
 * what is open, one answer's most, a quarter of the cap. A strict pool has no need to. */
static void margin_kept(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("org", -1, 1)->quantile = true;
    begin();
    assert_int_equal(with_margin(0.5, 75 * cent, t0, NULL).action, POOL_ADMIT); /* 75 + 25 */
    struct pool_verdict v = with_margin(0.5, 75 * cent + 1, t0, NULL);
    assert_int_equal(v.action, POOL_EXHAUSTED);
    assert_int_equal(v.missing, 1);
    assert_int_equal(v.retry_after_ms, 0); /* an empty window has no more room: no use to wait */
    assert_int_equal(with_margin(0.1, 90 * cent, t0, NULL).action, POOL_ADMIT); /* 90 + 9 */
    assert_int_equal(with_margin(0.1, 91 * cent, t0, NULL).action, POOL_EXHAUSTED);

    assert_int_equal(with_margin(0.1, 50 * cent, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(with_margin(0.1, 40 * cent, t0, NULL).action, POOL_ADMIT); /* 50 + 40 + 9 */
    v = with_margin(0.1, 41 * cent, t0, NULL);
    assert_int_equal(v.action, POOL_EXHAUSTED);
    assert_int_equal(v.retry_after_ms, 24 * hour); /* the next window has */
    settle(&hold, t0, 50 * cent, t0);              /* nothing is open: nothing can come above it */
    assert_int_equal(with_margin(0.1, 45 * cent, t0, NULL).action, POOL_ADMIT); /* 50 + 45 + 4.5 */
}

static void margin_of_strict(void **state)
{
    (void)state;
    add("org", -1, 1);
    begin();
    assert_int_equal(with_margin(0.5, usd, t0, NULL).action, POOL_ADMIT);
}

static void once(void **state)
{
    struct pool_hold hold;
    (void)state;
    struct pool_spec *s = add("project", -1, 1);
    s->window = (struct window_spec){.kind = WINDOW_ONCE, .from_ms = t0, .until_ms = t0 + hour};
    begin();
    struct pool_verdict v = request("a", "u", 1, t0 - second, &hold);
    assert_int_equal(v.action, POOL_EXHAUSTED);
    assert_int_equal(v.retry_after_ms, second);
    assert_int_equal(request("a", "u", usd, t0, &hold).action, POOL_ADMIT);
    assert_int_equal(request("a", "u", 1, t0 + 10 * second, &hold).action, POOL_EXHAUSTED);
    v = request("a", "u", 1, t0 + hour, &hold);
    assert_int_equal(v.action, POOL_EXHAUSTED);
    assert_int_equal(v.retry_after_ms, 0);
}

/* At the bound: refused, what is there goes on; what holds nothing any more makes room. */
static void bounded(void **state)
{
    struct pool_hold hold;
    char user[16];
    (void)state;
    config.instances = 8;
    add("users", -1, 1)->each = POOL_USER;
    begin();
    for (int i = 0; i < 8; i++) {
        snprintf(user, sizeof user, "u%d", i);
        assert_int_equal(request("a", user, cent, t0, &hold).action, POOL_ADMIT);
        if (i < 7)
            settle(&hold, t0, cent, t0);
    }
    assert_int_equal(request("a", "new", cent, t0, &hold).action, POOL_FULL);
    assert_int_equal(request("a", "u3", cent, t0, &hold).action, POOL_ADMIT);
    settle(&hold, t0, cent, t0);
    struct pool_path path = path_of("a", "new", t0);
    struct pool_ask ask = ask_of(cent, 0);
    assert_false(pools_reserve(&pools, &path, &ask, seq + 1, &hold));
    assert_int_equal(pools_tidy(&pools, t0), 0);             /* all count today */
    assert_int_equal(pools_tidy(&pools, t0 + 24 * hour), 7); /* one still has a reservation */
    assert_int_equal(request("a", "new", cent, t0 + 24 * hour, &hold).action, POOL_ADMIT);
    struct pool_hold stale = {.n = 1, .strict = 1, .reserved = {{cent, 100}}};
    assert_true(pools_settle(&pools, &stale, 1, t0, (const int64_t[2]){0, 0}, t0 + 24 * hour));
    path = path_of("a", "new", t0 + 24 * hour);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), cent); /* not its business */
}

static void crowded(void **state)
{
    struct pool_hold hold;
    char name[16];
    (void)state;
    for (int i = 0; i < POOL_PATH_MAX + 1; i++) {
        snprintf(name, sizeof name, "p%d", i);
        add(name, -1, 1);
    }
    begin();
    assert_int_equal(request("a", "u", 1, t0, &hold).action, POOL_CROWDED);
    struct pool_path path = path_of("a", "u", t0);
    struct pool_ask ask = ask_of(1, 1);
    assert_false(pools_reserve(&pools, &path, &ask, 1, &hold));
}

/* Amounts out of range and sums that would overflow are refused and change nothing. covers: N9 */
static void overflow(void **state)
{
    struct pool_hold hold, other;
    (void)state;
    add("org", -1, -1)->kill = false;
    begin();
    struct pool_path path = path_of("a", "u", t0);
    struct pool_ask ask = ask_of(-1, 0);
    assert_false(pools_reserve(&pools, &path, &ask, 1, &hold));
    ask = ask_of(POOL_AMOUNT_MAX + 1, 0);
    assert_int_equal(pools_admit(&pools, &path, &ask).action, POOL_CROWDED);
    assert_false(pools_reserve(&pools, &path, &ask, 1, &hold));
    ask = ask_of(POOL_AMOUNT_MAX, 0);
    for (int i = 0; i < 9223; i++) {
        path = path_of("a", "u", t0);
        assert_true(pools_reserve(&pools, &path, &ask, 1, &hold));
    }
    struct pool before = pools.pool[0];
    assert_int_equal(pools_admit(&pools, &path, &ask).action, POOL_EXHAUSTED);
    assert_false(pools_reserve(&pools, &path, &ask, 1, &other));
    assert_false(pools_settle(&pools, &hold, 1, t0, (const int64_t[2]){INT64_MAX, 0}, t0));
    assert_false(pools_settle(&pools, &hold, 1, t0, (const int64_t[2]){0, -1}, t0));
    assert_memory_equal(&before, &pools.pool[0], sizeof before);
    assert_true(hold.open);
}

/* A cap on any 600 seconds holds wherever they begin, and money comes free a twelfth late at most.
 */
static void rolling(void **state)
{
    static int64_t spent[200000]; /* per second */
    struct pool_hold hold;
    int64_t span = 600, last = 0;
    (void)state;
    add("org", -1, 1)->window =
        (struct window_spec){.kind = WINDOW_ROLLING, .length_ms = span * second};
    begin();
    for (int64_t s = 0, sum = 0; s < 20000; s++) {
        sum -= s >= span ? spent[s - span] : 0;
        for (int k = 0; k < 3; k++) {
            struct pool_verdict v = request("a", "u", cent, t0 + s * second, &hold);
            if (v.action == POOL_ADMIT) {
                spent[s] += cent;
                sum += cent;
                settle(&hold, t0 + s * second, cent, t0 + s * second);
                last = s;
                continue;
            }
            assert_in_range(v.retry_after_ms, 1, (span + span / 12) * second);
        }
        assert_true(sum <= usd);
        assert_true(s - last <= span + span / 12);
    }
}

/* The same moment, books and decisions after a change of the window: nothing is lost or mixed up.
 */
static void changed_window(void **state)
{
    struct pool_hold day, hour_hold;
    (void)state;
    struct pool_spec *s = add("org", -1, 1);
    begin();
    int64_t noon = t0 + 12 * hour + 600 * second;
    request("a", "u", 30 * cent, noon, &day);
    s->window.kind = WINDOW_HOUR; /* its present window began before the decision above */
    assert_true(pools_configure(&pools, &config));
    request("a", "u", 20 * cent, noon + second, &hour_hold);
    settle(&hour_hold, noon + second, 5 * cent, noon + second);
    seq = 1;
    settle(&day, noon, 10 * cent, noon + 2 * second);
    check_book(book_at("a", "u", noon), 10 * cent, 0, 0);
    check_book(book_at("a", "u", noon + second), 5 * cent, 0, 0);
    s->window.kind = WINDOW_MONTH;
    assert_true(pools_configure(&pools, &config));
    request("a", "u", 20 * cent, noon + 5 * second, &day);
    check_book(book_at("a", "u", noon + 5 * second), 5 * cent, 0, 20 * cent);
}

/* Instances follow their pool by name; those of pools that are gone go with it. */
static void reordered(void **state)
{
    struct pool_hold hold;
    (void)state;
    add("a", -1, 1);
    add("b", -1, 2);
    add("users", 1, 1)->each = POOL_USER;
    begin();
    request("t", "u", 10 * cent, t0, &hold);
    config.n = 0;
    add("b", -1, 2);
    add("users", 0, 1)->each = POOL_USER;
    config.instances = 200;
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(pools.used, 2);
    settle(&hold, t0, 4 * cent, t0);
    struct pool_path path = path_of("t", "u", t0);
    assert_int_equal(path.n, 2);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), 4 * cent);
    assert_int_equal(pools_used(&pools, &path.entry[1], POOL_NANO), 4 * cent);
    request("t", "u", 10 * cent, t0, &hold);
    assert_int_equal(pools.used, 2);
    config.n = 0;
    add("users", -1, 1)->each = POOL_USER; /* no longer below b: another pool, that begins anew */
    assert_true(pools_configure(&pools, &config));
    assert_int_equal(pools.used, 0);
    settle(&hold, t0, 4 * cent, t0); /* of nobody's */
    assert_int_equal(request("t", "u", 100 * cent, t0, &hold).action, POOL_ADMIT);
}

/* Bytes that cannot be a page are refused, whatever byte is wrong; nothing is read out of bounds.
 */
static void damaged(void **state)
{
    static uint8_t page[POOL_PAGE_BYTES_MAX], bad[POOL_PAGE_BYTES_MAX];
    struct pool_hold hold;
    (void)state;
    add("users", -1, 1)->each = POOL_USER;
    begin();
    for (int i = 0; i < 20; i++)
        request("a", i % 2 ? "u" : "v", cent, t0 + i * 24 * hour, &hold);
    struct filler f = filler_over(page, sizeof page);
    pools_put_page(&pools, 0, &f);
    assert_false(f.full);
    size_t n = sizeof page - (size_t)(f.end - f.at);
    for (size_t i = 0; i < n; i++) {
        struct reader r = reader_over(page, i);
        assert_false(pools_get_page(&pools, 0, &r));
        memcpy(bad, page, n);
        bad[i] ^= 0x80;
        r = reader_over(bad, n);
        if (pools_get_page(&pools, 0, &r) && pools_reindex(&pools))
            assert_true(pools.used <= POOL_PAGE); /* another number, still a table */
    }
    struct reader r = reader_over(page, n);
    assert_true(pools_get_page(&pools, 0, &r) && reader_done(&r));
    assert_true(pools_reindex(&pools));
    struct pool_path path = path_of("a", "u", t0 + 19 * 24 * hour);
    assert_int_equal(pools_used(&pools, &path.entry[0], POOL_NANO), cent);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(last_unit),
        T(nested),
        T(late_and_over),
        T(other_window),
        T(lowered),
        T(soft),
        T(shares),
        T(loans),
        T(lent_once),
        T(loans_per_tenant),
        T(fuse),
        T(fuse_refund),
        T(margin_kept),
        T(margin_of_strict),
        T(once),
        T(bounded),
        T(crowded),
        T(overflow),
        T(rolling),
        T(changed_window),
        T(reordered),
        T(damaged),
        T(strict_needs_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
