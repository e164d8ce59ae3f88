/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPORT_KEY_H
#define PURSER_SIM_REPORT_KEY_H

#include "core/encoding/text.h"
#include "sim/replay/recovery.h"
#include "sim/tables/hull.h"

/* Members of a JSON object that a report is writing: each puts the comma it needs. Numbers have 9
 * digits; what is NaN is null. An interval is {"mean","low","high"}. */
void report_key(struct text *t, const char *name);
void report_number(struct text *t, const char *name, double v);
void report_interval(struct text *t, const char *name, struct interval v);
/* report_points writes an array of {"cost","quality"}. */
void report_points(struct text *t, const char *name, const struct point *p, int n);

#endif
