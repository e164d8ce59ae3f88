/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_DECIDE_POOLS_H
#define PURSER_CORE_ROUTER_DECIDE_POOLS_H

#include "core/learn/learner.h"
#include "core/request.h"
#include "core/status.h"

/*
 * Budgets at the decision: a model that some pool cannot pay drops out before anything is drawn.
 * Nothing here changes a pool; that a decision was charged is a fact of its record.
 *
 * What a model may cost: the worst case is all input, uncached, and max_output_tokens at its prices
 * (input that is not counted by the caller: a token per byte of the prompt); the likely case takes
 * the output that is exceeded with the least `risk` of the path's quantile pools, log-normal with
 * the deviations of the posterior and of the residuals, at least the mean, times what invoices
 * showed relative to the price list.
 */
struct router;

/* decide_path gives the pools of p that a decision for a model would be charged to. */
void decide_path(const struct pools *p, const struct catalog *c, int64_t now_ms,
                 const struct event_decided *d, int arm, struct pool_path *out);
/* decide_afford takes models out of d->eligible that do not fit the pools. price holds their asks.
 * BUDGET_EXHAUSTED, THROTTLED, OVERLOADED or BAD_REQUEST when none is left; d->charge.pool then
 * names the pool, as far as one is to blame. */
MUST_CHECK enum status decide_afford(const struct router *r, int64_t now_ms,
                                     const struct request *req, const struct prediction *pr,
                                     struct event_decided *d, struct pool_ask price[MODELS_MAX],
                                     struct problem *problem);
/* decide_charge writes what the chosen model is charged with, and keeps of the fallbacks those that
 * are charged to the same pools and fit what is reserved. */
void decide_charge(const struct router *r, int64_t now_ms, const struct pool_ask price[MODELS_MAX],
                   struct event_decided *d);

#endif
