/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SCENARIO_CASCADE_H
#define PURSER_SIM_SCENARIO_CASCADE_H

#include "sim/replay/recovery.h"
#include "sim/scenario/cascade_world.h"
#include "sim/scenario/scenario.h"

/*
 * Documents that are checked, and asked for again on a higher tier when the summary is found
 * wanting: what that costs under several ways to choose where to begin. purser's is the engine
 * itself, deciding and escalating, and it knows nothing at the first document.
 */
enum cascade_way {
    CASCADE_ALWAYS_LARGE,
    CASCADE_ALWAYS_SMALL,
    CASCADE_NAIVE,  /* begin with the small one and go up by one */
    CASCADE_PURSER, /* the engine chooses, at first and at each escalation */
    CASCADE_ORACLE, /* the cheapest model whose answer is as good as the large one's, give or take
                       0.1; else the best */
    CASCADE_WAYS
};
enum { CASCADE_DOCUMENTS = 4000, CASCADE_SEEDS = 20 };

/* What one seed came to, per document. */
struct cascade_run {
    double cost_usd, quality; /* of all attempts; of the last one */
    double last_cost_usd;     /* cost over the last half of the documents */
    double attempts;
    double begun[CASCADE_MODELS], ended[CASCADE_MODELS]; /* shares */
};

struct cascade_report {
    int seeds;
    size_t documents;
    struct cascade_side {
        struct interval cost_usd, last_cost_usd, quality, attempts;
        struct interval quality_less_large; /* paired by seed */
        struct interval begun[CASCADE_MODELS], ended[CASCADE_MODELS];
    } way[CASCADE_WAYS];
};

/* cascade_play plays one seed. Pure but for memory. */
MUST_CHECK enum status cascade_play(enum cascade_way way, uint64_t seed, size_t documents,
                                    struct cascade_run *out, struct problem *problem);
MUST_CHECK enum status cascade_measure(const struct scenario_ask *ask, struct cascade_report *out,
                                       struct problem *problem);
/* cascade_scenario is the run function of the register. */
enum status cascade_scenario(const struct scenario_ask *ask, struct text *out,
                             struct problem *problem);

#endif
