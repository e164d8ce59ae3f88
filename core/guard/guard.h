/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_GUARD_GUARD_H
#define PURSER_CORE_GUARD_GUARD_H

#include <stdbool.h>
#include "core/event/event.h"

/*
 * A conservative ledger (after CLUCB, Kazerouni, Ghavamzadeh, Abbasi-Yadkori, Van Roy 2017):
 * quality must stay, with confidence, above (1 - alpha) of what the baseline model would have
 * given. Every decision adds what it is sure to have gained or risks having lost against that line;
 * the policy is let loose only while the ledger can bear its expected risk.
 */
/* guard_gain gives what serving `arm` adds: alpha LCB(base) for the baseline itself, else
 * LCB(arm) - (1 - alpha) UCB(base). The baseline must be eligible. */
double guard_gain(const struct event_decided *d, int arm, double alpha);
/* guard_applies tells whether the baseline is eligible, so that it can be fallen back to. */
bool guard_applies(const struct event_decided *d, double alpha);

#endif
