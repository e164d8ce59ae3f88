/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_POOL_PACER_H
#define PURSER_CORE_POOL_PACER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event.h"
#include "core/forecast.h"
#include "core/pace_search.h"
#include "core/pacer.h"

/*
 * Pools that pace: each has a multiplier per unit it caps, in quality points per dollar or token,
 * and the multipliers of a request's pools add up. What a request may use is what the window has
 * left over the requests that are still to come in it; so whatever was spent too much or too little
 * is spread over the rest of the window, and the cap is never a wall. Solved on those of the
 * pacer's recent contexts that were charged to the pool.
 *
 * A paced pool has one instance at most (config_pools_check), so the table is that of the
 * configured pools. All of it is part of the fold; only solving is not, and its result is a fact.
 */
enum { POOL_PACE_EVERY = 8, POOL_CONTEXTS_LEAST = 16 };
struct pool_pacer {
    uint8_t units;             /* bit per unit that is paced; 0 = the pool is not */
    int64_t since[POOL_UNITS]; /* its decisions since the solution */
    int64_t start_ms;          /* of the window that it was solved in, INT64_MIN = never */
    double mu[POOL_UNITS];     /* quality points per unit */
    double rate[POOL_UNITS];   /* what a request may use, as of the solution; 0 = unknown */
    double least[POOL_UNITS];  /* what one does when nothing but the budget counts */
    struct forecast forecast;
};
struct pool_pacers {
    uint64_t on;         /* bit per pool that is paced */
    struct forecast all; /* every decision: what the week of a pool that is new may look like */
    struct pool_pacer of[POOL_SPECS_MAX];
};
/* pool_pacers_init begins without pools. */
void pool_pacers_init(struct pool_pacers *p);

/* pool_pacers_configure has pacers follow their pools by name, to new numbers: to[old] is the new
 * one or -1. Multipliers stand until they are solved anew, which is due. Zones are borrowed of
 * `was`, which `now` is to be copied to. */
void pool_pacers_configure(struct pool_pacers *p, const struct pool_config *was,
                           const struct pool_config *now, int8_t to[POOL_SPECS_MAX]);
/* pool_pacers_count notes a decision, of the paced pools in the mask. */
void pool_pacers_count(struct pool_pacers *p, uint64_t mask, int64_t now_ms);
/* pool_pacers_price gives what the pools in the mask ask for. */
struct pace_price pool_pacers_price(const struct pool_pacers *p, uint64_t mask);
/* pool_pacers_due gives a pool and unit whose multiplier is to be solved, false if none is. */
bool pool_pacers_due(const struct pool_pacers *p, int *pool, enum pool_unit *unit);

/* A pool's window at a moment: until each of n ends, ascending, no more than what is left may be
 * used. A window that rolls has an end for each of its parts, since it frees what was used in one
 * when it leaves it behind. */
struct pool_prospect {
    int64_t cap; /* nanodollars or tokens, >= 0 */
    int64_t now_ms, start_ms;
    int n;
    struct {
        int64_t left; /* likewise */
        int64_t end_ms;
    } until[WINDOW_PARTS + 1];
};
/* pool_pacer_rate gives what a request may use: dollars or tokens. The same for every request, it
 * breaks none of the limits. */
double pool_pacer_rate(const struct pool_pacers *p, int pool, enum pool_unit unit,
                       const struct pool_prospect *at);
/* pool_pacer_requests gives how many are expected of a pool until then. */
double pool_pacer_requests(const struct pool_pacers *p, int pool, int64_t now_ms, int64_t until_ms);
/* pool_pacers_solve finds a multiplier without changing state. own: a context to solve on while
 * there are no others; rate_usd: the tightest rate in dollars of other budgets, 0 = none. */
struct event_paced pool_pacers_solve(const struct pool_pacers *p, const struct pacer *pacer,
                                     int pool, enum pool_unit unit, const struct pool_prospect *at,
                                     const struct pace_entry *own, double rate_usd);
/* pool_pacers_adopt takes over a solution for the window that began at start_ms; false if that pool
 * is not paced in that unit. */
MUST_CHECK bool pool_pacers_adopt(struct pool_pacers *p, const struct event_paced *s,
                                  int64_t start_ms);

void pool_pacers_put(struct filler *w, const struct pool_pacers *p);
void pool_pacers_get(struct reader *r, struct pool_pacers *p);

#endif
