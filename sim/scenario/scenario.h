/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_SCENARIO_H
#define PURSER_SIM_SCENARIO_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>
#include "core/encoding/text.h"
#include "sim/run/crew.h"

/*
 * Scenarios: questions with an answer that ships, `purser-sim scenario NAME`. To add one, write an
 * experiment (or, if it needs code, a run function in a file of its own) and give it a row in
 * scenario.c.
 */

/* What the command line asks of a scenario. */
struct scenario_ask {
    int seeds;           /* >= 1 */
    uint64_t first_seed; /* the others follow it */
    int64_t rows;        /* requests to count; 0 = as many as the scenario takes */
    double monthly;      /* requests a month, for sums of money */
    bool json;           /* one JSON object instead of a table */
    struct crew crew;
};

struct scenario {
    const char *name;
    const char *summary; /* one line, of the list */
    /* Writes what was found to out. Same ask, same bytes, whatever the workers. Under a minute on
     * one core as it comes. NULL: the experiment of the scenario's name, from sim/worlds, in the
     * table that all of these share. */
    enum status (*run)(const struct scenario_ask *ask, struct text *out, struct problem *problem);
};

/* scenario_at gives the i-th, NULL past the end; scenario_find the one of a name, NULL if there is
 * none. */
const struct scenario *scenario_at(int i);
const struct scenario *scenario_find(const char *name);

/* scenario_list writes name and summary of all. */
void scenario_list(struct text *out, bool json);
/* scenario_play writes what a scenario came to. */
MUST_CHECK enum status scenario_play(const struct scenario *s, const struct scenario_ask *ask,
                                     struct text *out, struct problem *problem);
/* scenario_run finds the scenario and prints what it came to. */
MUST_CHECK enum status scenario_run(const char *name, const struct scenario_ask *ask,
                                    struct problem *problem);

#endif
