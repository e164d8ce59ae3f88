/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_SAVINGS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_SAVINGS_H

#include "core/encoding/text.h"
#include "core/meter/meter.h"

/*
 * How far the savings can be trusted. What was spent is known; what the baseline would have cost is
 * only expected. Where the baseline was served, its bills can be held against what was expected, an
 * hour and combination of labels each: their ratio, and how much it varies, say how far the
 * expectation may be off. The interval also has what the expectation by itself comes to. It takes
 * the requests that the baseline served as a guide for the others, which no bill can tell.
 */
struct savings {
    int64_t cells, requests; /* of the baseline's, whose costs are known */
    double x, y, xx, xy, yy; /* sums over cells of what was expected (x) and billed (y), USD */
};
/* savings_take takes in a cell of the baseline's requests; it counts once all have their costs. */
void savings_take(struct savings *s, const struct meter_sums *cell);
/* savings_put appends "savings":{"baseline","share","low","high","bills"}: shares of what always
 * the baseline would have cost, low and high with 95%; null with fewer than 8 cells. bills:
 * requests. */
void savings_put(struct text *t, const struct savings *s, const char *baseline,
                 const struct meter_sums *total);

#endif
