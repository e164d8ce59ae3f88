/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LEARN_LEARNER_INSIDE_H
#define PURSER_CORE_LEARN_LEARNER_INSIDE_H

/* What learner*.c have in common. */
#include "core/learn/learner.h"

/* learner_takes tells whether l has more from its parent than the scales of the priors. */
static inline bool learner_takes(const struct learner *l)
{
    return l->parent && l->borrows > 0;
}

/* learner_clock gives the fold's clock. */
static inline int64_t learner_clock(const struct learner *l)
{
    return l->parent ? l->parent->now_ms : l->now_ms;
}

#endif
