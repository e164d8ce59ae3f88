/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_LOOKAHEAD_H
#define PURSER_CORE_ROUTER_LOOKAHEAD_H

#include "core/config/params.h"
#include "core/event/event.h"

/*
 * A wanting answer is not the end where applications escalate it: with a share of them
 * (escalation.share) the best model of a higher tier is asked next. lookahead_add puts what that is
 * worth into the merits of the eligible models, whose views are filled; multiplier is the pacer's.
 * Nothing when the share is 0.
 */
void lookahead_add(const struct params *p, double multiplier, struct event_decided *d);

#endif
