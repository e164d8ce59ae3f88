/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TUNE_TUNE_H
#define PURSER_SIM_TUNE_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include "sim/play/flight.h"
#include "sim/run/crew.h"
#include "sim/tables/table.h"
#include "sim/tune/space.h"

/*
 * The search for a better configuration, by progressive validation: each request is decided first
 * and learned from afterwards, so none is judged by what it taught. Trials are drawn around the
 * configuration at hand and play ever longer parts of the earlier requests; half of them go on each
 * time (successive halving: Jamieson and Talwalkar 2016), with those on the hull of quality and
 * cost. What wins is held against the configuration at hand on the later requests, which no choice
 * has looked at. What is maximised is the utility of the configuration at hand, whatever weights a
 * trial decides by.
 */
enum tune_aim { TUNE_QUALITY, TUNE_COST, TUNE_UTILITY, TUNE_AIMS }; /* [0,1]; USD; points */
enum tune_part { TUNE_EARLIER, TUNE_LATER, TUNE_PARTS };
enum { PASSES_MAX = 400 };

struct tune_source {
    const struct params *current;
    size_t rows;            /* of all parts */
    unsigned still;         /* bit per knob that its outcomes say nothing of */
    int passes[TUNE_PARTS]; /* how often a part is played; 0 = it happened once */
    /* Scores the rows of a part under params, of EARLIER a share from the beginning: score has
     * TUNE_AIMS values for each row, NaN where it is not of the part or has no label, and behind
     * them TUNE_AIMS for each pass: its means, beforehand 0. The means over rows are the estimates,
     * the passes tell how much of them is the luck of learning, which all rows share. May run in
     * another process. */
    enum status (*score)(const void *ctx, const struct params *p, const struct tune_point *point,
                         enum tune_part part, double share, double *score, struct problem *problem);
    const void *ctx;
};

struct tune_ask {
    int trials; /* that of the present configuration included, >= 2 */
    uint64_t seed;
    struct crew crew;                                   /* its progress is not called */
    void (*progress)(double done, double seconds_left); /* may be NULL */
};
enum { TRIALS_MAX = 1000, FINALISTS_MAX = 12, RUNGS = 3 };

struct tune_number {
    double n, mean, low, high; /* 95% over rows; NaN = not known */
};
struct tune_trial {
    struct tune_point point;
    int rungs;                         /* it has played */
    struct tune_number aim[TUNE_AIMS]; /* of its last rung */
    bool final, hull;                  /* played the later requests; on the hull of the last rung */
    struct tune_number later[TUNE_AIMS], gain[TUNE_AIMS]; /* gain: less the present one, paired */
};
struct tune_report {
    int trials, best;         /* best: 0 = the configuration at hand */
    struct tune_trial *trial; /* [trials], owned; the first is the configuration at hand */
    bool better;              /* surely: the gain's whole interval is above 0 */
};
MUST_CHECK enum status tune_search(const struct tune_source *s, const struct tune_ask *ask,
                                   struct tune_report *out, struct problem *problem);
void tune_free(struct tune_report *r);

enum { LATER_TIMES = 4 };
/* A full-information table: played by the engine, every outcome known. */
struct tune_table {
    const struct table *table;
    uint32_t *earlier, *later; /* owned */
    size_t n_earlier, n_later;
    bool given_order;
    struct delay delay;
    int seeds; /* of the earlier part; of the later one LATER_TIMES as many */
    uint64_t first_seed;
    double scale_usd; /* what the weight of cost is relative to */
    unsigned still;   /* as tune_source has it */
    const struct params *current;
};
MUST_CHECK enum status tune_table_init(struct tune_table *t, double split, struct problem *problem);
void tune_table_fini(struct tune_table *t);
enum status tune_table_score(const void *ctx, const struct params *p,
                             const struct tune_point *point, enum tune_part part, double share,
                             double *score, struct problem *problem);

/* A store's log: each configuration learns from the logged decisions and is judged on them, doubly
 * robust. Decisions that were logged under other features are left out. */
struct tune_log {
    const char *dir;
    size_t rows;        /* decisions */
    size_t earlier;     /* of which these many are the earlier part */
    unsigned still;     /* as tune_source has it */
    uint64_t *seq;      /* [rows], owned */
    struct params *now; /* in force at the end; owned */
};
MUST_CHECK enum status tune_log_init(struct tune_log *l, const char *dir, double split,
                                     struct problem *problem);
void tune_log_fini(struct tune_log *l);
enum status tune_log_score(const void *ctx, const struct params *p, const struct tune_point *point,
                           enum tune_part part, double share, double *score,
                           struct problem *problem);

/* tune_table_text and tune_json tell what was found. */
void tune_text(struct text *t, const char *source, const struct tune_report *r);
void tune_json(struct text *t, const char *source, const struct params *current,
               const struct tune_report *r);

#endif
