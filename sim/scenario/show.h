/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_SHOW_H
#define PURSER_SIM_SCENARIO_SHOW_H

#include "sim/run/run.h"
#include "sim/scenario/scenario.h"

/* What the tables of scenarios have in common: means with half their 95% interval over seeds. */

/* show_cell writes "mean +half" in `width` characters, scaled by `unit`; "-" for NaN. */
void show_cell(struct text *t, struct interval v, double unit, int digits, int width);

/* show_report writes an experiment that was played: the policies beside the best fixed model, the
 * static hull and the oracle; then by stretch and by group where there are any. */
void show_report(struct text *t, const struct scenario *s, const struct scenario_ask *ask,
                 const struct experiment *e, const struct run_report *r);
/* show_json writes {"scenario","summary","monthly","experiment": as run_json}. */
void show_json(struct text *t, const struct scenario *s, const struct scenario_ask *ask,
               const struct experiment *e, const struct run_report *r);

#endif
