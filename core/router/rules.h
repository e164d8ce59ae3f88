/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_RULES_H
#define PURSER_CORE_ROUTER_RULES_H

#include "core/config/params.h"
#include "core/request.h"

/* rules_model gives the slot that the first matching keyword rule names; without a match
 * policy.model if that is set, else the cheapest active model. -1 when there is no active model.
 * tokens is the length of the input. matched (may be NULL) tells whether a rule matched. */
int rules_model(const struct params *p, const struct request *r, int64_t tokens, bool *matched);
/* rules_min_tier gives the highest of the lowest tiers that rules set for a request, 0 when none
 * does.
 */
int rules_min_tier(const struct params *p, const struct request *r, int64_t tokens);
/* rules_min_tier_declared is rules_min_tier of a request whose prompt is not known: rules with
 * words do not count. */
int rules_min_tier_declared(const struct params *p, const struct labels *l, int64_t tokens);
/* rules_hold tells whether some rule of p sets the lowest tier of `rule`, or a higher one, wherever
 * `rule` does. */
bool rules_hold(const struct params *p, const struct rule *rule);
/* rules_extreme gives the active model with the highest (dearest) or lowest list price, -1 if none.
 */
int rules_extreme(const struct catalog *c, bool dearest);

#endif
