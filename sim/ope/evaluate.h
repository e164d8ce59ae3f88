/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_EVALUATE_H
#define PURSER_SIM_OPE_EVALUATE_H

#include "bandit/ope/ope_gate.h"
#include "sim/ope/rows.h"
#include "sim/ope/target.h"

/* What is asked of a log: a target, another policy to compare it with, and how sure one wants to
 * be. */
struct ope_question {
    struct ope_target target, against;
    double alpha; /* of each interval */
    uint64_t seed;
    struct ope_tuning tuning; /* fields > 0 are used as they are, others chosen by ope_tune */
    double cost_allowed;      /* dollars a request; INFINITY = any */
    double quality_margin, segment_margin;
    double floor;       /* mean quality that each group must keep; < 0 = as the log declares */
    int candidates;     /* policies tried: each is judged by alpha / candidates */
    double high[AIMS];  /* greatest label there can be; 0 = the greatest seen */
    double weight_high; /* greatest weight there can be; 0 = from the logged probabilities */
};

enum ope_side { SIDE_TARGET, SIDE_AGAINST, SIDE_DIFFERENCE, SIDES };

struct ope_answer { /* of one aim and one side */
    struct ope_estimate estimate[OPE_ESTIMATORS];
    struct ope_interval student[OPE_ESTIMATORS], bootstrap[OPE_ESTIMATORS];
    bool claims[OPE_ESTIMATORS]; /* that its interval holds as often as it says: see ope_claims */
    struct ope_interval clopper_pearson, cressie_read, bernstein, anytime; /* not of differences,
                                                                              but for the last */
};

struct ope_aim_answer {
    size_t n;      /* rows with a label; 0 = nothing else is set */
    double logged; /* mean label */
    struct ope_bounds bounds;
    bool high_known;
    struct ope_tuning tuning;
    struct ope_answer side[SIDES];
    double needed; /* rows to show the difference that was estimated */
};

struct ope_part { /* a segment */
    enum ope_segment by;
    uint32_t which;
    size_t n; /* with a quality label */
    double ess;
    struct ope_estimate target, difference; /* DR where there is a model, else SNIPS */
    struct ope_interval interval, difference_interval;
    bool judged; /* large enough for the gate */
    bool below;  /* the floor, and by this change: it was above, or sinks */
};

struct ope_arm { /* one model */
    int64_t n;
    double missing;            /* share of its rows without a quality label */
    double logged, target;     /* share of decisions: drawn; under the target */
    double q_mean, label_mean; /* calibration of the predictions, over labelled rows */
};

struct ope_report {
    size_t rows, units;
    struct ope_health health[2]; /* of target and against */
    double unsupported;          /* of the target; NaN = only the chosen arms' are known */
    double floor_hits;           /* share of rows drawn with the least probability of their row */
    size_t forced;
    struct ope_aim_answer aim[AIMS];
    struct ope_arm *arm; /* [rows.arms.n] */
    struct ope_part *part;
    size_t n_parts;
    struct ope_gate gate;
    unsigned faults; /* of the gate */
};

/* ope_evaluate answers; by has a bit per enum ope_segment to be told apart. report_fini frees what
 * the report holds. Weights of both sides and all scores are held at once: some 20 doubles a row.
 */
MUST_CHECK enum status ope_evaluate(const struct ope_rows *rows, const struct ope_question *q,
                                    unsigned by, struct ope_report *out, struct problem *problem);
void ope_report_fini(struct ope_report *r);

#endif
