/* SPDX-License-Identifier: MIT */
#include "core/whatif/whatif_pools.h"

#include <string.h>
#include "core/router/decide_pools.h"

/* Expected dollars and tokens of so much of a choice. */
static void expect(const struct event_decided *d, int arm, double share, double to[POOL_UNITS])
{
    to[POOL_NANO] += share * (double)d->view[arm].cost_nano;
    to[POOL_TOKENS] +=
        share * ((double)d->prompt_tokens + (double)d->view[arm].mean[TARGET_TOKENS]);
}

static struct pool_ask ask_for(const double expected[POOL_UNITS])
{
    struct pool_ask ask = {.bounded = true};
    for (int u = 0; u < POOL_UNITS; u++) {
        double v = expected[u] < (double)POOL_AMOUNT_MAX ? expected[u] : (double)POOL_AMOUNT_MAX;
        for (int m = 0; m < POOL_MODES; m++)
            ask.amount[m][u] = v > 0 ? (int64_t)(v + 0.5) : 0;
    }
    return ask;
}

void whatif_pools_limit(const struct pools *p, const struct catalog *c, int64_t now_ms,
                        struct event_decided *d)
{
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        double expected[POOL_UNITS] = {0};
        struct pool_path path;
        decide_path(p, c, now_ms, d, a, &path);
        expect(d, a, 1, expected);
        struct pool_ask ask = ask_for(expected);
        if (!pools_admitted(pools_admit(p, &path, &ask).action))
            d->eligible &= ~(1ull << a);
    }
}

static void charge(struct pools *p, const struct pool_path *path, const double expected[POOL_UNITS],
                   int64_t now_ms, uint64_t seq)
{
    struct pool_ask ask = ask_for(expected);
    struct pool_hold hold = {.n = 0};
    if (path->n > 0 && pools_reserve(p, path, &ask, seq, &hold))
        (void)!pools_settle(p, &hold, seq, now_ms, ask.amount[POOL_STRICT], now_ms);
}

void whatif_pools_charge(struct pools *p, const struct catalog *c, int64_t now_ms, uint64_t seq,
                         const struct event_decided *d)
{
    struct pool_path path;
    double expected[POOL_UNITS] = {0};
    for (uint64_t m = d->eligible; m; m &= m - 1) {
        int a = __builtin_ctzll(m);
        expect(d, a, d->view[a].pmf, expected);
        if (!p->by_model && (m & (m - 1)) != 0)
            continue; /* all on one path: once, with the last */
        decide_path(p, c, now_ms, d, a, &path);
        charge(p, &path, expected, now_ms, seq);
        memset(expected, 0, sizeof expected);
    }
}
