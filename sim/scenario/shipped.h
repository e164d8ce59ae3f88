/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_SHIPPED_H
#define PURSER_SIM_SCENARIO_SHIPPED_H

#include "sim/run/experiment.h"
#include "sim/scenario/scenario.h"

/* Scenarios that are an experiment among the shipped documents. */

/* shipped_load reads a shipped experiment, with as many requests and seeds as asked for; on OK the
 * caller frees it with experiment_free. */
MUST_CHECK enum status shipped_load(const char *name, const struct scenario_ask *ask,
                                    struct experiment *e, struct problem *problem);
/* shipped_run plays the experiment of the scenario's name and writes what it came to. */
MUST_CHECK enum status shipped_run(const struct scenario *s, const struct scenario_ask *ask,
                                   struct text *out, struct problem *problem);

#endif
