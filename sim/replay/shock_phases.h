/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_SHOCK_PHASES_H
#define PURSER_SIM_REPLAY_SHOCK_PHASES_H

#include "core/encoding/text.h"
#include "sim/replay/recovery.h"

/* shock_phases_measure fills out->phase from what was played: spending between two changes, and
 * what part of the requests went to other models within SWITCH_WINDOW of the first. */
void shock_phases_measure(const struct traces *t, struct shocks *out, double *work);
/* shock_phases_json writes the key "phases" with a comma ahead; shock_phases_table tells people. */
void shock_phases_json(struct text *t, const struct shocks *s);
void shock_phases_table(struct text *t, const struct shocks *s);

#endif
