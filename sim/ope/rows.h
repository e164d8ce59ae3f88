/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_ROWS_H
#define PURSER_SIM_OPE_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include "core/event/event.h"
#include "core/status.h"
#include "sim/ope/names.h"

/* A log of decisions in memory, whatever it came from: columns over rows, in the order of the log.
 * Arms (models) are numbered as they appear; matrices have one column per arm. */
enum ope_aim { AIM_QUALITY, AIM_COST, AIM_LATENCY, AIM_FAILURE, AIM_UTILITY, AIMS };
enum ope_segment { SEG_TENANT, SEG_TASK, SEG_GROUP, SEG_WEEK, SEGS };

struct ope_rows {
    size_t n, cap;
    int k; /* columns of the matrices, >= arms.n */
    int d; /* features per row; 0 = none */
    struct names arms, units, segment[SEGS];
    uint32_t *arm;  /* logged */
    uint32_t *unit; /* conversation or session; rows without have one of their own */
    uint32_t *seg[SEGS];
    int64_t *time_ms;   /* Unix; 0 = not known */
    uint64_t *seq;      /* number of the record, or of the line */
    double *p;          /* probability of the logged arm */
    uint64_t *eligible; /* bit per arm; 0 = all */
    bool *forced;       /* nobody had a choice: a session, a single eligible model */
    double *pmf;        /* [n][k], logged; p alone where has_pmf is false */
    double *given;      /* [n][k], the target's, from the log or a hook */
    bool has_pmf, has_given, has_q[AIMS];
    float *q[AIMS];              /* [n][k], predictions; AIM_UTILITY is made from the others */
    double *label[AIMS];         /* NaN = missing; quality, dollars, ms, 0/1, quality points */
    float (*scale)[AIM_UTILITY]; /* utility = sum of scale * label, as decided */
    float *x;                    /* [n][d] */
    struct names kinds;          /* of arms: tiers, providers */
    uint32_t *kind;              /* [arms.n]; NULL = not told */
    double floor;                /* declared: mean quality of each of floor_by; 0 = none */
    enum ope_segment floor_by;
    bool lost;       /* nobody has kept probabilities: p and pmf say nothing */
    int64_t skipped; /* records that are no decisions with a probability */
};

/* rows_add appends an empty row (labels and the rest missing, alone in its unit) and gives its
 * number; rows_arm gives an arm's column, widening the matrices. Both give -1 when memory is short.
 * rows_features sets d before the first row. */
int64_t rows_add(struct ope_rows *r);
int64_t rows_arm(struct ope_rows *r, const char *name);
void rows_fini(struct ope_rows *r);
/* rows_kind says of what kind an arm is; rows_kinds of a list ARM=KIND,... for all arms there are.
 * False when memory is short, or the list is wrong. */
bool rows_kind(struct ope_rows *r, size_t arm, const char *kind);
bool rows_kinds(struct ope_rows *r, const char *list);
/* rows_weigh makes the utility of every row: scale NULL = as decided. */
bool rows_weigh(struct ope_rows *r, const double scale[AIM_UTILITY]);
/* rows_week puts rows into weeks of their time (the Monday it began, UTC). */
bool rows_week(struct ope_rows *r);
const char *ope_aim_name(enum ope_aim a);
const char *ope_segment_name(enum ope_segment s);

#endif
