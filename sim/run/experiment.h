/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_RUN_EXPERIMENT_H
#define PURSER_SIM_RUN_EXPERIMENT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/config/params.h"
#include "sim/disturb/course.h"
#include "sim/world/world.h"

/*
 * An experiment: a world or a table, the policies to be compared on it, and how it is played. All
 * policies count the same requests; what any of them is taught beforehand is kept apart from these.
 */
enum { EXPERIMENT_POLICIES_MAX = 32, GROUPS_MAX = 8 };

struct experiment_policy {
    char name[NAME_CAP];
    int64_t labelled;      /* requests taught with every model's outcome before counting starts */
    struct params *params; /* owned */
};

struct experiment {
    char source[256];        /* of the requests: a world's name or path, "inline", or a folder */
    struct world world;      /* of a table: mean and cluster are NULL */
    struct world_spec *spec; /* owned; NULL: a table */
    bool by_mean;            /* adequacy and quality are those of the true means */
    int64_t delay, seeds, first_seed, max_output_tokens;
    struct disturbances disturbances;
    struct trace *trace; /* owned; NULL: arrivals are a second apart, or as disturbed */
    double cost_weight;  /* of the common objective: utility is quality less cost_weight times the
                            share of what the dearest model costs */
    int n_groups;
    char group[GROUPS_MAX][NAME_CAP]; /* of the world's clusters, else the largest tenants */
    uint64_t digest;                  /* of all that jobs depend on but policy and seed */
    uint32_t *count, *reserve; /* rows counted; rows to be taught, a policy takes the first */
    size_t n, n_reserve;
    int n_policies;
    struct experiment_policy policy[EXPERIMENT_POLICIES_MAX];
};

/* experiment_load finds and reads a specification (docs/man/purser-sim.1) and makes its requests,
 * or as many as `requests` says (0 = as written); problems name file and JSON path. On OK the
 * caller frees with experiment_free. */
MUST_CHECK enum status experiment_load(const char *name, int64_t requests, struct experiment *out,
                                       struct problem *problem);
/* experiment_read does so from an object; names in it are looked for in folder `near`. */
MUST_CHECK enum status experiment_read(json_t *root, const char *near, struct experiment *out,
                                       struct problem *problem);
/* experiment_part parts the rows: those counted, and those taught beforehand. */
MUST_CHECK enum status experiment_part(struct experiment *e, struct problem *problem);
/* experiment_group gives the group of a course's i-th request, -1 if none is told. */
int experiment_group(const struct experiment *e, const struct course *c, size_t i);
/* experiment_job_digest tells jobs apart: of everything that one depends on. 0 when memory is
 * short. */
uint64_t experiment_job_digest(const struct experiment *e, int policy, uint64_t seed);
void experiment_free(struct experiment *e);

/* experiment_schema writes the JSON Schema of experiment files and gives its length, 0 when it does
 * not fit. It refers to that of configurations, which lies beside it. */
size_t experiment_schema(char *out, size_t cap);

#endif
