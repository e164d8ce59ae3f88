/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_WHATIF_WHATIF_POOLS_H
#define PURSER_CORE_WHATIF_WHATIF_POOLS_H

#include "core/budget/pools.h"
#include "core/config/catalog.h"
#include "core/event/event.h"

/* Budgets of a side of a what-if: the books that its choices would have led to, in expectation,
 * from nothing at the first decision looked at. A request is let in if what a model is expected to
 * cost fits, and charged with what the choice is expected to cost; what stays reserved for answers
 * under way is left out, so a small pool refuses a little earlier in truth. */

/* whatif_pools_limit takes the models out of d->eligible that the pools would not have let in at
 * now_ms; whatif_pools_charge books the choice: d's probabilities, seq its number. */
void whatif_pools_limit(const struct pools *p, const struct catalog *c, int64_t now_ms,
                        struct event_decided *d);
void whatif_pools_charge(struct pools *p, const struct catalog *c, int64_t now_ms, uint64_t seq,
                         const struct event_decided *d);

#endif
