/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_BANDITS_H
#define PURSER_SIM_SCENARIO_BANDITS_H

#include "sim/scenario/scenario.h"

/* Is context worth its trouble? Static and context-free routers against LinUCB and contextual
 * Thompson sampling, in settings that are not kind to learners (docs/bandits.md). */
enum status bandits_run(const struct scenario_ask *ask, struct text *out, struct problem *problem);

#endif
