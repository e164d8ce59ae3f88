/* SPDX-License-Identifier: MIT */
/*
 * Replies ahead of the disk, and what a crash then takes. The engine decides, batches go to a disk
 * that is only a number; at random moments somebody pulls the plug: what is on the disk is folded
 * again and started. Then every strict pool must have counted at least what had been told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/budget/pools.h"
#include "tests/fold_fx.h"
#include "transport/leases.h"

#define FIXED "\"policy\":{\"name\":\"fixed\",\"model\":\"small\"},"
enum { SLOTS = 64, USERS = 6 };

static struct fold *f;
static struct leases *l;
static uint64_t on_disk;       /* records */
static uint64_t flying;        /* up to here, 0 = no batch is */
static int64_t told[2][SLOTS]; /* nanodollars told early: of the filling, the flying batch */
static struct event ev;

static int setup(void **state)
{
    (void)state;
    f = fold_new("{" FIXED "\"budget\":{\"lease\":0.01},\"pools\":["
                 "{\"name\":\"org\",\"usd\":0.02,\"window\":\"hour\"},"
                 "{\"name\":\"user\",\"parent\":\"org\",\"each\":\"user\",\"share\":0.4},"
                 "{\"name\":\"likely\",\"usd\":1,\"mode\":\"quantile\"}]}",
                 1000);
    l = leases_new();
    router_lend(f->router, f->now, true, &f->ev);
    fold_keep(f);
    on_disk = f->n;
    flying = 0;
    memset(told, 0, sizeof told);
    return l ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fold_check(f);
    fold_free(f);
    leases_free(l);
    return 0;
}

static void launch(void)
{
    leases_launched(l);
    flying = f->n;
    memcpy(told[1], told[0], sizeof told[1]);
    memset(told[0], 0, sizeof told[0]);
}

static void land(void)
{
    leases_landed(l);
    on_disk = flying;
    flying = 0;
    memset(told[1], 0, sizeof told[1]);
}

static void commit(void)
{
    launch();
    land();
}

/* Whether the reply may leave early; the request costs (10 + most) * 100 nanodollars at most. */
static bool early(const char *user, int64_t most)
{
    struct request r = *fold_request("acme", "chat");
    (void)snprintf(r.labels.user, NAME_CAP, "%s", user);
    r.prompt_tokens = 10;
    r.max_output_tokens = most;
    if (fold_try(f, &r) != STATUS_OK)
        return false;
    if (!leases_take(l, f->router, f->ev.seq, f->now))
        return false;
    struct pool_hold hold;
    assert_true(router_hold(f->router, f->ev.seq, &hold));
    for (int i = 0; i < hold.n; i++)
        if (hold.strict >> i & 1)
            told[0][hold.at[i]] += hold.reserved[POOL_STRICT][POOL_NANO];
    return true;
}

/* What is on the disk, folded and started; the caller frees it. */
static struct router *crash(int64_t now)
{
    struct router_init init = {.max_open = 1000};
    struct router *r = router_new(&init);
    assert_non_null(r);
    for (uint64_t i = 1; i <= on_disk; i++) {
        assert_int_equal(event_decode(f->record[i], f->len[i], &ev, NULL), STATUS_OK);
        assert_int_equal(router_apply(r, &ev, NULL), STATUS_OK);
    }
    router_start(r, now, &ev);
    return r;
}

/* Instances do not move, so slots are the same on both sides. */
static int64_t judge(void)
{
    struct router *r = crash(f->now);
    const struct pools *p = router_pools(r);
    int64_t sum = 0;
    for (int64_t i = 0; i < SLOTS; i++) {
        int64_t ahead = told[0][i] + told[1][i];
        sum += ahead;
        if (ahead > 0 &&
            (i >= p->cap || p->pool[i].born == 0 || p->pool[i].stranded[POOL_NANO] < ahead))
            fail_msg("slot %d: %lld nanodollars were told and forgotten", (int)i, (long long)ahead);
    }
    assert_false(router_lends(r));
    router_free(r);
    return sum;
}

static void any_moment(void **state)
{
    (void)state;
    struct rng g = rng_stream(11, 0, 0);
    int64_t told_early = 0, asked = 0, forgotten = 0;
    for (int round = 0; round < 200; round++) {
        char user[8];
        for (uint64_t k = rng_below(&g, 12); k > 0; k--) {
            (void)snprintf(user, sizeof user, "u%d", (int)rng_below(&g, USERS));
            told_early += early(user, (int64_t)rng_below(&g, 120));
            asked++;
            f->now += (int64_t)rng_below(&g, 3000);
        }
        if (flying && rng_below(&g, 2))
            land();
        if (!flying && rng_below(&g, 2))
            launch();
        if (rng_below(&g, 20) == 0)
            f->now += 100 * 1000;
        if (rng_below(&g, 4) == 0)
            forgotten += judge();
    }
    assert_true(asked > 700 && told_early > asked / 5 && forgotten > 300000);
}

/* Each condition by itself. */
static void first_waits(void **state)
{
    (void)state;
    assert_false(early("a", 90)); /* no durable decision yet */
    assert_false(early("a", 90));
    commit();
    assert_true(early("a", 90));  /* 10,000 of 80,000 */
    assert_false(early("b", 90)); /* its own pool is new */
    commit();
    f->now += POOL_LEASE_IDLE_MS + 1;
    assert_false(early("a", 90)); /* idle for too long */
    commit();
    assert_true(early("a", 690)); /* 70,000 */
    assert_false(early("a", 100));
    launch();
    assert_false(early("a", 100)); /* still not durable */
    land();
    assert_true(early("a", 100));
    leases_configured(l);
    assert_false(early("a", 10));
    commit();
    assert_true(early("a", 10));
}

/* What a crash takes comes back with the window; a stop in order takes nothing. */
static void stranded(void **state)
{
    (void)state;
    assert_false(early("a", 90));
    commit();
    struct router *r = crash(f->now);
    const struct pools *p = router_pools(r);
    struct pool_path path;
    assert_true(pools_path_of(p, 0, f->now, &path));
    assert_int_equal(pools_used(p, &path.entry[0], POOL_NANO), 10000 + 200000);
    assert_int_equal(p->pool[0].stranded[POOL_NANO], 200000);
    assert_true(pools_path_of(p, 1, f->now, &path));
    assert_int_equal(pools_used(p, &path.entry[1], POOL_NANO), 10000 + 80000);
    assert_true(pools_path_of(p, 0, f->now + 3600 * 1000, &path));
    assert_int_equal(pools_used(p, &path.entry[0], POOL_NANO), 0);
    router_start(r, f->now, &ev); /* the life that took nothing ahead */
    assert_int_equal(p->pool[0].stranded[POOL_NANO], 200000);
    router_free(r);
    router_lend(f->router, f->now, false, &f->ev);
    fold_keep(f);
    commit();
    r = crash(f->now);
    assert_int_equal(router_pools(r)->pool[0].stranded[POOL_NANO], 0);
    router_free(r);
}

/* Lives that end before a pool is asked for have told nothing of it. */
static void once(void **state)
{
    (void)state;
    assert_false(early("a", 90));
    commit();
    struct router *r = crash(f->now);
    const struct pool *org = &router_pools(r)->pool[0];
    for (int lives = 0; lives < 200; lives++) {
        f->now += 10;
        router_lend(r, f->now, true, &ev);
        f->now += 10;
        router_start(r, f->now, &ev);
        assert_int_equal(org->stranded[POOL_NANO], 200000);
    }
    router_free(r);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {T(any_moment), T(first_waits), T(stranded), T(once)};
#undef T
    return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}
