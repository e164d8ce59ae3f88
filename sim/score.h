/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCORE_H
#define PURSER_SIM_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/config/params.h"
#include "core/encoding/text.h"
#include "sim/tables/hull.h"
#include "sim/tables/table.h"

/* Choices of a running service on a table's rows (as `purser play` records them), weighed against
 * what else could have been done with the same requests. */
struct choices {
    uint32_t *row; /* in the order they were made */
    int *model;
    size_t n;
};

struct score_line {
    struct point at;
    double share[MODELS_MAX]; /* of requests, by the table's models */
};

struct score_part {
    size_t n; /* requests; 0 = the part is empty and nothing else is set */
    struct score_line purser, rules, hull;
    struct pick largest, smallest, oracle;
};

enum { SCORE_ALL, SCORE_FIRST, SCORE_SECOND, SCORE_PARTS };
struct score {
    const struct table *table;
    bool has_rules;
    double monthly; /* requests a month, for the sums of money */
    struct score_part part[SCORE_PARTS];
};

/* score_read reads a choices file: lines with "id" and "model" count, others pass. A problem names
 * file and line. On OK the caller frees with score_free. */
MUST_CHECK enum status score_read(const char *path, const struct table *t, struct choices *out,
                                  struct problem *problem);
void score_free(struct choices *c);
/* score_weigh fills out; the keyword rules are those of params (their catalog is the table's). The
 * table is borrowed as long as out lives. */
void score_weigh(const struct table *t, const struct choices *c, const struct params *params,
                 double monthly, struct score *out);

/* score_json and score_table write it: keys and columns are described in docs/man/purser-sim.1. */
void score_json(struct text *out, const struct score *s);
void score_table(struct text *out, const struct score *s);

#endif
