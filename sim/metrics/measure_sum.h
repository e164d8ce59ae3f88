/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_METRICS_MEASURE_SUM_H
#define PURSER_SIM_METRICS_MEASURE_SUM_H

#include "core/encoding/text.h"
#include "sim/metrics/measure.h"
#include "sim/replay/recovery.h"
#include "sim/sheet.h"

/* Measures over seeds. */
struct measures_over {
    struct interval value[MEASURES]; /* over the seeds that have it; NaN: none does */
    struct point curve[MEASURE_POINTS];
    struct reliability_bin bin[MEASURE_BINS]; /* of all seeds together */
};

/* measures_sum takes the measures of n seeds, each `stride` bytes behind the one before. work is
 * [n]. */
void measures_sum(const struct measures *first, size_t stride, int n, double *work,
                  struct measures_over *out);
/* measures_json writes the members "measures", "deferral_curve" and "bins", a comma ahead;
 * measures_table a line for each measure that any column has, with what it means. */
void measures_json(struct text *t, const struct measures_over *m);
void measures_table(struct text *t, const char *const *name, const struct measures_over *const *m,
                    int columns);

/* The sheets "curve" and "bins": what of measures is no single number. */
struct measures_rows {
    struct sheet curve, bins;
};
MUST_CHECK enum status measures_rows_begin(struct measures_rows *r, const struct sheet_place *to,
                                           struct problem *problem);
void measures_rows_put(struct measures_rows *r, const char *policy, int64_t seed,
                       const struct measures *m);
MUST_CHECK enum status measures_rows_end(struct measures_rows *r, enum status s,
                                         struct problem *problem);

#endif
