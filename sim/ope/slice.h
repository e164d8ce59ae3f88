/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_SLICE_H
#define PURSER_SIM_OPE_SLICE_H

#include "bandit/ope/ope.h"
#include "sim/ope/rows.h"

/* The rows that have a label of one aim, for both sides of a comparison, packed. */
struct ope_slice {
    struct ope_log log[2];
    size_t *row; /* [log[0].n], where each came from */
    double *room;
    uint32_t *unit;
};
/* slice_take picks the rows of segment `which` of seg, all if seg is NULL. pi and weight are of the
 * two sides. False when memory is short; slice_fini frees. */
bool slice_take(const struct ope_rows *r, double *const pi[2], double *const weight[2],
                enum ope_aim aim, const uint32_t *seg, uint32_t which, struct ope_slice *out);
void slice_fini(struct ope_slice *s);

#endif
