/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_STICKY_H
#define PURSER_CORE_ROUTER_STICKY_H

#include "core/event/event.h"
#include "core/learn/learner.h"
#include "core/request.h"

/*
 * A conversation keeps its model. The draw is made once, at a session's first decision; later ones
 * keep the model while it can be chosen, unless another is better by more than what switching costs
 * and by more than noise. Nothing here applies to a request without a session.
 */
struct router;

/* sticky_prices makes expected costs say where the context is cached: with the session's model
 * alone. cached_tokens of the request, or the session's context so far if it does not say. */
void sticky_prices(const struct router *r, const struct request *req, const struct event_decided *d,
                   struct prediction *pr);
/* sticky_pmf puts all mass on the session's model, or on the one that is worth switching to, and
 * takes exploration back. Nothing when the session is new or its model cannot be chosen. */
void sticky_pmf(const struct router *r, struct event_decided *d, const int *slots, int n,
                double *pmf);
/* sticky_settle, when the model is drawn: what another model has cached is not cached here. */
void sticky_settle(const struct router *r, struct event_decided *d);
/* sticky_note applies a decision to the sessions. */
void sticky_note(struct router *r, const struct event *ev);

#endif
