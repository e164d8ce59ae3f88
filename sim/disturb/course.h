/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_DISTURB_COURSE_H
#define PURSER_SIM_DISTURB_COURSE_H

#include "core/request.h"
#include "sim/disturb/disturbance.h"
#include "sim/replay/change.h"
#include "sim/world/world.h"

/*
 * What one seed meets: the counted requests in their order, with every model's outcome under the
 * disturbances at that moment. Row i of its table is the i-th counted request. Whoever reads
 * outcomes (feedback, sums, hull, oracle) reads them here and needs not know of disturbances. A
 * function of (world, disturbances, seed, position) alone: all policies meet the same course.
 */
struct trace;
struct course {
    struct table table; /* borrows the text of the world's; owns row, q, cost_nano, out, lat_ms */
    double *mean;       /* true means laid out as table.q; NULL for a table */
    uint32_t *row;      /* 0, 1, 2 ...: the counted rows of the table */
    uint32_t *source;   /* of the world, by position */
    uint8_t *failed;    /* [cells] */
    uint16_t *tenant;   /* by position, from 1; NULL = none are named */
    int64_t *clock_ms;  /* arrivals since the first; NULL = one a second */
    const struct trace *trace; /* borrowed; NULL = not of a trace */
    struct phase *phase;       /* [PHASES_MAX]: prices and which models there are */
    int n_phases;
};

/* A world to be disturbed. spec is NULL for a table. */
struct course_of {
    const struct world *world;
    const struct world_spec *spec;
    const struct disturbances *disturbances;
    const uint32_t *row; /* counted ones of the world */
    size_t n;
    const struct trace *trace; /* when requests come and how long they are; NULL = not of a trace */
};

/* course_make gives a course under a seed; on OK the caller frees with course_free. */
MUST_CHECK enum status course_make(const struct course_of *of, uint64_t seed, struct course *out,
                                   struct problem *problem);
void course_free(struct course *c);

/* course_tenant writes the name of a request's tenant, "" if it has none. */
void course_tenant(const struct course *c, size_t i, char out[NAME_CAP]);

/* course_shuffle puts n rows into the order of a seed; purpose keeps different lists apart. */
void course_shuffle(uint32_t *row, size_t n, uint64_t seed, uint64_t purpose);
enum { ORDER_LEARN = 1, ORDER_COUNT = 2 };

/* course_stretches writes where something begins or ends, from 0 and below n, and gives their
 * number: stretch k goes up to the beginning of the next. */
enum { STRETCHES_MAX = 12 };
int course_stretches(const struct disturbances *d, size_t n, size_t from[STRETCHES_MAX]);

#endif
