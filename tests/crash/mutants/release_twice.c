/* SPDX-License-Identifier: MIT */
/*
 * Mutant: one reservation in four is given back twice when its decision is settled, and what it
 * cost is booked twice. Linked with --wrap=pools_settle.
 */
#include "core/budget/pools.h"

bool __real_pools_settle(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                         const int64_t actual[POOL_UNITS], int64_t now_ms);
bool __wrap_pools_settle(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                         const int64_t actual[POOL_UNITS], int64_t now_ms);

bool __wrap_pools_settle(struct pools *p, struct pool_hold *hold, uint64_t seq, int64_t time_ms,
                         const int64_t actual[POOL_UNITS], int64_t now_ms)
{
    static unsigned settled;
    struct pool_hold again = *hold;
    if (hold->open && ++settled % 4 == 0 &&
        !__real_pools_settle(p, &again, seq, time_ms, actual, now_ms))
        return false;
    return __real_pools_settle(p, hold, seq, time_ms, actual, now_ms);
}
