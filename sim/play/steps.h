/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_PLAY_STEPS_H
#define PURSER_SIM_PLAY_STEPS_H

#include "sim/play/play.h"
#include "sim/sheet.h"

/* The sheet of steps: a row for each counted request. */
struct step_row {
    struct sheet *sheet; /* NULL: nothing is written */
    const char *policy;
    uint64_t seed;
};

void steps_columns(struct sheet *s);
/* step_put writes a choice, judged by the outcomes of a table. */
void step_put(const struct step_row *r, const struct table *judged, const struct choice *c);

#endif
