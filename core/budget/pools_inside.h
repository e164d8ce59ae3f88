/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_POOLS_INSIDE_H
#define PURSER_CORE_BUDGET_POOLS_INSIDE_H

#include "core/budget/pools.h"

/* Shared by core/budget/pools*.c only. */

/* pools_find gives the slot of an instance, -1 if there is none. */
int32_t pools_find(const struct pools *p, int32_t spec, int32_t parent, const char *value);
/* pools_take makes an instance in the lowest free slot; there must be room. */
int32_t pools_take(struct pools *p, int32_t spec, int32_t parent, const char *value, uint64_t seq);
/* pools_vacant gives the number of instances that may still be made. */
int64_t pools_vacant(const struct pools *p);
void pools_touch(struct pools *p, int64_t slot);

/* pool_counted gives what counts from `since` on, INT64_MAX if it is more than that. */
int64_t pool_counted(const struct pool *pool, int64_t since, enum pool_unit unit);
/* pool_fused tells whether the fuse is open. */
bool pool_fused(const struct pool *pool, const struct pool_spec *spec, int64_t now_ms);
/* pool_fuse_level gives what its bucket holds. */
int64_t pool_fuse_level(const struct pool *pool, const struct pool_spec *spec, enum pool_unit unit,
                        int64_t now_ms);
/* pool_add gives a + b, both >= 0, INT64_MAX at most. */
int64_t pool_add(int64_t a, int64_t b);
/* pool_native gives a configured limit in the unit of the books: nanodollars, tokens. */
int64_t pool_native(int64_t configured, enum pool_unit unit);

#endif
