/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_OPE_OPE_GATE_H
#define PURSER_BANDIT_OPE_OPE_GATE_H

#include "bandit/ope/ope.h"

/* Whether the evidence carries a change of policy. All conditions must hold: an estimate that looks
 * good on weights that cannot be trusted is no evidence. */
enum ope_gate_fault {
    GATE_QUALITY = 1,      /* not shown to be no worse than quality_margin */
    GATE_UTILITY = 2,      /* not shown to be of more utility */
    GATE_COST = 4,         /* may cost more than allowed */
    GATE_SAMPLE = 8,       /* effective sample below 300 or 5% of the rows */
    GATE_ONE_ROW = 16,     /* a single row has more than 5% of the weight */
    GATE_PROPENSITY = 32,  /* the mean weight is not 1 within 3 standard errors */
    GATE_UNSUPPORTED = 64, /* more than 0.5% of the target's mass where the log has next to none */
    GATE_DISAGREE = 128,   /* DR and SNIPS differ by more than 2 standard errors */
    GATE_SEGMENT = 256,    /* a segment may lose more than segment_margin */
    GATE_FLOOR = 512,      /* a group would be below the floor that is declared for all */
    GATE_FAULTS = 10
};

struct ope_gate {
    double quality_low;  /* anytime lower bound of the difference, NaN = no labels */
    double utility_low;  /* of utility; NaN = as quality */
    double cost_high;    /* upper bound of the difference in dollars; NaN = no cost known */
    double cost_allowed; /* dollars a request; INFINITY = any */
    double quality_margin, segment_margin; /* >= 0; 0.002 and 0.01 */
    struct ope_health health;
    double unsupported;            /* share of the target's mass; NaN = not known */
    struct ope_estimate dr, snips; /* not valid: not compared */
    double
        segment_low; /* least lower bound over segments, corrected for their number; NaN = none */
    bool below_floor;
};
/* ope_gate gives the conditions that do not hold: bits of enum ope_gate_fault; 0 = promote. */
unsigned ope_gate(const struct ope_gate *g);
/* ope_gate_reason says a fault in words; bit is its position. */
const char *ope_gate_reason(int bit);
/* ope_needed gives the rows that showing a difference takes at 95% and 80% power, from the variance
 * of one row's score difference. */
double ope_needed(double row_variance, double difference);

#endif
