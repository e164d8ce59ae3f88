/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_ELIGIBLE_H
#define PURSER_CORE_ROUTER_ELIGIBLE_H

#include "core/config/params.h"
#include "core/learn/learner.h"
#include "core/request.h"
#include "core/status.h"

/* eligible_models gives the models a request may use: active, within its hard constraints, of which
 * none is ever relaxed silently. prediction holds one entry per slot. NO_ELIGIBLE_MODEL names the
 * constraint that removed the last one; unknown names are refused. *reasons gets what removed some:
 * REASON_CONSTRAINED, and REASON_RULE where a rule sets the lowest tier. */
MUST_CHECK enum status eligible_models(const struct params *p, const struct request *r,
                                       int64_t prompt_tokens, const struct prediction *prediction,
                                       uint64_t *eligible, uint32_t *reasons,
                                       struct problem *problem);

#endif
