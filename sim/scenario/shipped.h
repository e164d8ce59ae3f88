/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_SHIPPED_H
#define PURSER_SIM_SCENARIO_SHIPPED_H

#include "sim/scenario/scenario.h"

/* Scenarios that are an experiment among the shipped documents and a table of what it came to. */
enum status shipped_strategies(const struct scenario_ask *ask, struct text *out,
                               struct problem *problem);

#endif
