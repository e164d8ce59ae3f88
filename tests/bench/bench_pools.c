/* SPDX-License-Identifier: MIT */
/*
 * What budgets cost a request: three nested pools (organisation, 100 tenants, 10,000 users) in
 * monthly and in rolling windows, requests of random users. Limit: one look-up each in a table of
 * as many bytes, which is what memory alone takes.
 */
#include <stdio.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/budget/pools.h"
#include "tests/bench/bench.h"

enum { TENANTS = 100, USERS = 10000, HELD = 4096 };
static const int64_t t0 = 1767225600000;
static char tenant[TENANTS][24], user[USERS][24];
static struct pool_hold hold[HELD];
static int64_t made[HELD]; /* when */
static struct pool_config config;

static void configure(enum window_kind users)
{
    static const int each[] = {-1, POOL_TENANT, POOL_USER};
    memset(&config, 0, sizeof config);
    config.instances = 16384;
    config.n = 3;
    for (int i = 0; i < 3; i++) {
        struct pool_spec *s = &config.spec[i];
        snprintf(s->name, sizeof s->name, "p%d", i);
        s->parent = i - 1;
        s->each = each[i];
        s->window.kind = i == 2 ? users : WINDOW_MONTH;
        s->window.length_ms = i == 2 && users == WINDOW_ROLLING ? 3600000 : 0;
        s->has = POOL_HAS_USD | POOL_HAS_TOKENS;
        s->limit[POOL_NANO] = s->limit[POOL_TOKENS] = INT64_C(1000000000000000);
        s->soft = s->keep = 1;
    }
}

static struct pool_path path_of(const struct pools *p, uint64_t k, int64_t now)
{
    struct pool_labels l = {.of = {[POOL_TENANT] = tenant[k % TENANTS],
                                   [POOL_USER] = user[k],
                                   [POOL_TASK] = "summary",
                                   [POOL_MODEL] = "small-1"}};
    struct pool_path path;
    pools_path(p, &l, now, &path);
    return path;
}

static bool admit(struct pools *p, uint64_t k, int64_t now, uint64_t seq)
{
    struct pool_ask ask = {true, {{1000000, 700}, {500000, 300}}};
    struct pool_path path = path_of(p, k, now);
    made[seq % HELD] = now;
    return pools_admitted(pools_admit(p, &path, &ask).action) &&
           pools_reserve(p, &path, &ask, seq, &hold[seq % HELD]);
}

static void measure(int round, const char *name, enum window_kind users, long calls)
{
    struct pools p;
    struct rng g = rng_stream(7, 0, 0);
    const int64_t actual[POOL_UNITS] = {400000, 250};
    uint64_t seq = 0;
    int64_t booked = 0, path_ns = 0, n = 0;
    configure(users);
    if (!pools_init(&p, &config))
        bench_fail("out of memory");
    for (int k = 0; k < USERS; k++) {
        if (!admit(&p, (uint64_t)k, t0, ++seq))
            bench_fail("not admitted");
    }
    int64_t start = bench_cpu_ns();
    for (long i = 0; i < calls; i++)
        booked += admit(&p, rng_below(&g, USERS), t0 + i * 10, ++seq);
    bench_figure(round, (double)(bench_cpu_ns() - start) / (double)calls, "pools/%s_reserve_ns",
                 name);
    start = bench_cpu_ns();
    for (int i = 0; i < HELD; i++)
        booked += pools_settle(&p, &hold[i], seq, made[i], actual, t0 + calls * 10);
    bench_figure(round, (double)(bench_cpu_ns() - start) / HELD, "pools/%s_settle_ns", name);
    start = bench_cpu_ns();
    for (long i = 0; i < calls; i++)
        n += path_of(&p, rng_below(&g, USERS), t0 + i * 10).n;
    path_ns = bench_cpu_ns() - start;
    bench_figure(round, (double)path_ns / (double)calls, "pools/%s_path_ns", name);
    if (booked != calls + HELD || n != 3 * calls)
        bench_fail("%lld of %ld admitted", (long long)booked, calls);
    pools_fini(&p);
}

static void touch(int round, long calls)
{
    static uint8_t table[USERS][sizeof(struct pool)];
    struct rng g = rng_stream(8, 0, 0);
    uint64_t sum = 0;
    memset(table, 1, sizeof table);
    int64_t start = bench_cpu_ns();
    for (long i = 0; i < calls; i++) {
        const uint8_t *row = table[rng_below(&g, USERS)];
        sum += (uint64_t)(row[0] + row[sizeof table[0] / 2] + row[sizeof table[0] - 1]);
    }
    bench_figure(round, (double)(bench_cpu_ns() - start) / (double)calls, "pools/touch_ns");
    if (sum != 3 * (uint64_t)calls)
        bench_fail("table spoiled");
}

int main(int argc, char **argv)
{
    int rounds = (int)bench_number(argc, argv, "--rounds", 5);
    long calls = bench_number(argc, argv, "--calls", 200000);
    for (int i = 0; i < TENANTS; i++)
        snprintf(tenant[i], sizeof tenant[i], "tenant-%d", i);
    for (int i = 0; i < USERS; i++)
        snprintf(user[i], sizeof user[i], "user-%d", i);
    for (int round = 0; round < rounds; round++) {
        measure(round, "month", WINDOW_MONTH, calls);
        measure(round, "rolling", WINDOW_ROLLING, calls);
        touch(round, calls);
    }
    return 0;
}
