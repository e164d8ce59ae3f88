/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_STATS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_STATS_H

#include "core/router/router.h"
#include "transport/outbuf.h"

/* control_stats writes the fold's counters, the models and the tenants' learners as an object that
 * is left open, for what only the service knows. False when memory is short. Loop thread. */
/* control_canary writes the member "canary" of the trial that is under way, if one is. */
void control_canary(struct text *t, double share, const struct router_stats *st);
MUST_CHECK bool control_stats(const struct router *r, struct outbuf *out);

#endif
