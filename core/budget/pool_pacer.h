/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_BUDGET_POOL_PACER_H
#define PURSER_CORE_BUDGET_POOL_PACER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/budget/forecast.h"
#include "core/budget/pace_search.h"
#include "core/budget/pacer.h"
#include "core/event/event.h"

/*
 * Pools that pace: each instance has a multiplier per unit its pool caps, in quality points per
 * dollar or token, and those of a request's pools add up. What a request may use is what the window
 * has left over the requests that are still to come in it; so whatever was spent too much or too
 * little is spread over the rest of the window, and the cap is never a wall. Solved on those of the
 * pacer's recent contexts that were charged to the pool.
 *
 * What differs between instances that `each` makes stands with them (struct pool_pace): the
 * solution and how many of the pool's requests are theirs. The hours of the week and the contexts
 * are the pool's, so a member with a request a day is paced as well, at 112 bytes. A new member is
 * taken to be like the mean of the others until its own requests say otherwise.
 *
 * A pool of one model counts no other, and its multiplier makes no other dearer. Its requests are
 * those that might have gone to the model.
 *
 * All of it is part of the fold; only solving is not, and its result is a fact.
 */
enum { POOL_PACE_EVERY = 8, POOL_CONTEXTS_LEAST = 16 };
struct pool_pacer {
    uint8_t units;            /* bit per unit that is paced; 0 = the pool is not */
    bool many;                /* it has an instance per value, or one above it has */
    uint64_t counted;         /* models that it counts */
    uint32_t begun;           /* round since which it paces */
    int32_t at;               /* the instance of the latest request, -1 = none */
    double mu[POOL_UNITS];    /* of its instances: the mean of late ones */
    double least[POOL_UNITS]; /* likewise */
    double count;             /* its requests, halved each week */
    int64_t week;             /* as of */
    struct forecast forecast; /* of all instances */
};
struct pool_pacers {
    uint64_t on;         /* bit per pool that is paced */
    uint32_t round;      /* configurations so far: solutions of another one are due anew */
    struct forecast all; /* every decision: what the week of a pool that is new may look like */
    struct pool_pacer of[POOL_SPECS_MAX];
};
/* pool_pacers_init begins without pools. */
void pool_pacers_init(struct pool_pacers *p);

/* pool_pacers_configure has pacers follow their pools by name, to new numbers: to[old] is the new
 * one or -1. `now` is borrowed for its zones. Multipliers are then due. */
struct catalog;
void pool_pacers_configure(struct pool_pacers *p, const struct pool_config *was,
                           const struct pool_config *now, const struct catalog *catalog,
                           int8_t to[POOL_SPECS_MAX]);
/* pool_pacers_count notes a decision: of the paced pools in the mask, which it might have been
 * charged to, and of their instances, -1 where there is none. */
void pool_pacers_count(struct pool_pacers *p, struct pools *pools, uint64_t mask,
                       const int32_t at[POOL_SPECS_MAX], int64_t now_ms);
/* pool_pacers_price gives what the pools in the mask ask for of every model. */
struct pace_price pool_pacers_price(const struct pool_pacers *p, uint64_t mask);
/* pool_pacers_due gives a pool and unit, whose latest instance is to be solved for; false if none
 * is. */
bool pool_pacers_due(const struct pool_pacers *p, const struct pools *pools, int64_t now_ms,
                     int *pool, enum pool_unit *unit);

/* The window of an instance at a moment: until each of n ends, ascending, no more than what is left
 * may be used. A window that rolls has an end for each of its parts, since it frees what was used
 * in one when it leaves it behind. */
struct pool_prospect {
    int32_t at;  /* the instance, -1 = there is none yet */
    double part; /* of the pool's requests that are its own, (0,1] */
    int64_t cap; /* nanodollars or tokens, >= 0 */
    int64_t now_ms, start_ms;
    int n;
    struct {
        int64_t left; /* likewise */
        int64_t end_ms;
    } until[WINDOW_PARTS + 1];
};
/* pool_pacer_part gives that part for an instance of a pool. */
double pool_pacer_part(const struct pool_pacers *p, const struct pools *pools, int pool, int32_t at,
                       int64_t now_ms);
/* pool_pacer_rate gives what a request may use: dollars or tokens. The same for every request, it
 * breaks none of the limits. */
double pool_pacer_rate(const struct pool_pacers *p, int pool, enum pool_unit unit,
                       const struct pool_prospect *at);
/* pool_pacer_requests gives how many are expected until then. */
double pool_pacer_requests(const struct pool_pacers *p, int pool, const struct pool_prospect *at,
                           int64_t until_ms);
/* pool_pacers_solve finds a multiplier without changing state. own: a context to solve on while
 * there are no others; rate_usd: the tightest rate in dollars of other budgets, 0 = none. */
struct event_paced pool_pacers_solve(const struct pool_pacers *p, const struct pacer *pacer,
                                     int pool, enum pool_unit unit, const struct pool_prospect *at,
                                     const struct pace_entry *own, double rate_usd);
/* pool_pacers_known gives the solution of an instance that holds for the window that began at
 * start_ms, -1 if there is none. */
double pool_pacers_known(const struct pool_pacers *p, const struct pools *pools, int32_t at,
                         enum pool_unit unit, int64_t start_ms);
/* pool_pacers_adopt takes over a solution for the latest instance of a pool in the window that
 * began at start_ms; false if that pool is not paced in that unit or has none. */
MUST_CHECK bool pool_pacers_adopt(struct pool_pacers *p, struct pools *pools,
                                  const struct event_paced *s, int64_t start_ms);

void pool_pacers_put(struct filler *w, const struct pool_pacers *p);
void pool_pacers_get(struct reader *r, struct pool_pacers *p);

#endif
