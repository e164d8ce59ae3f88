/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_REPLAY_SUM_H
#define PURSER_SIM_REPLAY_REPLAY_SUM_H

#include "sim/play/play.h"
#include "sim/replay/replay.h"

/* replay_sum_up fills what a report says of the router; counts, fixed models and hull must be
 * there. work is [seeds]. */
void replay_sum_up(struct replay_report *out, const struct play_result *result, int seeds,
                   double *work);

/* replay_sheets writes every seed as sheets: steps (joined), seeds, curve, bins. */
MUST_CHECK enum status replay_sheets(const struct replay *r, const struct replay_report *report,
                                     const struct play_result *result,
                                     const struct measures *measured, struct problem *problem);

#endif
