/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TUNE_SPACE_H
#define PURSER_SIM_TUNE_SPACE_H

#include <stdint.h>
#include "core/config/params.h"
#include "core/encoding/text.h"

/* What is searched over: the settings that shape learning, exploring and spending. */
enum tune_knob {
    KNOB_WIDTH,     /* policy.width */
    KNOB_GAMMA,     /* policy.gamma */
    KNOB_BETA,      /* policy.beta */
    KNOB_FLOOR,     /* policy.floor */
    KNOB_HALF_LIFE, /* learner.half_life_hours */
    KNOB_SHRINK,    /* factor on every learner.precision */
    KNOB_COST,      /* objective.cost */
    KNOB_LATENCY,   /* objective.latency */
    KNOB_FAILURE,   /* objective.failure */
    KNOBS
};

struct tune_point {
    char policy[NAME_CAP];
    double knob[KNOBS];
};

/* tune_point_of gives where params stand; tune_point_draw the i-th point around it under a seed,
 * whatever else is drawn: 0 is the point itself. A knob stays where it is half of the time, so that
 * few trials also see what one change does, and always when its bit is in `still`. */
void tune_point_of(const struct params *p, struct tune_point *out);
void tune_point_draw(const struct tune_point *from, unsigned still, uint64_t seed, uint64_t i,
                     struct tune_point *out);
/* tune_point_apply sets params to a point drawn around theirs. */
void tune_point_apply(const struct tune_point *point, struct params *p);
/* tune_point_patch writes the settings of params that a point moved away from `from`, as a document
 * that a configuration can be patched with. */
void tune_point_patch(struct text *t, const struct params *p, const struct tune_point *point,
                      const struct tune_point *from);
/* tune_point_words names them for people: "policy greedy, floor 0.01"; "as it is" for none. */
void tune_point_words(struct text *t, const struct tune_point *point,
                      const struct tune_point *from);

#endif
